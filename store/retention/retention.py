"""Saying what is to be kept, and how streams end: the verbs behind `store.retention`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import pyarrow as pa

from store.append import Append
from store.deeds import FINDINGS, Deed, check_named, record, recording
from store.draft import RESERVED, check_expected, check_text
from store.errors import Conflict, InvalidEventError, LogSealedError, StreamEndedError, WrongExpectedVersionError
from store.event import Event
from store.expected import ANY, ExpectedVersion
from store.limits import MAX_STREAM_ID_BYTES
from store.reserved import append_own
from store.retention.archived import Archived, summed
from store.retention.hidden_versions import HiddenVersions
from store.retention.policy import CLOSED, DELETED, RETENTION, TOMBSTONED, TRUNCATED, kept
from store.retention.removal import Removal, Removed
from store.retention.rule import Rule
from store.retention.ruled import Ruled
from store.retention.standing import Standing
from store.retention.terms import NOTHING, Held, Terms, Window, check_before, held
from store.rewrite import counted
from store.snapshots.snapshots import forget_streams
from store.submits import Submits

BEGAN: Final = "RemovalBegan"
REMOVED: Final = "HiddenEventsRemoved"


class Retention:
    """What of a store's streams is to be kept, and how they end. Events of the stream `$retention` say so, in the log's own order.

    What is hidden is hidden at once, in every read of a stream and every state folded from it, and it is removed by upkeep later: until then the
    log as a whole (`read_all`, `subscribe`, the view `events`) still shows it. `by`: who wants it, a person or a service. `why`: for those who
    ask later.

    InvalidEventError: the stream is one of the store's own, or nobody, or nothing, is named. CrossLogError: the warehouse was split.
    AccessDeniedError: of all but `close`, that these credentials may append at most (docs/access.md).
    """

    def __init__(self, store: Submits, log: Ruled) -> None:
        self._store, self._log = store, log
        self._hidden = HiddenVersions(
            lambda query, asked: store.sql(query, asked).fetchall(), log.versions, lambda stream_id: log.standing(stream_id).hidden, log.now
        )

    # Saying -----------------------------------------------------------------------------------------------------

    def keep(self, name: str, max_age: timedelta | None = None, max_count: int | None = None, *, by: str, why: str) -> None:
        """Keep of a stream, or of each stream of a category (a name without a hyphen), the events within these bounds; hide the others.

        Age goes by `recorded_at`, judged at each read. A stream's own rule stands in place of its category's; with neither bound everything is
        kept, and a category's rule ends. InvalidEventError: a bound is none.
        """
        rule = Rule(max_age, max_count)
        _check(name, "name", by, why)
        self._log.check()
        self._log.check_access()
        self._append([Append(RETENTION, [kept(name, rule, by, why)])])

    def truncate(self, stream_id: str, before: int, *, by: str, why: str) -> Held:
        """Hide the events below version `before`, for good; with the version after the last one, all. Where more is hidden already nothing changes.

        InvalidEventError: the stream has not come so far. StreamEndedError: it was tombstoned.
        """

        def say(standing: Standing) -> list[Append]:
            check_before(before, standing.version)
            terms = _living(stream_id, standing)
            return [] if before - 1 <= terms.floor else self._said(stream_id, TRUNCATED, {"before": before}, by, why, deed=True)

        return self._say(stream_id, ANY, by, why, say)

    def delete(self, stream_id: str, expected_version: ExpectedVersion = ANY, *, by: str, why: str) -> Held:
        """Let the stream read as if it did not exist. It can be begun anew: its next event gets the next version, and only what comes is shown.

        A stream that does not exist stays so. WrongExpectedVersionError: it is not where it was expected; nothing was done. StreamEndedError: it was
        tombstoned.
        """

        def say(standing: Standing) -> list[Append]:
            terms = _living(stream_id, standing)
            gone = not standing.version or terms.gone(standing.version)
            return [] if gone else self._said(stream_id, DELETED, {"version": None}, by, why, deed=True)

        return self._say(stream_id, expected_version, by, why, say)

    def tombstone(self, stream_id: str, expected_version: ExpectedVersion = ANY, *, by: str, why: str) -> Held:
        """The same for ever: every append to it is refused from now on (StreamEndedError), whatever it expects. So too of one that never was."""

        def say(standing: Standing) -> list[Append]:
            terms = standing.terms or NOTHING
            return [] if terms.tombstoned else self._said(stream_id, TOMBSTONED, {"version": None}, by, why, deed=True)

        return self._say(stream_id, expected_version, by, why, say)

    def close(self, stream_id: str, expected_version: ExpectedVersion = ANY, *, by: str, why: str) -> Held:
        """Let the stream take no more events (StreamEndedError). It is read as before; its files may go to colder storage.

        InvalidEventError: it has no events.
        """

        def say(standing: Standing) -> list[Append]:
            terms = _living(stream_id, standing)
            if not standing.version:
                raise InvalidEventError("stream_id", stream_id, "has no events to be closed behind", "tombstone it, so that it gets none")
            return [] if terms.closed else self._said(stream_id, CLOSED, {"version": None}, by, why, deed=False)

        return self._say(stream_id, expected_version, by, why, say, hides=False)

    # Asking -----------------------------------------------------------------------------------------------------

    def of(self, stream_id: str) -> Held:
        """What holds of the stream now."""
        terms, version, hidden = self._newest(stream_id)
        return held(stream_id, terms or NOTHING, version, hidden)

    def rules(self) -> dict[str, Rule]:
        """Those of streams and categories, by name. What is said of single streams besides is told by `of`, and by the events of `$retention`."""
        self._log.refresh()
        return self._log.policy().rules()

    def window(self, stream_id: str) -> Window:
        """What one sees of the stream now."""
        terms, version, hidden = self._newest(stream_id)
        if terms is None:
            return Window(version)
        return Window(0 if terms.gone(version) else version, hidden, terms.position)

    def terms(self, stream_id: str) -> Terms | None:
        """What is said of it, as far as this process has heard; nothing is asked of the storage."""
        return self._log.policy().of(stream_id)

    def hidden(self) -> pa.Table | None:
        """Of each stream that hides something, up to which version; columns of HIDDEN. None: nothing is said of any stream."""
        policy = self._log.policy()
        return self._hidden.table(policy, self._log.head()) if policy else None

    # Removing ---------------------------------------------------------------------------------------------------

    def remove(self, *, by: str, why: str, share: float = 0.0, dry_run: bool = False) -> Removed:
        """Take what is hidden out of the log now: of these events only husks are left, at their places. Upkeep does it by itself, once a day.

        In one commit, beside writers and upkeep; snapshots of these streams go, too. `share`: leave files alone of whose rows less than this part
        would change, as to rewrite them is dear. `dry_run`: say what would be removed. What no stream hides is never touched: `erase` does that.
        """
        check_named(by, why)
        self._log.refresh()
        hidden = self.hidden()
        if hidden is None or not len(hidden):
            return Removed({})
        removal = Removal(hidden, self._store.head(), str(uuid.uuid4()))
        if share:
            removal = removal.within(self._log.events.worn(removal, share))
        if dry_run:
            return Removed(counted([self._log.events.find(removal)]))

        def about(touched: pa.Table) -> None:
            found = [str(finding) for finding in self._store.audit.findings_at(self._log.log_id(), touched["position"].to_pylist())]
            streams = counted([touched])
            what = {"rewrite_id": removal.rewrite_id, "events": len(touched), "streams": len(streams)}
            record(self._store, Deed(BEGAN, by, why, what | ({"found": found[:FINDINGS]} if found else {})))
            # Before it is done: who is killed afterwards can forget them no more, and whoever comes next finds nothing to do.
            forget_streams(self._store.snapshots, streams)

        done = self._log.events.rewrite(removal, about)
        streams = counted([done.touched])
        if streams:
            what = {"rewrite_id": removal.rewrite_id, "events": len(done.touched), "streams": len(streams), "commit": done.delta_version}
            record(self._store, Deed(REMOVED, by, why, what))
        forget_streams(self._store.snapshots, streams)                      # what was saved meanwhile
        return Removed(streams, done.delta_version, done.bytes_before, done.bytes_after)

    def archive(self, tombstoned: bool = False, share: float = 0.0, dry_run: bool = False) -> Archived:
        """Move the events of closed streams to files of their own under `events/archive/`, which a rule of the object store can make colder.

        They are read and replayed as before. File by file, beside writers, and only of sealed runs: events among the last million or so stay
        where they are until compaction has sealed theirs. `tombstoned`: those of tombstoned streams as well. `share`: leave files alone of whose
        rows less than this part would move. Upkeep does it by itself, once a day.
        """
        self._log.refresh()
        said = self._log.policy().streams.whole()
        streams = {name for name, terms in said.items() if (terms.closed and not terms.tombstoned) or (tombstoned and terms.tombstoned)}
        return summed(self._log.events.archive(streams, share, dry_run)) if streams else Archived()

    # Below ------------------------------------------------------------------------------------------------------

    def _newest(self, stream_id: str) -> Standing:
        self._log.refresh()
        return self._log.standing(stream_id)

    def _said(self, stream_id: str, type: str, what: dict[str, int | None], by: str, why: str, deed: bool) -> list[Append]:
        said = Append(RETENTION, [Event(type, {"stream_id": stream_id, **what, "by": by, "why": why})])
        known = {name: value for name, value in what.items() if value is not None}
        return [said, recording(Deed(f"Stream{type}", by, why, {"stream_id": stream_id, **known}))] if deed else [said]

    def _say(
        self, stream_id: str, expected: ExpectedVersion, by: str, why: str, say: Callable[[Standing], list[Append]], hides: bool = True
    ) -> Held:
        """In one append with a check of the stream: beside those who append to it all the time, it holds from its own place in the log on."""
        _check(stream_id, "stream_id", by, why)
        check_expected(expected)
        self._log.check()
        standing = self._newest(stream_id)
        _check_expected(stream_id, standing, expected)
        if said := say(standing):
            if hides:
                self._log.check_access()
            self._append([Append(stream_id, [], expected), *said])
        return self.of(stream_id)

    def _append(self, said: Sequence[Append]) -> None:
        """To the log that was asked, and no other: in the one that takes its place after a split nobody would look for it."""
        try:
            append_own(self._log.log, said)
        except LogSealedError:
            self._log.check()
            raise                                  # of who has opened this log alone


def _check(name: str, field: str, by: str, why: str) -> None:
    check_text(field, name, MAX_STREAM_ID_BYTES)
    if name.startswith(RESERVED):
        raise InvalidEventError(field, name, "is one of the store's own, whose streams are kept for ever", "name one of the application's")
    check_named(by, why)


def _check_expected(stream_id: str, standing: Standing, expected: ExpectedVersion) -> None:
    terms = standing.terms or NOTHING
    if not terms.holds(expected, standing.version):
        actual = 0 if terms.gone(standing.version) else standing.version
        raise WrongExpectedVersionError([Conflict(stream_id, expected, actual)])


def _living(stream_id: str, standing: Standing) -> Terms:
    terms = standing.terms or NOTHING
    if terms.tombstoned:
        raise StreamEndedError(stream_id, tombstoned=True)
    return terms
