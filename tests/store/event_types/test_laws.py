"""The laws of event types, over any history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from store import Event, EventType, EventTypes, RawEvent
from tests.store.event_types.flights import Booked, Departed, Everything, Paid, Row, log, types

TYPES = types()

words = st.text(max_size=5)
flights = st.text("AU1é東", max_size=5)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
decimals = st.decimals(-10**6, 10**6, places=3)
integers = st.integers(-(2**63), 2**63 - 1)
objects = st.one_of(
    st.builds(Departed, flight=flights, at=instants, delay_min=integers),
    st.builds(Booked, flight=words, seat=st.builds(Row, number=integers, letter=words), price=st.none() | decimals),
    st.builds(Paid, amount=decimals, due=st.none() | st.dates(), paidBy=words),
)

old_data = st.fixed_dictionaries({"flight": words, "at": instants.map(datetime.isoformat)})
seats = st.integers(1, 400)
histories = st.lists(
    st.one_of(
        objects.map(TYPES.event),
        old_data.map(lambda data: Event("Departed", data)),
        st.builds(lambda data, delay: Event("Departed", {**data, "delay": delay}, schema_version=2), old_data, st.integers(0, 10**6)),
        st.builds(lambda flight, seat: Event("Sold", {"flight": flight, "seat": seat}), words, seats),
        st.builds(lambda flight, many: Event("Group", {"flight": flight, "seats": many}), words, st.lists(seats, max_size=3)),
        st.builds(lambda version: Event("Departed", {"new": True}, schema_version=version), st.integers(4, 9)),
        st.just(Event("Unheard", {"a": 1})).map(lambda event: Event(event.type, event.data)),
    ),
    max_size=12,
).map(lambda events: log(*events))


@given(st.lists(objects, max_size=5))
def test_decode_undoes_encode(values: list[Any]) -> None:
    assert TYPES.decode(log(*map(TYPES.event, values))) == values


rows = st.builds(Row, number=integers, letter=words)
every_kind = st.builds(
    Everything,
    text=words,
    whole=integers,
    real=st.floats(allow_nan=False, allow_infinity=False),
    instant=instants,
    money=decimals,
    row=rows,
    took=st.timedeltas(timedelta(days=-999), timedelta(days=999)),
    maybe=st.none() | integers,
    rows=st.lists(rows, max_size=3),
    numbers=st.dictionaries(words, integers, max_size=3),
    either=integers | words,
    pair=st.tuples(integers, words),
)


@given(every_kind)
def test_decode_undoes_encode_for_every_kind_of_field(value: Everything) -> None:
    known = EventTypes(EventType("Everything", Everything))
    assert known.decode(log(known.event(value))) == [value]


@given(histories)
def test_decode_of_upcast_is_decode(events: pa.Table) -> None:
    assert TYPES.decode(TYPES.upcast(events)) == TYPES.decode(events)


@given(histories)
def test_upcast_is_idempotent(events: pa.Table) -> None:
    upcast = TYPES.upcast(events)
    assert TYPES.upcast(upcast).equals(upcast)


@given(histories)
def test_upcast_leaves_no_old_shape_and_keeps_the_order(events: pa.Table) -> None:
    upcast = TYPES.upcast(events)
    shapes = set(zip(upcast["type"].to_pylist(), upcast["schema_version"].to_pylist(), strict=True))
    assert not shapes & {("Departed", 1), ("Departed", 2), ("Booked", 1), ("Sold", 1), ("Group", 1)}
    assert upcast["position"].to_pylist() == sorted(upcast["position"].to_pylist())


@given(histories, st.integers(1, 5))
def test_batches_of_any_size_give_the_same(events: pa.Table, rows: int) -> None:
    cut = pa.Table.from_batches(events.combine_chunks().to_batches(max_chunksize=rows), events.schema)
    assert TYPES.decode(cut) == TYPES.decode(events)
    assert TYPES.upcast(cut).equals(TYPES.upcast(events))
    for event_type in TYPES:
        of_type = events.filter(pc.less(events["schema_version"], 4))
        whole = TYPES.columns(of_type, event_type.name)
        pieces = [TYPES.columns(batch, event_type.name) for batch in of_type.to_batches(max_chunksize=rows)]
        assert pa.concat_tables([whole.slice(0, 0), *pieces]).equals(whole)


@given(histories)
def test_columns_tell_what_the_objects_tell(events: pa.Table) -> None:
    known = events.filter(pc.less(events["schema_version"], 4))
    values = [value for value in TYPES.decode(known) if isinstance(value, Departed)]
    table = TYPES.columns(known, "Departed")
    assert table.select(["flight", "at", "delay_min"]).to_pylist() == [{"flight": v.flight, "at": v.at, "delay_min": v.delay_min} for v in values]


@given(histories)
def test_what_is_not_known_is_kept_raw_byte_for_byte(events: pa.Table) -> None:
    raw = [value.data.decode() for value in TYPES.decode(events) if isinstance(value, RawEvent)]
    assert raw == [row["data"] for row in events.to_pylist() if row["type"] == "Unheard" or row["schema_version"] > 3]


def test_the_histories_reach_every_way_of_reading() -> None:
    """Else the laws above would hold of little: a history of all kinds decodes to all kinds."""
    events = log(Event("Sold", {"flight": "a", "seat": 1}), Event("Group", {"flight": "a", "seats": [1]}), TYPES.event(Paid(amount=Decimal(1))))
    assert [type(value) for value in TYPES.decode(events)] == [Booked, Booked, Paid, Paid]
