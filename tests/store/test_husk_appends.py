"""What only an erasure leaves, nobody appends; a log that is moved keeps its gaps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from store import Append, Erasure, Event, EventStore, EventType, EventTypes, InvalidEventError, MemoryEventStore, MemoryKeys, erasure_of
from store.husk import husk_data
from store.schema import GIVEN
from tests.store.privacy.people import people, registered

ERASURE = "5f0c1ea4-31ab-4b52-8b8e-6a8e3a3e4f10"
HUSK = husk_data(ERASURE)
WHO: dict[str, Any] = {"by": "ann", "why": "asked for it"}


@pytest.mark.parametrize("data", [HUSK.encode(), {"$erased": ERASURE}, {"$erased": "x" * 36}, {"$erased": 1, "more": 2}], ids=str)
def test_nobody_appends_what_would_pass_for_an_erased_event(store: EventStore, data: Any) -> None:
    forged = [Event("Paid", {"amount": 1}), Event("Paid", data)]

    async def wait() -> None:
        await store.aio.append("a-1", forged)

    for append in (
        lambda: store.append("a-1", forged),
        lambda: store.append_many([Append("b-1", [Event("Paid", {})]), Append("a-1", forged)]),
        lambda: asyncio.run(wait()),
    ):
        with pytest.raises(InvalidEventError, match=r"begins with \$erased, as only what an erasure leaves does") as raised:
            append()
        assert raised.value.stream_id == "a-1"
    assert store.head() == 0


@pytest.mark.parametrize(
    ("data", "metadata"),
    [
        ('{"$erased":"no uuid"}', None),
        ('{"$erased":"' + "x" * 36 + '"}', None),
        (HUSK[:-1] + ',"more":1}', None),
        ('{"$erased": ' + HUSK[11:], None),
        (HUSK, '{"from":"here"}'),
    ],
)
def test_a_table_holds_whole_husks_or_none(store: EventStore, data: str, metadata: str | None) -> None:
    table = pa.table({"stream_id": ["a-1", "a-1"], "type": ["Paid"] * 2, "data": ["{}", data], "metadata": pa.array([None, metadata], pa.string())})
    with pytest.raises(InvalidEventError, match=r"begins with \$erased, as only what an erasure leaves does, and is not that"):
        store.append_table(table)
    assert store.head() == 0


@dataclass(frozen=True)
class Paid:
    amount: int


def test_a_log_is_moved_with_its_gaps(store: EventStore) -> None:
    """Past the types of the new warehouse, to which what is left of an erased event does not fit, and with the same ids."""
    for number in range(4):
        store.append(f"a-{number % 2}", [Event("Paid", {"amount": number}, metadata={"from": "here"})])
    store.erase(Erasure(streams=["a-1"]), **WHO)
    with MemoryEventStore(contract=EventTypes(EventType("Paid", Paid)).contract()) as new:
        moved = store.read_all(categories=["a"]).read_all().select(GIVEN)
        new.append_table(moved)
        assert new.append_table(moved).position == 4
        assert new.read_all().read_all().select(GIVEN).to_pylist() == moved.to_pylist()
        assert [erasure_of(data) is not None for data in new.read_all().read_all()["data"].to_pylist()] == [False, True] * 2
        with pytest.raises(InvalidEventError, match="row 2"):
            new.append_table(moved.slice(0, 3).set_column(moved.schema.get_field_index("data"), "data", [["{}", HUSK, '{"amount":"x"}']]))


def test_nothing_is_sealed_in_what_says_nothing() -> None:
    """Nor is the subject looked for, which went with the rest."""
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as new:
        data = [HUSK, people.event(registered()).data.decode()]
        new.append_table(pa.table({"stream_id": ["customer-7"] * 2, "type": ["Registered"] * 2, "data": data}))
        kept = new.read_stream("customer-7")["data"].to_pylist()
        assert kept[0] == HUSK
        assert "Lovelace" not in kept[1]
