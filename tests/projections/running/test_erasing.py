"""What was made of erased events goes with them: rows, old builds, letters; and what each form does with what is left of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest

from projections import (
    BUILT_IN,
    Builds,
    DeadLetters,
    Frame,
    Handlers,
    Leases,
    Live,
    MemoryModel,
    Park,
    Place,
    Projection,
    Reactor,
    ServingModel,
    Sql,
    catch_up,
    erase_everywhere,
    react,
    reapply_everywhere,
    rebuild,
    typed_table,
    wait_for,
)
from store import Append, Erasure, Event, EventStore, EventType, EventTypes, InvalidEventError, open_store, traces
from store.delta.delta_store import DeltaEventStore

WHO: dict[str, Any] = {"by": "ann", "why": "asked for it"}
SECRET = "planted-secret-name"


class Booked(msgspec.Struct, frozen=True):
    name: str
    seats: int


TYPES = EventTypes(EventType("Booked", Booked))
COLUMNS = pa.schema({"name": pa.string(), "seats": pa.int64()})


def book(row: dict[str, Any] | None, event: Booked, place: Place) -> dict[str, Any]:
    if event.seats == 666:
        raise ValueError("no")
    return {"name": event.name, "seats": event.seats + (row["seats"] if row else 0)}


def touches(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(pl.col("data").str.json_path_match("$.name").alias("name"))


def change(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    name, seats = (pl.col("data").str.json_path_match(f"$.{field}") for field in ("name", "seats"))
    fresh = events.select(name.alias("name"), seats.cast(pl.Int64).alias("seats"))
    return pl.concat([current, fresh]).group_by("name").agg(pl.col("seats").sum())


def declared(name: str, form: Any, **more: Any) -> Projection:
    types = {"event_types": TYPES} if isinstance(form, Handlers) else {"types": ("Booked",)}
    return Projection(name=name, version=1, key=("name",), columns=COLUMNS, form=form, **types | more)


SQL = declared("by_sql", Sql("select data ->> 'name' as name, (data ->> 'seats')::bigint as seats from events", {"seats": "sum"}))
FRAME = declared("by_frame", Frame(touches, change))
HANDLERS = declared("by_handlers", Handlers(on={Booked: book}, key=lambda event, place: event.name))
STREAMS = declared("by_stream", Sql("select stream_id as name, count(*) as seats from events group by all", {"seats": "sum"}))
TABLE = typed_table(TYPES, "Booked")
ALL = (SQL, FRAME, HANDLERS, STREAMS, TABLE)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "warehouse")


@pytest.fixture
def store(place: str) -> Iterator[DeltaEventStore]:
    with open_store(place, create=True) as store:
        for number in range(6):
            name = f"{SECRET}-{number}" if number < 2 else "plain"
            store.append(f"guest-{number}", [Event("Booked", {"name": name, "seats": 1 + number}, tags=[f"guest:{number}"])])
        yield store


def rows(place: str, projection: Projection) -> list[dict[str, Any]]:
    return list(ServingModel(place, projection).rows().to_pylist())


def test_read_models_say_nothing_of_it_any_more_nor_does_any_byte_of_the_warehouse(store: DeltaEventStore, place: str) -> None:
    for projection in ALL:
        catch_up(store, ServingModel(place, projection))
    rebuild(store, place, SQL)                     # so that an older build is kept
    report = erase_everywhere(store, place, ALL, Erasure(streams=["guest-0", "guest-1"]), now=True, values=[SECRET], **WHO)
    assert traces(place, [SECRET]) == []
    assert [one.what for one in report.remains] == ["backups and copies"]
    assert "there is no trace of them" in str(report.gone)
    for projection in (SQL, FRAME, HANDLERS):
        assert rows(place, projection) == [{"name": "plain", "seats": 18}], projection.name
    assert [(row["version"], row["name"], row["seats"]) for row in rows(place, TABLE)][:3] == [(1, None, None), (1, None, None), (1, "plain", 3)]


def test_model_that_reads_no_payload_is_left_as_it_is(store: DeltaEventStore, place: str) -> None:
    chosen = (STREAMS, SQL, *BUILT_IN)             # those that every warehouse has tell the bytes of the data
    for projection in chosen:
        catch_up(store, ServingModel(place, projection))
    erase_everywhere(store, place, chosen, Erasure(streams=["guest-0"]), **WHO)
    assert [[build.build for build in Builds(place).of(one)] for one in chosen] == [["v1"], ["v1-2"], ["v2-2"], ["v1-2"]]


def test_model_of_other_types_or_categories_is_left_as_it_is(store: DeltaEventStore, place: str) -> None:
    select = SQL.form.select  # type: ignore[attr-defined]
    others = [declared("other_type", Sql(select, {"seats": "sum"}), types=("Other",)), declared("other_category", SQL.form, categories=("airport",))]
    for projection in others:
        catch_up(store, ServingModel(place, projection))
    report = erase_everywhere(store, place, others, Erasure(streams=["guest-0"]), **WHO)
    assert not [told for told in report.gone if "read model" in told]


def test_rebuild_and_catching_up_come_to_the_same_after_an_erasure(store: DeltaEventStore, place: str) -> None:
    store.erase(Erasure(streams=["guest-0", "guest-3"]), **WHO)
    for projection in ALL:
        caught_up = MemoryModel(projection)
        catch_up(store, caught_up)
        rebuild(store, place, projection)
        key = [(name, "ascending") for name in projection.key]
        assert rows(place, projection) == caught_up.rows().sort_by(key).to_pylist(), projection.name


def test_row_without_a_key_that_no_erasure_explains_is_refused_as_ever(store: DeltaEventStore, place: str) -> None:
    store.append("guest-9", [Event("Booked", {"seats": 1})])
    store.erase(Erasure(streams=["guest-0"]), **WHO)
    with pytest.raises(Exception, match="a row has no name"):
        catch_up(store, ServingModel(place, SQL))


def test_dead_letters_of_the_streams_are_thrown_away(store: DeltaEventStore, place: str) -> None:
    cursed = Event("Booked", {"name": f"{SECRET}-7", "seats": 666})
    store.append_many([Append("guest-7", [cursed]), Append("guest-8", [Event("Booked", {"seats": "x"})])])
    letters = DeadLetters(place)
    catch_up(store, ServingModel(place, HANDLERS), failing=Park(letters))
    assert len(letters.all()) == 2
    report = erase_everywhere(
        store, place, [HANDLERS], Erasure(where_field=("name", f"{SECRET}-7")), now=True, values=[f"{SECRET}-7"], failing=Park(letters), **WHO
    )
    assert set(letters.all()["stream_id"].to_pylist()) == {"guest-8"}
    assert "there is no trace of them" in str(report.gone)


def test_model_that_cannot_be_rebuilt_is_named_and_done_by_the_next_call(store: DeltaEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, HANDLERS))
    erasure = Erasure(streams=["guest-0", "guest-1"])
    with Leases(place).held("by_handlers"):
        report = erase_everywhere(store, place, [HANDLERS], erasure, now=True, **WHO)
        assert "a read model to rebuild" in {one.what for one in report.remains}
    again = erase_everywhere(store, place, [HANDLERS], erasure, now=True, values=[SECRET], **WHO)
    assert again.events == 0
    assert traces(place, [SECRET]) == []
    third = erase_everywhere(store, place, [HANDLERS], erasure, now=True, **WHO)
    assert not [told for told in third.gone if "read model" in told]


def test_build_in_the_making_that_read_it_before_is_dropped(store: DeltaEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, SQL))
    Builds(place).begin(SQL)
    making = Builds(place).unfinished(SQL)
    assert making is not None
    erase_everywhere(store, place, [SQL], Erasure(streams=["guest-0"]), **WHO)
    assert [(build.build, build.state) for build in Builds(place).of(SQL)] == [("v1-2", "serving")]


def test_dry_run_names_the_models_and_changes_nothing(store: DeltaEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, SQL))
    report = erase_everywhere(store, place, ALL, Erasure(streams=["guest-0"]), dry_run=True, **WHO)
    assert [one.where for one in report.remains] == ["by_sql, by_frame, by_handlers, booked_events"]
    assert {row["name"] for row in rows(place, SQL)} == {f"{SECRET}-0", f"{SECRET}-1", "plain"}


def test_live_model_begins_anew(store: DeltaEventStore) -> None:
    with Live(store, MemoryModel(SQL)) as live:
        wait_for(live, store.head())
        assert live.row_count() == 3
        store.erase(Erasure(streams=["guest-0", "guest-1"]), **WHO)
        waited = threading.Event()
        for _ in range(2_000):
            if live.row_count() == 1:
                break
            waited.wait(0.005)
        assert live.rows("name").to_pylist() == [{"name": "plain"}]
        wait_for(live, store.append("guest-2", [Event("Booked", {"name": "later", "seats": 1})]).position)
        assert live.row_count() == 2


def test_reactor_does_nothing_about_it(store: EventStore, place: str) -> None:
    seen: list[int] = []
    reactor = Reactor(name="seen", version=1, on={Booked: lambda event, at: seen.append(at.position)}, event_types=TYPES, after=0)
    store.erase(Erasure(streams=["guest-0", "guest-1"]), **WHO)
    react(store, reactor, MemoryModel(reactor.mark))
    assert seen == [3, 4, 5, 6]


def test_nothing_is_erased_where_its_traces_cannot_be_searched_for(store: DeltaEventStore, place: str) -> None:
    with pytest.raises(InvalidEventError, match="search for 4 at least"):
        erase_everywhere(store, place, ALL, Erasure(streams=["guest-0"]), values=["Ada"], **WHO)
    assert list(store.audit.deeds()) == []


def test_reapplied_erasures_reach_the_read_models_too(store: DeltaEventStore, place: str, tmp_path: Path) -> None:
    from store import backup, restore

    backup(place, str(tmp_path / "backup"))
    store.erase(Erasure(streams=["guest-0", "guest-1"]), **WHO)
    again = str(tmp_path / "again")
    restore(str(tmp_path / "backup"), again)
    with open_store(again) as restored:
        catch_up(restored, ServingModel(again, SQL))
        report = reapply_everywhere(restored, again, [SQL], store, now=True, values=[SECRET], **WHO)
    assert rows(again, SQL) == [{"name": "plain", "seats": 18}]
    assert "there is no trace of them" in str(report.gone)
