"""A load gives what a full fold gives, now or at any moment of the past."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import (
    NO_STREAM,
    Aggregate,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    Loaded,
    RawEvent,
    RecordedEvent,
    Split,
    StoreClosedError,
    UnknownEventTypeError,
    load,
    load_all,
    load_as_of,
    load_at,
    load_many,
    open_store,
)
from tests.store.deciding.account import Account, Deposited, Opened, Withdrawn, account, evolve, types


@pytest.fixture(autouse=True)
def history(store: EventStore) -> None:
    store.append("account-1", [types.event(Opened("Ada")), types.event(Deposited(100))], expected_version=NO_STREAM)
    store.append("account-2", [types.event(Opened("Bob"))])
    store.append("account-1", [types.event(Withdrawn(30))])
    store.append("accountant-1", [types.event(Opened("Eve"))])
    return


def test_a_state_and_its_place(store: EventStore) -> None:
    loaded = load(store, account, "1")
    assert (loaded.stream_id, loaded.state, loaded.version, loaded.position) == ("account-1", Account("Ada", 70, 3), 3, 4)


def test_a_stream_without_events_has_the_initial_state(store: EventStore) -> None:
    loaded = load(store, account, "3")
    assert (loaded.state, loaded.version, loaded.position) == (account.initial, 0, 0)


def test_what_was_appended_since_is_seen(store: EventStore) -> None:
    load(store, account, "1")
    store.append("account-1", [types.event(Deposited(1))])
    assert load(store, account, "1").state.cents == 71


def test_what_another_process_appended_is_seen(tmp_path: Path) -> None:
    """Another handle is all that a store knows of another process."""
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        other.append("account-1", [types.event(Deposited(1))])
        assert load(store, account, "1").state.cents == 1
        other.append("account-1", [types.event(Deposited(2))])
        assert load(store, account, "1").state.cents == 3


def test_a_stale_state_will_do_where_it_was_said(store: EventStore) -> None:
    load(store, account, "1")
    store.append("account-1", [types.event(Deposited(1))])
    assert load(store, account, "1", stale_s=3600).state.cents == 70
    assert load(store, account, "1").state.cents == 71


@pytest.mark.parametrize("stale_s", [None, "1", -1, float("nan")])
def test_no_time_span_is_refused(store: EventStore, stale_s: float) -> None:
    load(store, account, "1")
    with pytest.raises(InvalidEventError, match="stale_s"):
        load(store, account, "1", stale_s=stale_s)


def test_memory_does_not_answer_for_a_closed_store(store: EventStore) -> None:
    load(store, account, "1")
    store.close()
    with pytest.raises(StoreClosedError):
        load(store, account, "1", stale_s=3600)


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_memory_does_not_answer_in_a_forked_child(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        load(store, account, "1")
        if (child := os.fork()) == 0:
            try:
                load(store, account, "1", stale_s=3600)
            except StoreClosedError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_unchanged_states_are_found_in_memory(store: EventStore) -> None:
    for _ in range(10):
        load(store, account, "1")
    use = store.deciding.cache_use()
    assert (use.hits, use.misses, use.states) == (9, 1, 1)


def test_old_shapes_are_lifted(store: EventStore) -> None:
    store.append("account-1", [Event("Deposited", {"amount": 2.5})])
    assert load(store, account, "1").state.cents == 320


@pytest.mark.parametrize(("version", "cents"), [(0, 0), (1, 0), (2, 100), (3, 70)])
def test_at_a_version(store: EventStore, version: int, cents: int) -> None:
    loaded = load_at(store, account, "1", version)
    assert (loaded.state.cents, loaded.version) == (cents, version)


@pytest.mark.parametrize("version", [-1, True, 1.5, 2**63])
def test_no_version_is_refused(store: EventStore, version: int) -> None:
    with pytest.raises(InvalidEventError, match="is no version"):
        load_at(store, account, "1", version)


def test_a_version_that_the_stream_never_had_is_refused(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="'account-1', which is at 3"):
        load_at(store, account, "1", 4)


@pytest.mark.parametrize(("position", "version"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (99, 3)])
def test_as_of_a_position(store: EventStore, position: int, version: int) -> None:
    loaded = load_as_of(store, account, "1", position)
    assert (loaded.version, loaded.as_of) == (version, min(position, 5))


def test_as_of_a_time_names_the_position(store: EventStore) -> None:
    recorded = [event.recorded_at for event in RecordedEvent.each(store.read_all().read_all())]
    assert load_as_of(store, account, "1", recorded[0] - timedelta(seconds=1)).as_of == 0
    latest = load_as_of(store, account, "1", datetime.now(UTC) + timedelta(seconds=1))
    assert (latest.as_of, latest.version) == (5, 3)


@pytest.mark.parametrize("nowhere", [-1, True, "now"])
def test_as_of_nowhere_is_refused(store: EventStore, nowhere: int) -> None:
    with pytest.raises(InvalidEventError, match="as_of"):
        load_as_of(store, account, "1", nowhere)


def test_an_event_of_an_unknown_type_stops_the_load(store: EventStore) -> None:
    store.append("account-1", [Event("Frozen", {})])
    with pytest.raises(UnknownEventTypeError, match=r"'Frozen'.*register"):
        load(store, account, "1")


def test_a_newer_shape_stops_the_load(store: EventStore) -> None:
    store.append("account-1", [Event("Withdrawn", {"minor_units": 1}, schema_version=2)])
    with pytest.raises(UnknownEventTypeError, match="schema_version 2"):
        load(store, account, "1")


def test_the_aggregate_may_say_what_unknown_events_do(store: EventStore) -> None:
    def frozen(state: Account, event: RawEvent) -> Account:
        return Account(event.type, state.cents, state.events)

    lenient = Aggregate(category="account", initial=Account(), evolve=evolve, types=types, unknown=frozen)
    store.append("account-1", [Event("Frozen", {})])
    assert load(store, lenient, "1").state == Account("Frozen", 70, 3)


def test_without_types_events_come_raw(store: EventStore) -> None:
    counted = Aggregate(category="account", initial=(), evolve=lambda state, event: (*state, (event.type, event.payload())))
    assert load(store, counted, "2").state == (("Opened", {"owner": "Bob"}),)


def test_an_error_in_evolve_names_the_stream(store: EventStore) -> None:
    def broken(state: Account, event: object) -> Account:
        raise KeyError("cents")

    with pytest.raises(KeyError) as raised:
        load(store, Aggregate(category="account", initial=Account(), evolve=broken, types=types), "1")
    assert raised.value.__notes__ == ["while folding versions 1 to 3 of stream 'account-1'"]


def test_many_are_loaded_in_one_pass(store: EventStore) -> None:
    loaded = load_many(store, account, ["2", "1", "3"])
    assert list(loaded) == ["2", "1", "3"]
    assert {id: one.state for id, one in loaded.items()} == {id: load(store, account, id).state for id in loaded}
    assert {one.as_of for one in loaded.values()} == {5}


def test_many_as_of_a_past_moment(store: EventStore) -> None:
    loaded = load_many(store, account, ["1", "2"], as_of=2)
    assert [(one.state, one.version) for one in loaded.values()] == [(Account("Ada", 100, 2), 2), (account.initial, 0)]


def test_none_of_many_is_nothing(store: EventStore) -> None:
    assert load_many(store, account, []) == {}


def test_one_str_is_no_list_of_ids(store: EventStore) -> None:
    """Its letters would be taken for ids."""
    with pytest.raises(InvalidEventError, match="ids 'N14228' are not a list"):
        load_many(store, account, "N14228")


def test_events_that_are_lifted_to_none_count_all_the_same(store: EventStore) -> None:
    """A decision is made at the version of the stream, whatever became of the shapes of its events."""
    split = Split("Old", 1, lambda data: [("Deposited", 1, {"cents": 1})] * data["n"], into=(("Deposited", 1),))
    dropping = EventTypes(EventType("Deposited", Deposited), steps=[split])
    total = Aggregate(category="old", initial=0, evolve=lambda state, event: state + event.cents, types=dropping)
    store.append("old-1", [Event("Old", {"n": 2}), Event("Old", {"n": 0})])
    store.append("old-2", [Event("Old", {"n": 0})])
    expected = {"1": (2, 2, 7), "2": (0, 1, 8)}
    assert {id: _place(load(store, total, id)) for id in "12"} == expected
    assert {id: _place(one) for id, one in load_many(store, total, ["1", "2"]).items()} == expected
    assert {one.stream_id[-1]: _place(one) for one in load_all(store, total)} == expected


def _place(loaded: Loaded[int]) -> tuple[int, int, int]:
    return loaded.state, loaded.version, loaded.position


def test_all_of_a_category_and_no_other(store: EventStore) -> None:
    loaded = list(load_all(store, account))
    assert [(one.stream_id, one.state.owner, one.version) for one in loaded] == [("account-1", "Ada", 3), ("account-2", "Bob", 1)]
    assert [one.version for one in load_all(store, account, as_of=2)] == [2]
    assert list(load_all(store, Aggregate(category="nobody", initial=0, evolve=lambda state, event: state))) == []
