"""The one rule table: what an append means, given what the log holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from store.append import Appended, TableAppended
from store.bulk import Bulk
from store.condition import Condition, Match
from store.draft import Draft
from store.errors import ConditionFailedError, Conflict, DuplicateEventError, StreamEndedError, WrongExpectedVersionError
from store.expected import NO_STREAM, Expected
from store.retention.terms import NOTHING, Terms

REMEMBERED_EVENTS: Final = 1_000
"""How many of a stream's last events an append with ANY or STREAM_EXISTS is compared with, at least."""


class Place(NamedTuple):
    """Where an event is."""

    version: int
    position: int


class Streams(Protocol):
    """What a judge must know of the log, at one moment."""

    @property
    def terms(self) -> Mapping[str, Terms]:
        """What retention says of streams; of most nothing."""

    def version(self, stream_id: str) -> int:
        """The stream's version; 0 if it does not exist."""

    def recall(self, stream_id: str, event_ids: Sequence[str]) -> list[Place | None]:
        """Where each of these events is, if it is among the stream's last `REMEMBERED_EVENTS` events (or more)."""

    def placed(self, stream_id: str, after: int, limit: int) -> Sequence[tuple[str, Place]]:
        """(event id, place) of the events past version `after`, oldest first, `limit` at most."""

    def find(self, condition: Condition) -> Match | None:
        """An event that breaks the condition; the first one, where it is known which that is."""


def judge(streams: Streams, drafts: Sequence[Draft], condition: Condition | None = None) -> list[Appended] | None:
    """None: append them all. A list: all are in the log already, there. Or an error that says why not.

    The rules are KurrentDB's (IndexWriter.CheckCommit): an exact expectation in the past, and ANY, recognise
    a repeat by its event ids; half a repeat is an error. A repeat answers before checks on other streams do,
    because those were made when it first succeeded; so too before the condition, which its own events may break (UmaDB's rule).

    A stream that was deleted does not exist, and is begun anew behind its last version. One that has ended takes no events, whatever is
    expected; but what is in it is in it, and its repeat is no news: KurrentDB refuses that too, of a tombstoned stream, and leaves a client
    whose answer was lost with "nothing was written".
    """
    if not _all_new(streams, drafts) and (repeat := _judge_ids(streams, drafts)) is not None:
        return repeat
    if condition is not None and (match := streams.find(condition)) is not None:
        raise ConditionFailedError(condition.query, condition.after, match.position, match.stream_id, match.type)
    return None


def _judge_ids(streams: Streams, drafts: Sequence[Draft]) -> list[Appended] | None:
    """By versions and event ids."""
    repeats = [_repeat(streams, draft) for draft in drafts]
    written = [(draft, repeat) for draft, repeat in zip(drafts, repeats, strict=True) if draft.event_ids]
    if written and all(repeat is not None for _, repeat in written):
        return [repeat or _nowhere(streams.version(d.stream_id)) for d, repeat in zip(drafts, repeats, strict=True)]
    new = [draft for draft, repeat in zip(drafts, repeats, strict=True) if repeat is None]
    _refuse_ended(streams.terms, [draft.stream_id for draft in new if draft.event_ids])
    if conflicts := [conflict for draft in new if (conflict := _conflict(streams, draft)) is not None]:
        raise WrongExpectedVersionError(conflicts)
    for draft, repeat in written:
        if repeat is not None:
            raise DuplicateEventError(draft.stream_id, draft.event_ids[0])
    return None


Find = Callable[[pa.ChunkedArray, pa.ChunkedArray], pa.Array]
"""(stream ids, event ids) -> the position of each of these events, row by row; null for one that is not in that stream."""


def judge_bulk(find: Find, bulk: Bulk, terms: Mapping[str, Terms]) -> TableAppended | None:
    """None: append the table. A place: all its events are there already. DuplicateEventError: some of them are. StreamEndedError: see `judge`."""
    if (repeat := _repeated_table(find, bulk)) is None and terms:
        _refuse_ended(terms, bulk.table["stream_id"].unique().to_pylist())
    return repeat


def _repeated_table(find: Find, bulk: Bulk) -> TableAppended | None:
    if not bulk.repeatable or not len(bulk.table):
        return None
    positions = find(bulk.table["stream_id"], bulk.table["event_id"])
    if positions.null_count == len(positions):
        return None
    if positions.null_count:
        row = pc.index(positions.is_valid(), True).as_py()
        raise DuplicateEventError(bulk.table["stream_id"][row].as_py(), bulk.table["event_id"][row].as_py())
    return TableAppended(positions[0].as_py(), positions[-1].as_py())


def _all_new(streams: Streams, drafts: Sequence[Draft]) -> bool:
    """The usual case, without a comparison of ids: every stream is just where it was expected, or is not there yet."""
    terms = streams.terms
    for draft in drafts:
        if terms and draft.stream_id in terms:
            return False
        version = streams.version(draft.stream_id)
        if version != draft.expected_version and (version or draft.expected_version is not Expected.ANY):
            return False
    return True


def _repeat(streams: Streams, draft: Draft) -> Appended | None:
    """Where these events are already; None if they are new."""
    version = streams.version(draft.stream_id)
    if version == 0 or not draft.event_ids:
        return None
    if isinstance(draft.expected_version, Expected):
        return _repeat_anywhere(streams, draft)
    if draft.expected_version == NO_STREAM:        # it may have begun a stream that was deleted anew, and that one was deleted again since
        lives = (0, *streams.terms.get(draft.stream_id, NOTHING).deletions)
        return next((repeat for after in lives if (repeat := _repeat_after(streams, draft, after)) is not None), None)
    return _repeat_after(streams, draft, draft.expected_version)


def _conflict(streams: Streams, draft: Draft) -> Conflict | None:
    """Why the stream is not as expected."""
    version, terms = streams.version(draft.stream_id), streams.terms.get(draft.stream_id, NOTHING)
    if terms.holds(draft.expected_version, version):
        return None
    return Conflict(draft.stream_id, draft.expected_version, 0 if terms.gone(version) else version)


def _refuse_ended(terms: Mapping[str, Terms], stream_ids: Sequence[str]) -> None:
    for stream_id in stream_ids:
        if (there := terms.get(stream_id)) is not None and there.ended:
            raise StreamEndedError(stream_id, there.tombstoned)


def _repeat_anywhere(streams: Streams, draft: Draft) -> Appended | None:
    places = streams.recall(draft.stream_id, draft.event_ids)
    known = [place for place in places if place is not None]
    if not known:
        return None
    if len(known) < len(places):
        raise DuplicateEventError(draft.stream_id, draft.event_ids[places.index(known[0])])
    return _between(known[0], known[-1])


def _repeat_after(streams: Streams, draft: Draft, after: int) -> Appended | None:
    """Are they the events just behind that version?"""
    if after >= streams.version(draft.stream_id):
        return None
    placed = streams.placed(draft.stream_id, after, len(draft.event_ids))
    if placed[0][0] != draft.event_ids[0]:
        return None
    if [event_id for event_id, _ in placed] != draft.event_ids:
        raise DuplicateEventError(draft.stream_id, draft.event_ids[0])
    return _between(placed[0][1], placed[-1][1])


def _between(first: Place, last: Place) -> Appended:
    return Appended(first.version, last.version, first.position, last.position)


def _nowhere(version: int) -> Appended:
    return Appended(version + 1, version, 1, 0)
