"""What one unit of each work takes, as measured (docs/performance.md, and by which section of `make bench`), and what a log costs by them."""

from __future__ import annotations

from math import ceil
from typing import Final, NamedTuple

from store import Requests as Asked
from store.delta import part, segment, upkeep
from store.delta.committer import GROUP_EVENTS
from store.shard import FANOUT
from tests.scale.simulation import SimulatedLog


class Unit(NamedTuple):
    """`value` in `unit`; `section`: the one of `make bench` that measures it."""

    value: float
    unit: str
    what: str
    section: str


BY_HAND: Final = "by hand"
UNITS: Final = {
    "merge": Unit(2.4, "µs of CPU an event", "events merged into sorted files, or joined", "scale"),
    "checkpoint": Unit(17, "µs of CPU an entry", "a checkpoint written; its entries are live and replaced files", "scale"),
    "open": Unit(22, "µs of CPU an entry", "a log opened from its checkpoint", "scale"),
    "look": Unit(0.9, "µs of CPU a file", "a look for what is to be merged, every 16 commits and after each merge", "scale"),
    "stream": Unit(0.22, "µs of CPU a file", "the choice of the files that can hold a stream", "scale"),
    "footer": Unit(4.8, "ms of CPU a file", "a stream's events in a joined file whose footer is not remembered", BY_HAND),
    "heads join": Unit(1_170, "ns of CPU a stream", "a heads file joined with one of a quarter", "scale"),
    "heads memory": Unit(128, "bytes a stream", "memory of that", "scale"),
    "heads read": Unit(13.8, "ns of CPU a stream", "a heads file checked and mapped, once by each process", "scale"),
    "heads file": Unit(40, "bytes a stream", "a heads file", "scale"),
    "sql": Unit(95, "µs of CPU a file", "a question about one stream or some positions", "scale"),
    "sql memory": Unit(11, "KB a row group", "footers that DuckDB keeps after a question about everything", BY_HAND),
    "replay": Unit(1.35, "µs of CPU an event", "a replay of joined files", BY_HAND),
}
"""Of two shared cores, Python 3.11: `make bench` on yours tells yours."""

BEARABLE_CORES: Final = 0.5
"""Upkeep shares the interpreter lock with the committer: half a core leaves it room, a whole one does not."""


def of(name: str) -> float:
    return UNITS[name].value


class Requests(NamedTuple):
    """Of an object store, by one writer."""

    puts: int
    lists: int
    gets: int

    @property
    def dollars(self) -> float:
        return Asked(self.puts + self.lists, self.gets).dollars()


def requests(log: SimulatedLog) -> Requests:
    """For all that was ever done to the log."""
    t = log.totals
    marks = t["appends"] + t["merges"] + t["vacuums"]          # each a file in `_delta_log`
    return Requests(
        puts=marks + t["data files"] + 3 * t["checkpoints"],   # the checkpoint, the hint that names it, the heads file
        lists=3 * t["checkpoints"] + t["cleans"],
        # A look before each commit of upkeep; files that are merged are opened by two requests, had they not been remembered.
        gets=t["merges"] + t["vacuums"] + 3 * t["cleans"] + 5 * t["checkpoints"] + 2 * t["files read"],
    )


def row_groups(events: int) -> int:
    """Of sorted files: those of each section of each shard are cut alike, and what is left makes one more."""
    share = segment.SECTION_ROWS // FANOUT
    return events // segment.SECTION_ROWS * FANOUT * (share // part.ROW_GROUP_ROWS + 1)


class Upkeep(NamedTuple):
    """What upkeep takes of one core, work by work, while this load comes."""

    merges: float
    checkpoints: float
    heads: float
    looks: float

    @property
    def cores(self) -> float:
        return sum(self)


def upkeep_load(log: SimulatedLog) -> Upkeep:
    """From the events of the whole life; what depends on the size of the log as it is at the end."""
    seconds, entries = log.now_s, log.live_files() + len(log.retired())
    looks = log.totals["appends"] / upkeep.LOOK_EVERY + log.totals["merges"]
    return Upkeep(
        merges=log.totals["merged rows"] * of("merge") / 1e6 / seconds,
        checkpoints=log.totals["checkpoints"] * entries * of("checkpoint") / 1e6 / seconds,
        heads=log.totals["heads written"] * of("heads join") / 1e9 / seconds,
        looks=looks * log.live_files() * of("look") / 1e6 / seconds,
    )


class Writer(NamedTuple):
    """How many events a second one process appends, by how they come; `make bench BENCH=appends`, on two cores."""

    what: str
    events_per_s: int


WRITERS: Final = (
    Writer("single events, 256 tasks", 24_536),
    Writer("100 events an append, 8 clients", 92_650),
    Writer("Arrow tables", 533_280),
)


def logs_needed(events_per_s: float, request_ms: float, group: int, writer: Writer, upkeep_cores: float) -> int:
    """One writer process each. `group`: events that wait for each commit, of two requests; `upkeep_cores`: of one log at the full rate."""
    per_commit_s = 2 * request_ms / 1000
    by_commits = events_per_s * per_commit_s / min(group, GROUP_EVENTS)
    return max(1, ceil(by_commits), ceil(events_per_s / writer.events_per_s), ceil(upkeep_cores / BEARABLE_CORES))
