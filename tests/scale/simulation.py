"""What becomes of a log under a steady load: the rules of the store itself, applied to files that are numbers only.

Which files are merged, what is due and what is vacuumed is asked of the store's own functions and constants, so that a change of them changes
what is simulated. What it stands on beside: upkeep keeps pace (see `costs` for when it cannot), streams are spread evenly over shards, and a
crash or a lost race never happens.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any, Final, NamedTuple

from store.delta import compaction, head_runs, log_cleanup, segment, upkeep, vacuum
from store.delta.actions import Retired, Segment
from store.shard import ROOT, depth_for
from tests.scale.load import Load

CLEANS: Final = 4
"""What is multiplied spans so many clean-ups, or it would hang on when the last one was."""


class LogFile(NamedTuple):
    """A commit or a checkpoint in `_delta_log`."""

    version: int
    made_s: float


class SimulatedFile(Segment):
    """A file that is only numbers, and is asked for its run very often."""

    @cached_property
    def run(self) -> tuple[int, int]:              # type: ignore[override]
        return super().run


class SimulatedLog:
    """One log, one writer. `totals`: what was ever done, and what is settled: the files of joined runs, which nothing ever touches again."""

    def __init__(self, load: Load) -> None:
        self.load, self.now_s, self.version, self.head, self.checkpointed = load, 0.0, 0, 0, -1
        self.totals: Counter[str] = Counter()
        self.files: dict[str, Segment] = {}
        self.log_files = deque([LogFile(0, 0.0)])
        self.head_runs: list[int] = []
        """Streams in each heads file, old ones first."""
        self._covered = self._commits = self._names = 0
        self._cleaned_s = 0.0
        self._retired_ms = 0
        self._retired: list[Retired] = []
        self._saved: list[int] = []
        """Streams since the checkpoint before, of each."""

    def run(self, events: int) -> None:
        """Until the log holds so many."""
        while self.head < events:
            self._append(min(self.load.events_per_commit, events - self.head))

    def skip(self, times: int, totals: Counter[str], events: int, commits: int) -> None:
        """As if that had been done so many times more, each with so many events and commits. Nothing may be run after it."""
        for name, total in totals.items():
            self.totals[name] += times * total
        for streams in self._saved[-totals["checkpoints"] :] * times:
            self._add_heads(streams)
        self.head += times * events
        self.version += times * commits
        self.now_s += times * events / self.load.events_per_s

    def live_files(self) -> int:
        return len(self.files) + self.totals["settled files"]

    def live_bytes(self) -> int:
        return sum(s.size_bytes for s in self.files.values()) + self.totals["settled bytes"]

    def retired(self) -> Sequence[Retired]:
        return self._retired

    # What a writer does ---------------------------------------------------------------------------------------

    def _append(self, rows: int) -> None:
        first, self.head = self.head + 1, self.head + rows
        self.now_s += rows / self.load.events_per_s
        if rows < segment.LEAF_ROWS:
            size_bytes = self.load.landing_file_bytes + round(rows * self.load.landing_bytes)
            added = [self._file(ROOT, (first, self.head), rows, size_bytes)]
        else:
            added = [file for run in segment.aligned(first, self.head, segment.RUN_ROWS) for file in self._run(*run)]
        self._commit(added, [])
        self.totals += Counter({"appends": 1, "appended bytes": sum(file.size_bytes for file in added), "data files": len(added)})
        self._commits += 1
        if self._commits % upkeep.LOOK_EVERY == 0 or rows >= upkeep.CHECKPOINT_ROWS:
            self._look()

    def _look(self) -> None:
        while chosen := compaction.due(list(self.files.values())):
            self._merge(chosen)
        self._settle()
        if self.head - self._covered >= upkeep.CHECKPOINT_ROWS or self.version - self.checkpointed >= upkeep.CHECKPOINT_EVERY:
            self._checkpoint()
        if self.now_s - self._cleaned_s > upkeep.CLEAN_EVERY_S:
            self._cleaned_s = self.now_s
            self._clean()

    def _merge(self, chosen: Sequence[Segment]) -> None:
        first, last, rows = min(s.first for s in chosen), max(s.last for s in chosen), sum(s.rows for s in chosen)
        if compaction._is_sealed(chosen):
            joined = self._file(chosen[0].shard, compaction._joined_range(chosen[0]), rows, sum(s.size_bytes for s in chosen))
            added = [joined]
        else:
            added = [file for run in segment.aligned(first, last, segment.RUN_ROWS) for file in self._run(*run)]
        self._commit(added, chosen)
        written = sum(file.size_bytes for file in added)
        self.totals += Counter({"merges": 1, "merged rows": rows, "merged bytes": written, "data files": len(added), "files read": len(chosen)})

    def _checkpoint(self) -> None:
        self.log_files.append(LogFile(self.version, self.now_s))
        self.checkpointed = self.version
        self._saved.append(self.load.streams_of(self.head - self._covered))
        self._add_heads(self._saved[-1])
        self._covered = self.head
        self.totals += Counter({"checkpoints": 1})

    def _clean(self) -> None:
        oldest_s = self.now_s - log_cleanup.YOUNGEST_S
        kept = deque(file for file in self.log_files if file.version >= self.checkpointed or file.made_s > oldest_s)
        self.totals += Counter({"cleans": 1, "log files removed": len(self.log_files) - len(kept)})
        self.log_files = kept
        log: Any = self                            # it has what is asked of a log there: the files that were replaced
        until_ms = vacuum.expired(log, upkeep.RETENTION_S, upkeep.KEPT_FILES, self._now_ms())
        if until_ms is not None:
            left = [retired for retired in self._retired if retired.retired_ms > until_ms]
            self.totals += Counter({"files vacuumed": len(self._retired) - len(left), "vacuums": 1})
            self._retired = left
            self._commit([], [])

    # Below ----------------------------------------------------------------------------------------------------

    def _add_heads(self, streams: int) -> None:
        """As `head_runs.add`, for streams that end where a run ends."""
        while self.head_runs and self.head_runs[-1] <= head_runs.GROWTH * streams:
            streams += self.head_runs.pop()
        self.head_runs.append(streams)
        self.totals["heads written"] += streams

    def _commit(self, added: Sequence[Segment], removed: Sequence[Segment]) -> None:
        self.version += 1
        self.log_files.append(LogFile(self.version, self.now_s))
        self._retired_ms = max(self._retired_ms + 1, self._now_ms())       # no two merges end in one millisecond
        for file in removed:
            del self.files[file.path]
            self._retired.append(Retired(file.path, self._retired_ms, file.size_bytes))
        self.files.update((file.path, file) for file in added)

    def _settle(self) -> None:
        """Joined files are chosen by no rule any more: to count them is enough."""
        for path in [path for path, file in self.files.items() if compaction._is_joined(file)]:
            self.totals += Counter({"settled files": 1, "settled bytes": self.files.pop(path).size_bytes})

    def _run(self, first: int, last: int) -> Iterator[Segment]:
        """The files that `write_run` makes."""
        depth, held = depth_for(last - first + 1, segment.LEAF_ROWS), 0
        for low, high in segment.aligned(first, last, segment.SECTION_ROWS):
            if held * self.load.sorted_bytes > segment.BUFFERED_BYTES:
                yield from self._spread((first, last), depth, held)
                held = 0
            held += high - low + 1
        yield from self._spread((first, last), depth, held)

    def _spread(self, run: tuple[int, int], depth: int, rows: int) -> Iterator[Segment]:
        shards = [ROOT + "".join(digits) for digits in product("0123456789abcdef", repeat=depth)]
        for number, shard in enumerate(shards):
            share = rows // len(shards) + (number < rows % len(shards))
            yield self._file(shard, run, share, round(share * self.load.sorted_bytes))

    def _file(self, shard: str, run: tuple[int, int], rows: int, size_bytes: int) -> Segment:
        self._names += 1
        path = f"shard={shard}/{run[0]}-{run[1]}-{self._names:032x}.parquet"
        return SimulatedFile(path, size_bytes, rows, *run, "", "~", "", "~", 0, 0, "", self._now_ms())

    def _now_ms(self) -> int:
        return int(self.now_s * 1000)


def simulated(load: Load) -> SimulatedLog:
    """The log after all of it. What is the same in each range of joined runs is stepped through until files go as they come, and then multiplied.

    From then on a log is in the same state at the end of each such range, but for its joined files and its heads.
    """
    log, period = SimulatedLog(load), segment.RUN_ROWS * compaction.JOINED_RUNS
    period *= 1 + int(CLEANS * upkeep.CLEAN_EVERY_S * load.events_per_s / period)
    log.run(min(load.events, period + load.events % period))
    while log.head < load.events:
        totals, version = log.totals.copy(), log.version
        log.run(log.head + period)
        done = log.totals - totals
        if done["files vacuumed"] and done["log files removed"]:
            log.skip((load.events - log.head) // period, done, period, log.version - version)
    return log
