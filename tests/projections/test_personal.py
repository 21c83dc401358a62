"""Personal data in read models, reactors and sagas: encrypted in whatever they write, plain only where it is asked for with keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.flight as flight
import pydantic
import pytest

from projections import (
    ApplyError,
    DeadLetters,
    Frame,
    Handlers,
    Live,
    MemoryModel,
    Park,
    Place,
    Projection,
    Reactor,
    ReadModel,
    Saga,
    ServingModel,
    Sql,
    Step,
    WarehouseSql,
    as_of,
    catch_up,
    diff,
    flight_endpoint,
    granted_endpoint,
    publish_sql,
    react,
    saga_reactor,
    steps,
    token_hash,
    typed_table,
    wait_for,
    what_if,
    why,
)
from store import (
    EVERY,
    Append,
    Event,
    EventStore,
    EventType,
    EventTypes,
    Grant,
    KeyTable,
    MemoryEventStore,
    MemoryKeys,
    Personal,
    load,
    open_store,
    traces,
)
from tests.projections.test_flight_endpoint import asked
from tests.projections.test_granted_endpoint import asked as by_token
from tests.store.privacy.people import SECRETS, Address, Registered, Renamed, people, registered

TOKEN = "$personal:"


@dataclass(frozen=True)
class Row:
    customer: str
    name: str
    born: dt.date | None
    plan: str


def put(row: Row | None, event: Registered, place: Place) -> Row:
    return Row(event.customer, event.name, event.born, event.plan)


COLUMNS = pa.schema({"customer": pa.string(), "name": pa.string(), "born": pa.date32(), "plan": pa.string()})
handled = Projection(
    name="handled", version=1, key=("customer",), columns=COLUMNS, event_types=people,
    form=Handlers(on={Registered: put}, key=lambda event, place: event.customer, row=Row),
)  # fmt: skip
queried = Projection(
    name="queried", version=1, key=("customer",), columns=COLUMNS, types=("Registered",), event_types=people,
    form=Sql(
        """select data ->> 'customer' as customer, data ->> 'name' as name,
        try_cast(data ->> 'born' as date) as born, data ->> 'plan' as plan, position
        from events""",
        {"name": "last", "born": "last", "plan": "last"},
    ),
)  # fmt: skip
SHAPE = pl.Struct({"customer": pl.String, "name": pl.String, "plan": pl.String})


def each(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(pl.col("data").str.json_decode(SHAPE).alias("it")).unnest("it").with_columns(born=pl.lit(None, pl.Date))


framed = Projection(
    name="framed", version=1, key=("customer",), columns=COLUMNS, types=("Registered",), event_types=people,
    form=Frame(touches=each, change=lambda current, events: (each(events), current.clear())),
)  # fmt: skip
typed = typed_table(people, "Registered")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventStore]:
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered())])
        store.append("customer-8", [people.event(Registered("8", "Bea Bee"))])
        yield store


@pytest.mark.parametrize("projection", [handled, queried, framed], ids=lambda one: one.name)
def test_tokens_go_on_into_rows_and_open_there(log: EventStore, tmp_path: Path, projection: Projection) -> None:
    """Where no token can be, the redacted value stands; with the keys a row opens, and without one it is redacted, as it was written."""
    model = ReadModel.under(str(tmp_path), projection)
    catch_up(log, model)
    rows = model.rows().sort_by("customer")
    assert [row["name"].startswith(TOKEN) for row in rows.to_pylist()] == [True, True]
    assert rows["born"].to_pylist() == [None, None]
    assert log.privacy.decrypt(rows)["name"].to_pylist() == ["Ada Lovelace", "Bea Bee"]
    log.privacy.forget("7", by="me", why="a test")
    assert log.privacy.decrypt(rows)["name"].to_pylist() == ["[forgotten]", "Bea Bee"]
    assert not traces(str(tmp_path), [*SECRETS, "Bea Bee"])


def test_a_typed_table_holds_tokens_and_has_a_plain_view(log: EventStore, tmp_path: Path) -> None:
    catch_up(log, ReadModel.under(str(tmp_path), typed))
    with WarehouseSql(log, str(tmp_path), [typed]) as warehouse:
        [stored, _] = warehouse.sql("from registered_events order by position").to_arrow_table().to_pylist()
        assert all(TOKEN in stored[name] for name in ("name", "born", "address"))
        assert (stored["customer"], stored["plan"]) == ("7", "pro")
        assert "registered_events_plain" in warehouse.tables()
        plain = warehouse.sql("select name, born, address, plan from registered_events_plain order by position")
        assert plain.fetchall() == [
            ("Ada Lovelace", dt.date(1815, 12, 10), {"street": "St James's Square", "city": "London"}, "pro"),
            ("Bea Bee", None, None, "free"),
        ]
        log.privacy.forget("7", by="me", why="a test")
        [forgotten, _] = warehouse.sql("select name, born, address.city from registered_events_plain order by position").fetchall()
        assert forgotten == ("[forgotten]", None, "London")
        with pytest.raises(duckdb.CatalogException):
            warehouse.ask("from registered_events_plain")
    assert not traces(str(tmp_path), SECRETS)


# Effects ---------------------------------------------------------------------------------------------------------


class Greeted(Registered, frozen=True):
    """Declares what it is told; `Noted` does not."""


class Noted(Renamed, frozen=True):
    pass


noting = EventTypes(
    EventType("Greeted", Greeted, personal=Personal({"name": "[forgotten]", "born": None, "address.street": "[redacted]"}, subject="customer")),
    EventType("Noted", Noted),
)


class Strict(pydantic.BaseModel):
    """Takes no name, and says which one, backwards too."""

    customer: str
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def none(cls, name: str) -> str:
        if name.startswith("Ada"):
            raise ValueError(f"no such name as {name[::-1]}")
        return name


def reactor_of(reaction: Any) -> Reactor:
    return Reactor(name="greet", version=1, on={Registered: reaction}, event_types=people, after=0)


def run(store: EventStore, reaction: Any) -> MemoryModel:
    reactor = reactor_of(reaction)
    mark = MemoryModel(reactor.mark)
    react(store, reactor, mark)
    return mark


def test_a_reactor_sees_plain_values_and_what_it_appends_is_sealed(log: EventStore, tmp_path: Path) -> None:
    seen: list[str] = []

    def greet(event: Registered, place: Place) -> Iterator[Append]:
        seen.append(event.name)
        yield Append(f"greeted-{event.customer}", [noting.event(Greeted(event.customer, event.name, event.born, event.address))])

    run(log, greet)
    assert seen == ["Ada Lovelace", "Bea Bee"]
    [greeted] = noting.decode(log.privacy.open(log.read_stream("greeted-7")))
    assert greeted.name == "Ada Lovelace"
    assert not traces(str(tmp_path), [*SECRETS, "Bea Bee"])


def test_without_keys_a_reactor_sees_redacted_values(log: EventStore, tmp_path: Path) -> None:
    seen: list[Registered] = []
    with open_store(tmp_path) as keyless:
        run(keyless, lambda event, place: seen.append(event))
    assert [(one.name, one.born) for one in seen] == [("[forgotten]", None)] * 2


@pytest.mark.parametrize(
    "event",
    [
        lambda name: noting.event(Noted(name)),
        lambda name: Event("Mailed", {"text": f"Dear {name},"}),
        lambda name: Event("Mailed", {"to": [{"name": name}]}),
        lambda name: Event("Mailed", {}, metadata={"to": name}),
        lambda name: Event("Mailed", {}, tags=[f"to:{name}"]),
    ],
)
def test_a_reactor_cannot_write_a_personal_value_where_none_was_declared(log: EventStore, tmp_path: Path, event: Any) -> None:
    """It is refused, and the error, which the mark keeps, does not tell the value."""
    with pytest.raises(ApplyError, match="a personal value of it would stand in") as refused:
        run(log, lambda registered, place: [Append("noted-1", [event(registered.name)])])
    assert "Ada" not in str(refused.value)
    assert not traces(str(tmp_path), SECRETS)


def test_an_error_does_not_carry_a_personal_value_into_the_mark(log: EventStore) -> None:
    def fail(event: Registered, place: Place) -> None:
        raise RuntimeError(f"nobody knows {event.name} of {event.address}")

    reactor = Reactor(name="greet", version=1, on={Registered: fail}, event_types=people, after=0)
    mark = MemoryModel(reactor.mark)
    with pytest.raises(ApplyError) as failed:
        react(log, reactor, mark)
    hold = mark.hold()
    assert hold is not None
    assert "Ada" not in f"{failed.value} {hold}"
    assert "nobody knows [redacted]" in str(failed.value)


@pytest.mark.parametrize("fail", [lambda event, place: {}[event.name], lambda event, place: ["." * 190 + event.name]])
def test_an_error_that_shows_a_quote_or_the_beginning_of_a_value_does_not_either(fail: Any) -> None:
    reactor = reactor_of(fail)
    mark = MemoryModel(reactor.mark)
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        store.append("customer-7", [people.event(Registered("7", 'Ada "Countess" Lovelace', None, Address("St James's Square", "London")))])
        with pytest.raises(ApplyError) as failed:
            react(store, reactor, mark)
    assert not any(part in f"{failed.value} {mark.hold()}" for part in ("Ada", "Countess", "James", "Square"))


def test_an_event_that_cannot_be_read_is_told_by_field_and_kind_of_error() -> None:
    """A class may show what it was given, or a part of it."""
    keys = MemoryKeys()
    with MemoryEventStore(privacy=people.privacy(keys)) as store:
        store.append("customer-7", [people.event(registered())])
        strict = EventTypes(EventType("Registered", Strict, personal=Personal({"name": "[forgotten]"}, subject="customer")))
        reactor = Reactor(name="greet", version=1, on={Strict: lambda event, place: None}, event_types=strict, after=0)
        mark = MemoryModel(reactor.mark)
        with pytest.raises(ApplyError) as failed:
            react(store, reactor, mark)
        told = f"{failed.value} {mark.hold()}"
        assert "data.name does not fit its class (ValidationError)" in told
        assert not any(part in told for part in ("Ada", "Lovelace", "ecalevoL"))


def test_dead_letters_hold_tokens(log: EventStore, tmp_path: Path) -> None:
    def fail(row: Row | None, event: Registered, place: Place) -> Row:
        raise RuntimeError(f"nobody knows {event.name}")

    form = Handlers(on={Registered: fail}, key=lambda event, place: event.customer, row=Row)
    failing = Projection(name="failing", version=1, key=("customer",), columns=COLUMNS, event_types=people, form=form)
    letters = DeadLetters(str(tmp_path))
    catch_up(log, ReadModel.under(str(tmp_path), failing), failing=Park(letters))
    assert len(letters.all()) == 2
    assert not traces(str(tmp_path), [*SECRETS, "Bea Bee"])


def trip(told: list[Mapping[str, Any]], **refused: Any) -> Saga:
    def fly(data: Mapping[str, Any], key: str) -> dict[str, Any]:
        told.append(data)
        return {"ticket": f"for {data['name']}"}

    def stay(data: Mapping[str, Any], key: str) -> None:
        told.append(data)
        raise ValueError(f"no room for {data['name']}")

    return Saga(name="trip", steps=(Step("fly", fly), Step("stay", stay, refusals=(ValueError,))), subject=lambda data: data["customer"])


def test_a_saga_of_a_subject_keeps_its_data_sealed(log: EventStore, tmp_path: Path) -> None:
    """What it was given, what its steps found, and why one failed."""
    told: list[Mapping[str, Any]] = []
    saga = trip(told)
    run(log, lambda event, place: [saga.begin(event.customer, {"customer": event.customer, "name": event.name})])
    reactor = saga_reactor(log, saga, lambda key, progress: None)
    react(log, reactor, MemoryModel(reactor.mark))
    progress = load(log, saga.progress, "7").state
    assert (progress.phase, progress.why) == ("compensated", "ValueError: no room for Ada Lovelace")
    assert told[1] == {"customer": "7", "name": "Ada Lovelace", "ticket": "for Ada Lovelace"}
    assert not traces(str(tmp_path), [*SECRETS, "Bea Bee"])
    log.privacy.forget("7", by="me", why="a test")
    forgotten = load(log, saga.progress, "7").state
    assert (forgotten.data, forgotten.why, forgotten.phase) == ({}, "[forgotten]", "compensated")


# Showing rows to people --------------------------------------------------------------------------------------------


def names(shown: pa.Table) -> list[str]:
    """Of tokens and nothing else, as anybody sees them."""
    assert not [secret for secret in (*SECRETS, "Bea Bee") if secret in str(shown.to_pylist())]
    found: list[str] = shown["name"].to_pylist()
    assert all(name.startswith(TOKEN) for name in found)
    return found


def test_a_live_model_holds_tokens_and_forgets_with_the_log(log: EventStore) -> None:
    with Live(log, MemoryModel(handled)) as live:
        wait_for(live, log.append("customer-9", [people.event(Registered("9", "Cid Cee"))]).position)
        rows = live.rows().sort_by("customer")
        assert len(names(rows)) == 3
        assert log.privacy.decrypt(rows)["name"].to_pylist() == ["Ada Lovelace", "Bea Bee", "Cid Cee"]
        log.privacy.forget("7", by="me", why="a test")
        assert log.privacy.decrypt(live.rows().sort_by("customer"))["name"].to_pylist() == ["[forgotten]", "Bea Bee", "Cid Cee"]


def test_explanations_show_tokens_that_open_with_the_keys(log: EventStore) -> None:
    """The events behind a row, a row step by step, as of the past, what two models differ in, and what would be."""
    [event] = why(log, handled, {"customer": "7"}).to_pylist()
    assert "Ada" not in str(event)
    assert "Ada Lovelace" in log.privacy.open_text(event["data"])
    [stepped] = steps(log, handled, "customer-7")
    past = as_of(log, handled, 1)
    for shown in (stepped.after, past.rows()):
        assert len(names(shown)) == 1
        assert log.privacy.decrypt(shown)["name"].to_pylist() == ["Ada Lovelace"]
    model = as_of(log, handled, 2)
    assert "Bee" not in f"{diff(past, model)} {diff(past, model)._repr_html_()} {diff(past, model).table().to_pylist()}"
    would = what_if(log, model, [("customer-7", people.event(Registered("7", "Ada King"))), ("customer-9", people.event(Registered("9", "Cid Cee")))])
    assert would.changes() == {"name": 1, "plan": 1}
    assert len(would.added) == 1
    assert not [name for name in ("Ada", "Cid") if name in f"{would} {would.table().to_pylist()}"]
    assert log.head() == 2


@pytest.mark.parametrize("grant", [None, Grant(categories=["customer"], data=EVERY, tables={"handled": EVERY, "registered_events": EVERY})])
def test_a_published_database_holds_tokens(log: EventStore, tmp_path: Path, grant: Grant | None) -> None:
    """Whoever has it and the keys reads it, by the rows; in itself there is neither plain text nor a way to it."""
    for projection in (handled, typed):
        catch_up(log, ServingModel(str(tmp_path), projection))
    done = publish_sql(str(tmp_path), [handled, typed], tmp_path / "theirs.duckdb", grant=grant)
    with duckdb.connect(done.path, read_only=True) as theirs:
        for name in done.names:
            assert "Ada" not in str(theirs.sql(f"from {name}").fetchall())
        rows = theirs.sql("from handled order by customer").to_arrow_table()
        with pytest.raises(duckdb.CatalogException):
            theirs.sql("select decrypt(name) from handled")
        assert not [name for name in done.names if name.endswith("_plain")]
    assert len(names(rows)) == 2
    assert log.privacy.decrypt(rows)["name"].to_pylist() == ["Ada Lovelace", "Bea Bee"]
    assert not traces(str(tmp_path), [*SECRETS, "Bea Bee"])


def test_flight_sql_answers_with_tokens(log: EventStore, tmp_path: Path) -> None:
    """With a token of access or without: the process that serves needs no keys, and has none."""
    catch_up(log, ServingModel(str(tmp_path), handled))
    grants = {token_hash("theirs"): Grant(categories=["customer"], data=EVERY, tables={"handled": EVERY})}
    with granted_endpoint(str(tmp_path), grants, [handled]) as endpoint:
        rows = pa.Table.from_pylist(by_token(endpoint, "theirs", "from handled order by customer"), COLUMNS)
        assert len(names(rows)) == 2
        assert log.privacy.decrypt(rows)["name"].to_pylist() == ["Ada Lovelace", "Bea Bee"]
        assert "Ada" not in str(by_token(endpoint, "theirs", "from events"))
        with pytest.raises(flight.FlightServerError):
            by_token(endpoint, "theirs", "select decrypt(name) from handled")


def test_flight_sql_of_sail_answers_with_tokens(log: EventStore, tmp_path: Path) -> None:
    pytest.importorskip("pysail.flight")
    pytest.importorskip("adbc_driver_flightsql")
    catch_up(log, ServingModel(str(tmp_path), handled))
    with flight_endpoint(str(tmp_path), [handled], port=0) as endpoint:
        told = asked(endpoint, "SELECT customer, name FROM handled ORDER BY 1")
        assert [(customer, name.startswith(TOKEN)) for customer, name in told] == [("7", True), ("8", True)]
        assert "Ada" not in str(asked(endpoint, "SELECT data FROM events"))
