"""`load`: rows of a file become events, once, however often it is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import pyarrow as pa
import pyarrow.compute as pc
from cyclopts import Parameter

from pipelines.cli.arguments import Dry
from pipelines.cli.bars import bar
from pipelines.cli.events import each, tell_events
from pipelines.cli.mapping import Mapping, Source
from pipelines.cli.session import HERE, Session
from store import EventStore, table_parts

CHUNK_EVENTS: Final = 100_000
"""Each chunk is one atomic append."""
_FIRST: Final = 5


@dataclass(slots=True)
class Loaded:
    """So far."""

    appended: int = 0
    already_there: int = 0


def load(
    file: Annotated[Path, Parameter(help="CSV, JSON (an object a line, or an array) or Parquet; .gz is read, too.")],
    mapping: Annotated[Path, Parameter(name=("--mapping", "-m"), help="A TOML file: which SQL over the columns makes stream_id, type, data …")],
    /,
    *,
    dry_run: Dry = False,
    session: Session = HERE,
) -> None:
    """Append a file's rows as events. Those that are in the log already, by their ids, are left out: after a failure say it again.

    A row's event has the id that the mapping gives it; else one made of the file's name, the row and its place.
    """
    contract = session.the_domain().event_types.contract(unknown="pass")
    with closing(Source(file, Mapping.read(mapping))) as source, session.open(contract=contract) as store:
        total, loaded = source.count(), Loaded()
        if dry_run:
            for first in islice(chunks(source.events(_FIRST)), 1):
                tell_events(session.answer, f"{file.name}: the first of {total:,} events", each(first.slice(0, _FIRST).to_batches()), _of(first))
            return
        with bar("loading", "events") as told:
            for chunk in chunks(source.events(CHUNK_EVENTS)):
                _append(store, chunk, loaded)
                told(loaded.appended + loaded.already_there, total)
        session.answer.facts("", {"appended": loaded.appended, "already_there": loaded.already_there, "head": store.head()})


def _append(store: EventStore, chunk: pa.Table, loaded: Loaded) -> None:
    there = _known(store, chunk) if store.head() else pa.array([], pa.string())
    lacking = chunk.filter(pc.invert(pc.is_in(chunk["event_id"], value_set=there)))
    if len(lacking):
        for part in table_parts(store, lacking):
            store.append_table(part)
    loaded.appended, loaded.already_there = loaded.appended + len(lacking), loaded.already_there + len(chunk) - len(lacking)


def _known(store: EventStore, chunk: pa.Table) -> pa.Array:
    """Which of these ids are in the log."""
    query = "select event_id from events semi join wanted using (event_id)"
    return store.sql(query, tables={"wanted": chunk.select(["event_id"])}).to_arrow_table()["event_id"].combine_chunks()


def chunks(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Of CHUNK_EVENTS at most."""
    for batch in batches:
        table = pa.Table.from_batches([batch])
        for start in range(0, len(table), CHUNK_EVENTS):
            yield table.slice(start, CHUNK_EVENTS)


def _of(events: pa.Table) -> list[str]:
    return [name for name in ("stream_id", "type", "occurred_at", "tags", "data") if name in events.column_names]
