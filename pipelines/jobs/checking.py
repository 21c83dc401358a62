"""Looking at a build before it serves: folded anew elsewhere, and beside what serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from pipelines.markdown import markdown_table
from projections import (
    BuildError,
    KeyRefusedError,
    MemoryModel,
    ReadModel,
    RowDiff,
    as_of,
    diff_serving,
    diff_tables,
    fold_shards,
    status,
)
from store import EventStore

SHOWN_ROWS: Final = 10
MOST_ROWS: Final = 5_000_000
"""Of two builds together, that are compared row by row, as they are in memory then."""


@dataclass(frozen=True, slots=True)
class Checked:
    """`problems`: for which it must not serve. `told`: metadata of a run."""

    problems: Sequence[str]
    told: Mapping[str, Any]


def check_build(store: EventStore, warehouse: str, model: ReadModel, most_events: int, may_be_empty: bool) -> Checked:
    """A build that has caught up. `most_events`: about so many are folded anew to compare its rows with, at most."""
    serving = status(store, warehouse, model.projection)
    rows, problems = model.row_count(), list[str]()
    if not rows and serving.rows and not may_be_empty:
        problems.append(f"it has no rows, and what serves has {serving.rows:,}: mend the projection, or say that it may be empty")
    found, how = _folded_anew(store, model, most_events)
    if found is not None and not found.is_empty:
        problems.append(f"rows differ from those of the same events folded anew, {how} ({found!r}): drop the build, and rebuild it")
    told: dict[str, Any] = {"rows": rows, "checkpoint": model.checkpoint(), "folded_anew": how, "problems": len(problems)}
    if found is not None and not found.is_empty:
        told["wrong_rows"] = _shown(found)
    return Checked(problems, {**told, **_beside_serving(warehouse, model, serving.rows, serving.checkpoint)})


def _folded_anew(store: EventStore, model: ReadModel, most_events: int) -> tuple[RowDiff | None, str]:
    """What differs, and of which rows. By stream a part of the streams is enough, and exact."""
    projection, turn = model.projection, model.look()
    if projection.by_stream:
        shard = _part(turn.checkpoint, most_events)
        share = fold_shards(store, MemoryModel(projection), [shard], 0, turn.checkpoint)
        return diff_tables(share.rows, turn.rows(share.touched), projection.key), f"{share.events:,} events of the streams in {shard}"
    if turn.checkpoint > most_events:
        return None, f"not compared: {turn.checkpoint:,} events are more than {most_events:,}"
    copy = MemoryModel.of(model)
    return diff_tables(as_of(store, projection, copy.checkpoint()).rows(), copy.rows(), projection.key), f"all {copy.checkpoint():,} events"


def _part(events: int, most_events: int) -> str:
    """A shard, or a part of one, that holds so many of the events at most, about; another one as the log grows."""
    digits = 0
    while events > most_events * 16**digits and digits < 4:
        digits += 1
    return f"h{events % 16**digits:0{digits}x}" if digits else "h"


def _beside_serving(warehouse: str, model: ReadModel, rows: int, checkpoint: int) -> dict[str, Any]:
    """What a switch changes for readers."""
    told = {"serving_rows": rows, "serving_checkpoint": checkpoint}
    if rows + model.row_count() > MOST_ROWS:
        return {**told, "differences": f"not compared: more than {MOST_ROWS:,} rows"}
    try:
        found = diff_serving(warehouse, model)
    except (BuildError, KeyRefusedError) as error:
        return {**told, "differences": f"not compared: {error}"}
    counts = {"added": len(found.added), "removed": len(found.removed), "changed": len(found.changed), "same": found.same}
    return {**told, **counts, "changed_columns": found.changes(), "differences": _shown(found)}


def _shown(found: RowDiff) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(markdown_table(found.table(SHOWN_ROWS).to_pylist()))
