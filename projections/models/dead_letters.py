"""Events that a projection could not apply, kept in order until somebody has mended it, or gives them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.models.model import Model, Turn
from store import EVENTS, KeyedTable, TableMovedError

_TIME: Final = pa.timestamp("us", tz="UTC")
LETTERS: Final = pa.schema(
    [
        ("projection", pa.string()), ("build", pa.string()), *((field.name, field.type) for field in EVENTS),
        ("failed", pa.bool_()), ("error", pa.string()), ("traceback", pa.string()), ("parked_at", _TIME),
    ]
)  # fmt: skip
"""The columns of the table `dead_letters`."""
_KEY: Final = ("projection", "build", "position")


class DeadLetters:
    """The Delta table `dead_letters` of a warehouse: an event that a build of a projection could not apply, or one of the same stream behind it.

    Columns: projection and build; those of the event; `failed`: it could not be applied itself; `error`, `traceback`: of the one that failed;
    `parked_at`. A letter counts once the checkpoint of the read model has passed it: it is written just before, so that a crash between
    the two may leave one that does not count, and is put right by the next run.
    """

    def __init__(self, warehouse: str) -> None:
        self.uri = f"{warehouse.rstrip('/')}/dead_letters"
        self._table = KeyedTable(self.uri, "dead_letters", LETTERS, _KEY, description="Events that projections could not apply, with the errors.")

    def all(self) -> pa.Table:
        """Of all projections, by projection, build and position; those that do not count among them."""
        return self._table.rows()

    def open_to_views(self) -> bool:
        """Let the views of a published database follow it. False: nothing was ever parked."""
        return self._table.open_to_views()

    def purge(self) -> None:
        """Remove at once what was replaced, so that nothing is left of letters that were removed."""
        self._table.purge()

    def count(self, projection: str, build: str) -> int:
        """Of one build, those among them that do not count yet, or no more, for a moment."""
        return len(self._rows(projection, build))

    def of(self, model: Model, stream_id: str | None = None) -> pa.Table:
        """Those of a read model that count, in the order of the log; of one stream, or of all."""
        return self.counting(model, model.look(), stream_id)

    def counting(self, model: Model, turn: Turn, stream_id: str | None = None) -> pa.Table:
        """The same, as this turn sees it."""
        mine = self._of(model)
        applied = pa.array([turn.retried(stream) for stream in mine["stream_id"].to_pylist()], pa.int64())
        counts = pc.and_(pc.less_equal(mine["position"], turn.checkpoint), pc.greater(mine["position"], applied))
        return mine.filter(counts if stream_id is None else pc.and_(counts, pc.equal(mine["stream_id"], stream_id)))

    def put(self, model: Model, letters: pa.Table, after: int, until: int) -> None:
        """Let these be the letters of a read model between two positions, after the first one, in the place of those that are there."""

        def change() -> tuple[pa.Table, pa.Table]:
            mine = self._of(model)
            between = pc.and_(pc.greater(mine["position"], after), pc.less_equal(mine["position"], until))
            others = pc.invert(pc.is_in(mine["position"], value_set=letters["position"].combine_chunks()))
            return letters, mine.filter(pc.and_(between, others))

        self._change(change)

    def remove(self, letters: pa.Table) -> None:
        self._change(lambda: (LETTERS.empty_table(), letters))

    def _of(self, model: Model) -> pa.Table:
        return self._rows(model.projection.name, build_of(model))

    def _rows(self, projection: str, build: str) -> pa.Table:
        rows = self._table.rows()
        return rows.filter(pc.and_(pc.equal(rows["projection"], projection), pc.equal(rows["build"], build)))

    def _change(self, decide: Callable[[], tuple[pa.Table, pa.Table]]) -> None:
        while True:
            turn = self._table.turn()
            put, gone = decide()
            if not len(put) and not len(gone):
                return
            try:
                turn.commit(put, gone, {})
            except TableMovedError:                # by another projection's runner
                continue
            return


def build_of(model: Model) -> str:
    return model.uri.rpartition("/")[2]


def letters_of(model: Model, events: pa.Table, failed: Sequence[bool], error: Sequence[str], traceback: Sequence[str], parked_at: object) -> pa.Table:
    """Letters of these events, as they are stored."""
    count = len(events)
    told = {
        "projection": pa.repeat(model.projection.name, count),
        "build": pa.repeat(build_of(model), count),
        **{name: events[name] for name in EVENTS.names},
        "failed": pa.array(failed, pa.bool_()),
        "error": pa.array(error, pa.string()),
        "traceback": pa.array(traceback, pa.string()),
        "parked_at": pa.repeat(pa.scalar(parked_at, _TIME), count),
    }
    return pa.table([told[name] for name in LETTERS.names], schema=LETTERS)
