"""Do the laws hold for what a storm has left? Judged on the whole log, by what each process was told, and on the read models."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Final

import deltalake
import orjson
import polars as pl
import pyarrow as pa

from projections import ServingModel, rebuild
from store import EventStore, open_store, verify
from store.schema import EVENTS
from tests.chaos.actor import Actor
from tests.chaos.roles import RACES, tally_id
from tests.chaos.storm import Storm
from tests.chaos.tallies import CHAINS, COUNTS, chained
from tests.store.delta.test_processes import assert_dense, assert_kept, ids
from tests.store.delta.writer import batch, place
from tests.store.facts import everything

REPEATED: Final = 10

Rows = list[dict[str, Any]]


def judge(storm: Storm) -> int:
    """AssertionError: a law is broken. Else how many events there are."""
    with open_store(storm.uri) as store:
        rows = everything(store)
        assert_dense(rows)                                                                         # law 1, and no event twice
        for actor in (*storm.of_role("append"), *storm.of_role("race")):
            assert_kept(rows, actor.acks())                                                        # law 4
            assert_whole(rows, actor)                                                              # law 2
        assert_decided_on_what_was_there(rows, storm.of_role("decide"))                            # law 3
        for reader in storm.of_role("read"):
            assert_seen_once_in_order(rows, reader)
        assert_repeats_are_answered_alike(store, storm)                                            # law 5
        assert_folded(storm.uri, rows)                                                             # law 7
        for projection in (COUNTS, CHAINS):
            rebuild(store, storm.uri, projection)                                                  # law 8
        assert_folded(storm.uri, rows)
        options = dict(store._objects.storage_options())  # type: ignore[attr-defined]
    found = verify(storm.uri)
    assert found.sound, found.damage
    assert rows_by_deltalake(storm.uri, options) == rows
    return len(rows)


def assert_whole(rows: Rows, actor: Actor) -> None:
    """All of each append's events or none of them, side by side; those that were acknowledged, and at most one more, which was under way."""
    seed, acks = actor.acks()[0]["seed"], actor.acks()
    assert [ack["number"] for ack in acks] == list(range(len(acks)))
    places = {row["event_id"]: row["position"] for row in rows}
    expected = len(acks)
    for number in range(len(acks) + 2):
        there = [places.get(event_id) for event_id in ids(seed, number)]
        whole = None not in there and there == list(range(there[0] or 0, (there[0] or 0) + len(there)))
        assert whole or there == [None] * len(there), f"number {number} of {actor.name} is torn: {there}"
        assert whole or number >= expected, f"number {number} of {actor.name} is lost"
        assert not whole or number <= expected, f"number {number} of {actor.name} came from nowhere"


def assert_decided_on_what_was_there(rows: Rows, actors: list[Actor]) -> None:
    """Each tally knew of all those before it: no decision overlooked another."""
    tallies = [row for row in rows if row["type"] == "Tallied"]
    for row in tallies:
        assert orjson.loads(row["data"])["before"] == row["version"] - 1, row
    there = {row["event_id"]: row["stream_id"] for row in tallies}
    for actor in actors:
        acks = actor.acks()
        assert [ack["number"] for ack in acks] == list(range(len(acks)))
        for ack in acks:
            assert there.get(str(tally_id(ack["seed"], ack["number"]))) == ack["tally"], f"{ack} of {actor.name} is lost"
    assert len(tallies) <= sum(len(actor.acks()) + 1 for actor in actors)


def assert_seen_once_in_order(rows: Rows, reader: Actor) -> None:
    seen = [(line["first"] + number, event_id) for line in reader.told if "first" in line for number, event_id in enumerate(line["ids"])]
    assert seen == [(row["position"], row["event_id"]) for row in rows]


def assert_repeats_are_answered_alike(store: EventStore, storm: Storm) -> None:
    """Whoever appends again what was acknowledged, at the same place, hears the same, and nothing is added."""
    luck, head = random.Random(0), store.head()
    for actor in storm.of_role("append"):
        for ack in luck.sample(actor.acks(), min(REPEATED, len(actor.acks()))):
            stream_id, expected = place(ack["seed"], ack["number"])
            if isinstance(expected, int):
                assert list(store.append(stream_id, batch(ack["seed"], ack["number"]), expected)) == ack["answer"]
    for actor in storm.of_role("race"):
        for ack in luck.sample(actor.acks(), min(REPEATED, len(actor.acks()))):
            answer = store.append(f"race-{ack['number'] % RACES}", batch(ack["seed"], ack["number"]), ack["answer"][0] - 1)
            assert list(answer) == ack["answer"]
    assert store.head() == head


def assert_folded(uri: str, rows: Rows) -> None:
    """The read models hold what another fold of the whole log gives."""
    counts = Counter(row["stream_id"] for row in rows)
    expected = [{"stream": stream, "events": events, "last": events} for stream, events in counts.items()]
    assert sorted_rows(uri, COUNTS, "stream") == sorted(expected, key=lambda row: str(row["stream"]))
    chains: dict[int, str] = {}
    for row in rows:
        if row["type"] == "Tallied":
            seed, number = (orjson.loads(row["data"])[name] for name in ("seed", "number"))
            chains[seed] = chained(chains.get(seed, ""), number)
    assert sorted_rows(uri, CHAINS, "seed") == [{"seed": seed, "chain": chain} for seed, chain in sorted(chains.items())]


def sorted_rows(uri: str, projection: Any, key: str) -> Rows:
    rows: Rows = ServingModel(uri, projection).rows().sort_by(key).to_pylist()
    return rows


def rows_by_deltalake(uri: str, options: dict[str, str]) -> Rows:
    scanned = deltalake.DeltaTable(f"{uri}/events", storage_options=options).scan()
    read = pl.from_arrow(pa.RecordBatchReader.from_stream(scanned).read_all())
    assert isinstance(read, pl.DataFrame)
    return read.select(EVENTS.names).sort("position").to_dicts()
