"""Erasing takes out what events say, and nothing else; on every store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from store import Append, CrossLogError, Erasure, Event, EventStore, InvalidEventError, Query, erasure_of, open_logs, reapply
from store.deeds import deeds
from store.husk import husk_data
from store.memory import MemoryEventStore

WHO = {"by": "ann", "why": "asked for it"}


def fill(store: EventStore) -> None:
    """Three customers take turns; each event says whose it is, in its tags and in its data."""
    for number in range(9):
        who = number % 3
        data = {"customer": {"id": str(who), "email": f"secret-{who}@example.org"}, "number": number, "lines": [{"note": f"note-{who}"}, {"free": 1}]}
        event = Event("Ordered" if number % 2 else "Noted", data, tags=[f"customer:{who}"], metadata={"ip": f"10.0.0.{who}"}, correlation_id="c")
        store.append(f"customer-{who}", [event])


def everything(store: EventStore) -> list[dict[str, Any]]:
    """But what the store says of itself."""
    return [row for row in store.read_all().read_all().to_pylist() if not row["stream_id"].startswith("$")]


def husks(store: EventStore) -> list[int]:
    return [row["position"] for row in everything(store) if erasure_of(row["data"])]


def as_husk(row: Mapping[str, Any], erasure_id: str) -> dict[str, Any]:
    return {**row, "data": husk_data(erasure_id), "metadata": None}


@pytest.mark.parametrize(
    ("erasure", "positions"),
    [
        (Erasure(streams=["customer-1"]), [2, 5, 8]),
        (Erasure(streams=["customer-1", "customer-2", "customer-9"]), [2, 3, 5, 6, 8, 9]),
        (Erasure(tag="customer:2"), [3, 6, 9]),
        (Erasure(where_field=("customer.email", "secret-0@example.org")), [1, 4, 7]),
        (Erasure(query=Query(types=["Ordered"], tags=["customer:1"]) | Query(tags=["customer:2"])), [2, 3, 6, 8, 9]),
        (Erasure(types=["Ordered"], after=2, until=6), [4, 6]),
        (Erasure(where="(data ->> '$.number')::int >= 7 or position = 1"), [1, 8, 9]),
        (Erasure(streams=["customer-0"], where="version = (select max(version) from events where stream_id = 'customer-0')"), [7]),
        (Erasure(query=Query()), list(range(1, 10))),
        (Erasure(streams=["nobody-1"]), []),
    ],
)
def test_payload_of_what_was_meant_goes_and_all_else_stays(store: EventStore, erasure: Erasure, positions: list[int]) -> None:
    fill(store)
    before = everything(store)
    report = store.erase(erasure, **WHO)
    assert everything(store) == [as_husk(row, report.erasure_id) if row["position"] in positions else row for row in before]
    assert report.events == len(positions)


def test_same_erasure_again_erases_nothing_and_says_nothing_in_the_audit(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(tag="customer:1"), **WHO)
    after, head = everything(store), store.head()
    assert store.erase(Erasure(tag="customer:1"), **WHO).events == 0
    assert everything(store) == after
    assert store.head() == head


def test_dry_run_says_what_would_go_and_changes_nothing(store: EventStore) -> None:
    fill(store)
    before, head = everything(store), store.head()
    report = store.erase(Erasure(tag="customer:1"), dry_run=True, **WHO)
    assert (report.streams, report.dry_run, store.head()) == ({"customer-1": 3}, True, head)
    assert everything(store) == before


def test_fields_alone_are_replaced_and_the_event_stays_an_ordinary_one(store: EventStore) -> None:
    fill(store)
    before = everything(store)
    fields = {"customer.email": None, "$.lines[*].note": "gone", "nowhere.at.all": 1}
    assert store.erase(Erasure(streams=["customer-1"], fields=fields), **WHO).events == 3
    for row, was in zip(everything(store), before, strict=True):
        if row["stream_id"] == "customer-1":
            was["data"] = was["data"].replace('"secret-1@example.org"', "null").replace("note-1", "gone")
        assert row == was
    assert store.erase(Erasure(streams=["customer-1"], fields=fields), **WHO).events == 0


def test_metadata_goes_beside_fields_if_it_is_asked_for(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(streams=["customer-1"], fields={"number": 0}, metadata=True), **WHO)
    assert {row["metadata"] for row in everything(store) if row["stream_id"] == "customer-1"} == {None}


def test_tags_go_if_it_is_asked_for_also_of_what_was_erased_before(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(streams=["customer-1"]), **WHO)
    assert store.erase(Erasure(streams=["customer-1"], tags=True), **WHO).events == 3
    assert [row["tags"] for row in everything(store)][:3] == [["customer:0"], [], ["customer:2"]]
    assert store.read_all(tags=["customer:1"]).read_all().num_rows == 0


def test_what_is_appended_after_the_erasure_is_not_touched(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(streams=["customer-1"]), **WHO)
    store.append("customer-1", [Event("Ordered", {"number": 99})], expected_version=3)
    assert erasure_of(store.read_stream("customer-1")["data"].to_pylist()[-1]) is None


def test_repeat_of_an_append_is_recognised_after_its_event_was_erased(store: EventStore) -> None:
    event = Event("Noted", {"email": "secret"})
    first = store.append("customer-1", [event], expected_version=0)
    store.erase(Erasure(streams=["customer-1"]), **WHO)
    assert store.append("customer-1", [event], expected_version=0) == first


def test_deeds_say_who_and_why_and_hold_nothing_that_was_erased(store: EventStore) -> None:
    fill(store)
    report = store.erase(Erasure(where_field=("customer.email", "secret-1@example.org")), **WHO)
    told = [deed for _, deed in deeds(store)]
    assert [(deed.type, deed.by, deed.why) for deed in told] == [("ErasureBegan", *WHO.values()), ("Erased", *WHO.values())]
    assert {deed.what["erasure_id"] for deed in told} == {report.erasure_id}
    assert told[0].what["positions"] == "2 5 8"
    assert "secret" not in str(told)


def test_values_are_searched_for_or_it_is_said_that_they_were_not(store: EventStore) -> None:
    fill(store)
    report = store.erase(Erasure(tag="customer:1"), values=["secret-1@example.org"], now=True, **WHO)
    assert "there is no trace of them" in report.gone[-1] or "no value was searched for: this store is in memory" in report.gone[-1]


def test_nothing_is_erased_where_a_value_is_too_short_to_be_searched_for(store: EventStore) -> None:
    fill(store)
    with pytest.raises(InvalidEventError, match="search for 4 at least"):
        store.erase(Erasure(tag="customer:1"), values=["Ada"], **WHO)
    assert husks(store) == []


def test_streams_of_the_stores_own_are_never_erased(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(query=Query(types=["Noted"])), **WHO)
    before = store.read_stream("$audit")
    store.erase(Erasure(query=Query(), tags=True), **WHO)
    assert store.read_stream("$audit").slice(0, len(before)).equals(before)
    with pytest.raises(InvalidEventError, match="one of the store's own"):
        Erasure(streams=["$audit"])


def test_sql_finds_nulls_in_what_was_erased(store: EventStore) -> None:
    fill(store)
    store.erase(Erasure(streams=["customer-1"]), **WHO)
    found = store.sql("select data ->> '$.customer.id', metadata from events where stream_id = 'customer-1'").fetchall()
    assert found == [(None, None)] * 3


def test_state_and_history_in_sql_go_on_without_what_was_erased(store: EventStore) -> None:
    for number in range(3):
        store.append("item-1", [Event("Changed", {f"field{number}": number, "last": number})])
    store.erase(Erasure(after=1, until=2), **WHO)
    ((state, version),) = store.sql("select state, version from state('item')").fetchall()
    assert (json.loads(state), version) == ({"field0": 0, "last": 2, "field2": 2}, 3)
    assert store.sql("select state from history('item-1') order by version").fetchall()[1] == ('{"field0":0,"last":0}',)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "says of no event"),
        ({"streams": []}, "are not a list of some"),
        ({"streams": "customer-1"}, "are not a list of some"),
        ({"tag": ""}, "is empty"),
        ({"where": " "}, "is no condition"),
        ({"where_field": ("a..", "x")}, "is no path"),
        ({"where_field": ("a", 7)}, "is no pair"),
        ({"types": ["T"], "after": -1}, "is no position"),
        ({"query": "Noted"}, "is no Query"),
        ({"streams": ["a-1"], "fields": {}}, "are no mapping"),
        ({"streams": ["a-1"], "fields": {"[0]": None}}, "names no key"),
        ({"streams": ["a-1"], "fields": {"a": object()}}, "is not JSON"),
        ({"streams": ["a-1"], "tags": 1}, "is neither True nor False"),
    ],
)
def test_erasure_that_cannot_be_meant_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidEventError, match=said):
        Erasure(**arguments)


@pytest.mark.parametrize(
    "where", ["no such thing", "position = ", "true) ; drop table x; --", "data = (select content from read_text('/etc/passwd'))"]
)
def test_condition_that_sql_refuses_changes_nothing(store: EventStore, where: str) -> None:
    fill(store)
    before = everything(store)
    with pytest.raises(InvalidEventError, match="is refused"):
        store.erase(Erasure(where=where), **WHO)
    assert everything(store) == before


def test_erasure_without_a_name_or_a_reason_is_refused(store: EventStore) -> None:
    fill(store)
    with pytest.raises(InvalidEventError, match="why '' is empty"):
        store.erase(Erasure(tag="customer:1"), by="ann", why="")
    with pytest.raises(InvalidEventError, match="is no Erasure"):
        store.erase("customer-1", **WHO)  # type: ignore[arg-type]
    assert husks(store) == []


def test_erasures_are_applied_again_to_an_older_copy_and_to_nothing_that_came_anew() -> None:
    with MemoryEventStore() as store, MemoryEventStore() as copy:
        copy._ledger._log = store.log_id           # as a backup's is its source's
        fill(store)
        for row in store.read_all().read_all().to_pylist()[:5]:
            event = Event(row["type"], row["data"].encode(), event_id=row["event_id"], tags=row["tags"])
            copy.append(row["stream_id"], [event])
        for number in range(5, 9):
            copy.append(f"customer-{number % 3}", [Event("Noted", {"new": number})])
        report = store.erase(Erasure(tag="customer:1"), **WHO)
        assert reapply(copy, store, **WHO).streams == {"customer-1": 2}
        assert husks(copy) == [2, 5]
        assert [deed.what["erasure_id"] for _, deed in deeds(copy) if deed.type == "ErasureBegan"] == [report.erasure_id]
        assert {erasure_of(row["data"]) for row in everything(copy)} == {None, report.erasure_id}
        assert reapply(copy, store, **WHO).events == 0


def test_erasure_that_was_killed_on_its_way_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryEventStore() as store:
        fill(store)

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store._log, "rewrite", killed)
            with pytest.raises(KeyboardInterrupt):
                store.erase(Erasure(tag="customer:1"), **WHO)
        assert husks(store) == []
        reapply(store, **WHO)
        assert husks(store) == [2, 5, 8]


def test_large_selections_are_told_in_several_deeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.erasing.erasure_deed._EVENTS", 2)
    with MemoryEventStore() as store:
        fill(store)
        store.erase(Erasure(types=["Noted"]), **WHO)
        told = [deed.what["positions"] for _, deed in deeds(store) if deed.type == "ErasureBegan"]
        assert told == ["1 3", "5 7", "9"]
        assert reapply(store, **WHO).events == 0


def test_events_over_several_streams_are_erased_at_once(store: EventStore) -> None:
    store.append_many([Append(f"a-{number}", [Event("T", {"x": number})]) for number in range(5)])
    report = store.erase(Erasure(streams=[f"a-{number}" for number in range(5)]), **WHO)
    assert (report.events, len(report.logs)) == (5, 1)
    assert "a-0 (1)" in repr(report)
    assert "<table>" in report._repr_html_()
    assert report.to_json()["streams"] == report.streams


def test_table_of_touched_events_is_what_the_report_counts(store: EventStore) -> None:
    numbers = range(300)
    data = [f'{{"n":{number}}}' for number in numbers]
    store.append_table(pa.table({"stream_id": [f"s-{number % 7}" for number in numbers], "type": ["T"] * 300, "data": data}))
    report = store.erase(Erasure(streams=["s-3", "s-4"]), **WHO)
    assert report.streams == {"s-3": 43, "s-4": 43}
    assert len(husks(store)) == 86


@pytest.mark.parametrize("asked", [{"until": 1}, {"after": 1}, {"where": "Position = 1"}])
def test_positions_of_several_logs_name_no_events(tmp_path: Path, asked: dict[str, Any]) -> None:
    """Each log counts its own, readers count over all: the wrong ones would go."""
    with open_logs(tmp_path, create=True) as store:
        store.split("h", 16)
        store.append("s-1", [Event("Noted", {})])
        with pytest.raises(CrossLogError, match="an erasure by positions"):
            store.erase(Erasure(**asked), **WHO)
        assert store.erase(Erasure(streams=["s-1"]), **WHO).events == 1


def test_an_erasure_before_two_splits_is_heard_by_other_processes(tmp_path: Path) -> None:
    with open_logs(tmp_path, create=True) as store, open_logs(tmp_path) as other:
        store.append("s-1", [Event("Noted", {"n": 0})])
        store.split("h", 16)
        middle = store.log_of("s-1")
        store.append("s-1", [Event("Noted", {"n": 1})])
        store.split(middle, 16)
        store.append("s-1", [Event("Noted", {"n": 2})])
        assert [row["data"] for row in other.read_stream("s-1").to_pylist()] == ['{"n":0}', '{"n":1}', '{"n":2}']
        report = store.erase(Erasure(streams=["s-1"], where_field=("n", "0")), **WHO)
        assert [erasure_of(row["data"]) for row in other.read_stream("s-1").to_pylist()] == [report.erasure_id, None, None]
