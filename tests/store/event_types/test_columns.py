"""JSON turned columnar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from store import Event, EventType, EventTypes, InvalidEventError, UnreadableEventError
from tests.store.event_types.flights import NOON, Cabin, Departed, Everything, Paid, Row, log, types

TYPES = types()
UTC_TIME = pa.timestamp("us", "UTC")
ALL = Everything(
    text="é", whole=-1, real=1.5, yes=True, instant=NOON, day=date(2013, 1, 1), money=Decimal("1.50"), ident=UUID(int=1), took=timedelta(minutes=1),
    cabin=Cabin.FIRST, raw=b"ab", row=Row(1, "B"), maybe=3, rows=[Row(2), Row(3)], numbers={"a": 1}, either="x", pair=(1, "y"),
)


def columns(cls: type, *values: Any) -> pa.Table:
    known = EventTypes(EventType("T", cls))
    return known.columns(log(*(known.event(value) for value in values)), "T")


def test_columns_stand_beside_the_place_of_each_event() -> None:
    events = log(TYPES.event(Departed("UA1", NOON, 3)), Event("Unheard", {}), TYPES.event(Departed("UA2", NOON)))
    table = TYPES.columns(events, "Departed")
    assert table.to_pylist() == [
        {"position": 1, "stream_id": "flight-1", "version": 1, "occurred_at": NOON, "flight": "UA1", "at": NOON, "delay_min": 3},
        {"position": 3, "stream_id": "flight-1", "version": 3, "occurred_at": NOON, "flight": "UA2", "at": NOON, "delay_min": 0},
    ]


def test_columns_have_the_types_of_the_class() -> None:
    names = [name for name in columns(Everything).schema.names if name not in ("position", "stream_id", "version", "occurred_at")]
    kinds = dict(zip(names, columns(Everything).select(names).schema.types, strict=True))
    row = pa.struct([("number", pa.int64()), ("letter", pa.string())])
    assert kinds == {
        "text": pa.string(), "whole": pa.int64(), "real": pa.float64(), "yes": pa.bool_(), "instant": UTC_TIME, "day": pa.date32(),
        "money": pa.decimal128(38, 9), "ident": pa.string(), "took": pa.string(), "cabin": pa.string(), "raw": pa.string(), "row": row,
        "maybe": pa.int64(), "rows": pa.list_(row), "numbers": pa.string(), "either": pa.string(), "pair": pa.string(),
    }  # fmt: skip


def test_columns_hold_the_values() -> None:
    full, bare = columns(Everything, ALL, replace(ALL, maybe=None, rows=[])).to_pylist()
    assert {name: full[name] for name in Everything.__dataclass_fields__} == {
        "text": "é", "whole": -1, "real": 1.5, "yes": True, "instant": NOON, "day": date(2013, 1, 1), "money": Decimal("1.50"),
        "ident": str(UUID(int=1)), "took": "PT60S", "cabin": "first", "raw": "YWI=", "row": {"number": 1, "letter": "B"},
        "maybe": 3, "rows": [{"number": 2, "letter": "A"}, {"number": 3, "letter": "A"}], "numbers": '{"a":1}', "either": '"x"', "pair": '[1,"y"]',
    }
    assert (bare["maybe"], bare["rows"]) == (None, [])


def test_columns_of_no_event_have_their_types_all_the_same() -> None:
    assert columns(Everything).schema == columns(Everything, ALL).schema
    assert TYPES.columns(log(), "Departed").schema == TYPES.columns(log(TYPES.event(Departed("UA1", NOON))), "Departed").schema


def test_columns_of_old_and_split_events_are_those_of_the_newest_shape() -> None:
    events = log(Event("Group", {"flight": "UA1", "seats": [1, 2]}), Event("Sold", {"flight": "UA2", "seat": 3}))
    table = TYPES.columns(events, "Booked").select(["position", "flight", "seat"]).to_pylist()
    assert [(row["position"], row["flight"], row["seat"]["number"]) for row in table] == [(1, "UA1", 1), (1, "UA1", 2), (2, "UA2", 3)]
    assert TYPES.columns(events, "Paid")["amount"].to_pylist() == [Decimal("9.50")]


def test_columns_of_a_model_go_by_alias() -> None:
    table = TYPES.columns(log(TYPES.event(Paid(amount=Decimal("1.5"), due=date(2013, 1, 1), paidBy="cash"))), "Paid")
    assert table.select(["amount", "due", "paidBy"]).to_pylist() == [{"amount": Decimal("1.5"), "due": date(2013, 1, 1), "paidBy": "cash"}]
    assert table.schema.field("amount").type == pa.decimal128(38, 9)


class Local(pydantic.BaseModel):
    at: pydantic.NaiveDatetime
    either: int | datetime | str = 0


def test_columns_of_a_models_time_without_a_zone_have_none() -> None:
    table = columns(Local, Local(at=datetime(2013, 1, 1, 12)))
    assert table.schema.field("at").type == pa.timestamp("us")
    assert table["at"].to_pylist() == [datetime(2013, 1, 1, 12)]


class Grade(IntEnum):
    LOW = 1
    HIGH = 2


class Sparse(msgspec.Struct, omit_defaults=True):
    row: Row = Row(7, "Z")
    inner: Inner | None = None
    said: str | msgspec.UnsetType = msgspec.UNSET
    grade: Grade = Grade.LOW
    way: Literal["in", "out"] = "in"
    local: Annotated[datetime, msgspec.Meta(tz=False)] | None = None
    any: Any = None
    number: int | float = 0
    grid: list[list[int] | None] | None = None


class Inner(msgspec.Struct, omit_defaults=True):
    a: int = 5
    b: Decimal = Decimal("2.5")


def test_columns_hold_defaults_that_the_json_leaves_out() -> None:
    (row,) = columns(Sparse, Sparse(inner=Inner())).to_pylist()
    assert row["row"] == {"number": 7, "letter": "Z"}
    assert row["inner"] == {"a": 5, "b": Decimal("2.5")}
    assert (row["said"], row["grade"], row["way"], row["local"], row["any"], row["number"]) == (None, 1, "in", None, None, 0)


def test_columns_hold_null_in_every_kind_of_place() -> None:
    local = datetime(2013, 1, 1, 5)
    table = columns(Sparse, Sparse(), Sparse(said="x", grade=Grade.HIGH, local=local, any={"a": [1]}, number=1.5, grid=[[1], None, []]))
    assert table["inner"].to_pylist() == [None, None]
    assert table["grid"].to_pylist() == [None, [[1], None, []]]
    assert (table["local"].type, table["local"].to_pylist()) == (pa.timestamp("us"), [None, local])
    assert (table["any"].to_pylist(), table["number"].to_pylist()) == ([None, '{"a":[1]}'], [0, 1.5])


class Node(msgspec.Struct):
    value: int
    below: list[Node] = []


def test_columns_of_a_class_that_holds_itself_end_in_json() -> None:
    (row,) = columns(Node, Node(1, [Node(2, [Node(3)])])).to_pylist()
    assert row["value"] == 1
    assert row["below"] == ['{"value":2,"below":[{"value":3,"below":[]}]}']


@dataclass
class Clashing:
    version: int
    position: str
    type: str


def test_columns_tell_a_field_from_the_logs_own_column() -> None:
    (row,) = columns(Clashing, Clashing(7, "window", "t")).to_pylist()
    assert (row["version"], row["data_version"], row["position"], row["data_position"], row["type"]) == (1, 7, 1, "window", "t")


def test_columns_can_be_asked_by_polars() -> None:
    frame = pl.from_arrow(columns(Everything, ALL, ALL))
    assert isinstance(frame, pl.DataFrame)
    assert frame.select(pl.col("money").sum()).item() == Decimal(3)


@dataclass
class Loose:
    number: int = 0
    at: datetime | None = None
    money: Decimal = Decimal(0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Loose(number=2**63), "the value of number does not fit a column of int64"),
        (Loose(at=datetime(2013, 1, 1)), "the value of at does not fit a column of timestamp.*zone"),
        (Loose(money=Decimal("0.1234567891")), "the value of money does not fit a column of decimal128"),
        (Loose(money=Decimal("NaN")), "the value of money does not fit a column of decimal128"),
    ],
)
def test_columns_refuse_what_does_not_fit_by_event(value: Loose, message: str) -> None:
    known = EventTypes(EventType("Loose", Loose))
    with pytest.raises(UnreadableEventError, match=message) as refused:
        known.columns(log(known.event(Loose()), known.event(value)), "Loose")
    assert refused.value.position == 2


def test_columns_refuse_an_event_newer_than_the_code() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Departed", {}, schema_version=4))
    with pytest.raises(UnreadableEventError, match="this code knows version 3 at most") as refused:
        TYPES.columns(events, "Departed")
    assert refused.value.position == 2


def test_columns_refuse_an_unknown_type() -> None:
    with pytest.raises(InvalidEventError, match="'Sold' is not registered"):
        TYPES.columns(log(), "Sold")


class Aware(pydantic.BaseModel):
    at: pydantic.AwareDatetime
    prices: list[Decimal] = []

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        return sum(self.prices, Decimal())


def test_columns_of_a_model_leave_out_what_is_computed() -> None:
    (row,) = columns(Aware, Aware(at=NOON, prices=[Decimal("1.5")])).to_pylist()
    assert (row["at"], row["prices"], "total" in row) == (NOON.astimezone(UTC), [Decimal("1.5")], False)
