"""Many aggregates in one pass: DuckDB finds and sorts their events, the fold goes through them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.fold import about, decode, fold_decoded
from store.deciding.saved_state import UnusableSnapshotError, decode_state
from store.deciding.states import Known
from store.event_store import AsOf, EventStore
from store.husk import husk_data
from store.privacy.opening import ids_in
from store.reading import check_many
from store.retention.terms import NOTHING, Terms
from store.snapshots.snapshot import snapshots_of

S = TypeVar("S")

BATCH_ROWS: Final = 65_536

_COLUMNS: Final = "stream_id, version, position, type, schema_version, data, event_id"
_OF_STREAMS: Final = f"""
    with wanted as (select unnest($streams) as stream_id, unnest($versions) as after)
    select {_COLUMNS} from visible_events join wanted using (stream_id) where version > after order by stream_id, version
"""
_OF_CATEGORY: Final = f"""
    select {_COLUMNS} from visible_events where stream_id >= $category || '-' and stream_id < $category || '.' order by stream_id, version
"""
_IN_PLACE: Final = f"""
    with saved as (select unnest($streams) as stream_id, unnest($versions) as version, unnest($event_ids) as event_id)
    select stream_id, position from events join saved using (stream_id, version, event_id) where not starts_with(data, '{husk_data("")[:-2]}')
"""
"""Nor of an event that was erased: whoever saved it may have been killed before it could be forgotten."""


def load_many(store: EventStore, aggregate: Aggregate[S], ids: Iterable[str], as_of: AsOf | None = None) -> dict[str, Loaded[S]]:
    """These aggregates by id, all at one place of the log: its head, or `as_of`. From about a hundred on this beats one `load` for each."""
    streams = {aggregate.stream_id(id): id for id in check_many("ids", ids)}
    position = store.deciding.loader.position(store.head() if as_of is None else as_of)
    known, nothing = fold_many(store, aggregate, list(streams), position), Known(aggregate.initial, 0, 0, 0.0)
    known |= {stream_id: _hidden(store, aggregate, stream_id, position) for stream_id in _ruled(store, streams) if stream_id not in known}
    return {id: _loaded(stream_id, known.get(stream_id, nothing), position) for stream_id, id in streams.items()}


def load_all(store: EventStore, aggregate: Aggregate[S], as_of: AsOf | None = None) -> Iterator[Loaded[S]]:
    """Every aggregate of the category, in order of stream id, at one place of the log: its head, or `as_of`. Folded in full, without snapshots.

    Holds one state at a time; DuckDB sorts the events, on disk if they are many.
    """
    position = store.deciding.loader.position(store.head() if as_of is None else as_of)
    return (_loaded(stream_id, known, position) for stream_id, known in fold_all(store, aggregate, position))


def fold_many(store: EventStore, aggregate: Aggregate[S], streams: list[str], position: int) -> dict[str, Known]:
    """Those of these streams that have events by that position, from their snapshots on."""
    while True:                                    # all of one policy: a base from before another one does not reach its events
        terms = _ruled(store, streams)
        known: dict[str, Known] = _bases(store, aggregate, streams, position, terms) if aggregate.snapshots is not None else {}
        versions = [known[stream_id].version if stream_id in known else 0 for stream_id in streams]
        events = store.sql(_OF_STREAMS, {"streams": streams, "versions": versions}, as_of=position)
        if terms == _ruled(store, streams):
            return known | dict(_folded(store, aggregate, events.to_arrow_reader(BATCH_ROWS), known))


def fold_all(store: EventStore, aggregate: Aggregate[S], position: int) -> Iterator[tuple[str, Known]]:
    """All of the category that have events by that position, in full; in order of stream id."""
    events = store.sql(_OF_CATEGORY, {"category": aggregate.category}, as_of=position)
    return _folded(store, aggregate, events.to_arrow_reader(BATCH_ROWS), {})


def _loaded(stream_id: str, known: Known, position: int) -> Loaded[Any]:
    return Loaded(stream_id, known.state, known.version, known.position, position)


def _ruled(store: EventStore, streams: Iterable[str]) -> dict[str, Terms]:
    """Those of them of which retention says something, as far as was heard."""
    return {stream_id: terms for stream_id in streams if (terms := store.retention.terms(stream_id)) is not None}


def _hidden(store: EventStore, aggregate: Aggregate[S], stream_id: str, position: int) -> Known:
    """Of a stream that shows no event, but may have a version all the same."""
    return store.deciding.loader.recovery.begin(aggregate, stream_id, store.version_at(stream_id, position))


def _bases(store: EventStore, aggregate: Aggregate[S], streams: list[str], position: int, terms: Mapping[str, Terms]) -> dict[str, Known]:
    """What their snapshots say. One that is of no use, or whose event is not at its place in this log, is left out."""
    store.deciding.loader.recovery.meet(aggregate)
    bases: dict[str, Known] = {}
    places: dict[str, list[Any]] = {"streams": [], "versions": [], "event_ids": []}
    for snapshot in snapshots_of(store.snapshots.newest_many(aggregate.name, streams, position)):
        if terms.get(snapshot.stream_id, NOTHING).outdates(snapshot.position):
            continue
        with suppress(UnusableSnapshotError):
            state, keys = decode_state(aggregate, snapshot, store.privacy)
            bases[snapshot.stream_id] = Known(state, snapshot.version, snapshot.position, 0.0, keys=keys)
            for column, value in zip(places.values(), (snapshot.stream_id, snapshot.version, snapshot.event_id), strict=True):
                column.append(value)
    in_place = store.sql(_IN_PLACE, places, as_of=position).fetchall() if bases else []
    return {stream_id: replace(bases[stream_id], position=at) for stream_id, at in in_place}


def _folded(
    store: EventStore, aggregate: Aggregate[S], batches: Iterable[pa.RecordBatch], bases: Mapping[str, Known]
) -> Iterator[tuple[str, Known]]:
    """Streams with their states, from events in order of stream and version; a stream may go on in the next batch."""
    done: tuple[str, Known] | None = None
    for batch in batches:
        recorded = pa.Table.from_batches([batch])  # these tell the place: an event that is lifted to none counts as well
        plain, at_hand = store.privacy.opened(recorded)
        versions, positions, events = recorded["version"].to_pylist(), recorded["position"].to_pylist(), _decoded(aggregate, plain)
        for stream_id, first, end in _runs(recorded["stream_id"]):
            if done is not None and done[0] != stream_id:
                yield done
                done = None
            known = done[1] if done is not None else bases.get(stream_id)
            state = aggregate.initial if known is None else known.state
            with about(stream_id):
                state = fold_decoded(aggregate, state, events.get(stream_id, ()), f"stream {stream_id!r}")
            event_id = recorded["event_id"][end - 1].as_py()
            keys = at_hand & ids_in(recorded.slice(first, end - first)) if at_hand else at_hand
            keys |= frozenset() if known is None else known.keys
            done = stream_id, Known(state, versions[end - 1], positions[end - 1], 0.0, event_id=event_id, keys=keys)
    if done is not None:
        yield done


def _decoded(aggregate: Aggregate[S], recorded: pa.Table) -> dict[str, list[Any]]:
    """By stream, what `evolve` is given."""
    rows = aggregate.types.upcast(recorded)
    events = decode(aggregate, rows)
    return {stream_id: events[first:end] for stream_id, first, end in _runs(rows["stream_id"])}


def _runs(names: pa.ChunkedArray) -> Iterator[tuple[str, int, int]]:
    """(value, first row, row after the last one) of each stretch of equal values."""
    first = 0
    encoded: Any = pc.run_end_encode(names.combine_chunks())
    for value, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
        yield value, first, end
        first = end
