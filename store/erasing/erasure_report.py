"""What an erasure did, what was proved of it, and where what was erased still is, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from store.display import Cell, Display
from store.rewrite import Rewritten
from store.tracing.traces import traces


@dataclass(frozen=True, slots=True)
class Remnant:
    """Something that may still hold what was erased. `until`: it goes by itself then, if upkeep runs; None: never. `remedy`: how it goes before."""

    what: str
    where: str
    until: datetime | None
    remedy: str


@dataclass(frozen=True, slots=True)
class RewrittenLog:
    """The one commit by which events of a log were erased, and the files that it put in the place of others.

    `delta_version`: of that commit; None: there was nothing to erase, or the log is in memory. `log`: its name; that of the only one is `h`.
    """

    log: str
    delta_version: int | None
    events: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    seconds: float

    @classmethod
    def of(cls, name: str, done: Rewritten) -> RewrittenLog:
        files = len(done.replaced), done.files_after, done.bytes_before, done.bytes_after
        return cls(name, done.delta_version, len(done.touched), *files, done.seconds)


@dataclass(frozen=True, slots=True, repr=False)
class ErasureReport:
    """`print` shows it as text, a notebook as a table.

    `erasure_id`: as the husks carry it, and the deeds in `$audit`. `what`: which events, in words that hold none of their values. `streams`: how
    many events of each were erased, or would be (`dry_run`). `types`: theirs, as they are called in the log. `gone`: what is no more, as it was
    proved. `remains`: what may still hold it. `found`: which of its events were not what had been attested, before it (see `store.audit`).
    """

    erasure_id: str
    what: str
    by: str
    why: str
    dry_run: bool
    streams: Mapping[str, int]
    types: Sequence[str]
    logs: Sequence[RewrittenLog]
    gone: Sequence[str]
    remains: Sequence[Remnant]
    seconds: float
    found: Sequence[str] = ()

    @property
    def events(self) -> int:
        return sum(self.streams.values())

    def and_also(self, gone: Sequence[str], remains: Sequence[Remnant], dealt_with: Sequence[str] = ()) -> ErasureReport:
        """The same, and what somebody above found out. `dealt_with`: remnants, by `what`, that are none any more."""
        left = [remnant for remnant in self.remains if remnant.what not in dealt_with]
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return ErasureReport(**told | {"gone": [*self.gone, *gone], "remains": [*left, *remains]})

    def searched(self, place: str, values: Sequence[str]) -> ErasureReport:
        """The same, after every byte below a place was searched for these values, compressed pages too. Without values nothing is searched."""
        if not values:
            return self
        found = [Remnant("a trace of a value", f"{trace.path}, {trace.how}", None, "see what file it is") for trace in traces(place, values)]
        none = f"{len(values):,} values were searched for in every byte below {place}: there is no trace of them"
        return self.and_also([] if found else [none], found)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        logs = [{name: getattr(log, name) for name in log.__dataclass_fields__} for log in self.logs]
        remains = [{"what": r.what, "where": r.where, "until": r.until and r.until.isoformat(), "remedy": r.remedy} for r in self.remains]
        lists = {name: list(told[name]) for name in ("types", "gone", "found")}
        return told | lists | {"streams": dict(self.streams), "logs": logs, "remains": remains}

    def __repr__(self) -> str:
        return self._display().text()

    def _repr_html_(self) -> str:
        return self._display().html()

    def _display(self) -> Display:
        rows = [[Cell("changed", "wrong"), Cell("before it"), Cell(told)] for told in self.found]
        rows += [[Cell("gone", "good"), Cell(""), Cell(told)] for told in self.gone]
        for one in self.remains:
            rows.append([Cell("remains", "waits" if one.until else "wrong"), Cell(_until(one.until)), Cell(f"{one.what}: {one.where}")])
            rows.append([Cell(""), Cell(""), Cell(f"to be rid of it: {one.remedy}")])
        return Display(
            title=f"{'Would erase' if self.dry_run else 'Erased'} {self.events:,} events of {len(self.streams):,} streams: {self.what}",
            columns=["", "until", "what"],
            rows=rows,
            notes=self._notes(),
        )

    def _notes(self) -> list[str]:
        most = sorted(self.streams.items(), key=lambda item: (-item[1], item[0]))
        streams = ", ".join(f"{stream_id} ({events:,})" for stream_id, events in most[:10])
        notes = [f"{streams}{f' and {len(most) - 10:,} more' if len(most) > 10 else ''}"] if most else []
        for log in self.logs:
            if log.delta_version is not None:
                files = f"{log.files_before:,} files of {log.bytes_before:,} bytes became {log.files_after:,} of {log.bytes_after:,}"
                notes.append(f"log {log.log}, commit {log.delta_version:,}: {files} in {log.seconds:.1f} s")
        return [*notes, f"erasure {self.erasure_id}, by {self.by}: {self.why}"]


def _until(until: datetime | None) -> str:
    return "until you do it" if until is None else f"{until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
