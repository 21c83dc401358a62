from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from projections import (
    ApplyError,
    Call,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    DeclarationError,
    EffectError,
    MemoryModel,
    Place,
    Reactor,
    SupersededError,
    Target,
    TargetUnavailableError,
    catch_up,
    follow_reactors,
    react,
)
from projections.reactors import reacting, target
from projections.running import following
from store import NO_STREAM, Append, Event, EventType, EventTypes, MemoryEventStore, RecordedEvent, Rename, Split


class Ordered(msgspec.Struct, frozen=True):
    item: str


class Sent(msgspec.Struct, frozen=True):
    item: str


types = EventTypes(EventType("Ordered", Ordered), EventType("Sent", Sent))


def send(event: Ordered, place: Place) -> Iterator[Append]:
    yield Append(f"parcel-{place.stream_id}", [types.event(Sent(event.item)), types.event(Sent(event.item))])


def shop(reaction: Callable[[Any, Place], Any] = send, **changed: Any) -> Reactor:
    return Reactor(**{"name": "shop", "version": 1, "on": {Ordered: reaction}, "event_types": types, "patience_s": 0.0, **changed})


def order(store: MemoryEventStore, *items: str) -> int:
    return store.append("order-1", [types.event(Ordered(item)) for item in items]).position


def sent(store: MemoryEventStore) -> list[RecordedEvent]:
    return list(RecordedEvent.each(store.read_all(types=["Sent"]).read_all()))


@pytest.fixture
def log() -> MemoryEventStore:
    return MemoryEventStore()


@pytest.fixture
def mark() -> MemoryModel:
    return MemoryModel(shop().mark)


class Letters:
    """A target that remembers what it was given, and fails as often as it is told."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.failures: list[Exception] = []
        self.target = Target("letters", self.write, refusals=(LookupError,))

    def write(self, item: str, idempotency_key: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.keys.append(f"{item} {idempotency_key}")

    def reaction(self, event: Ordered, place: Place) -> list[Call]:
        return [Call(self.target, event.item), Call(self.target, event.item)]


@pytest.fixture
def letters() -> Letters:
    return Letters()


def test_a_new_reactor_reacts_to_what_comes_and_to_nothing_old(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, "old")
    assert react(log, shop(), mark) == (react(log, shop(), mark))
    order(log, "new")
    done = react(log, shop(), mark)
    assert (done.events, done.effects, done.checkpoint) == (1, 1, 2)
    assert [event.payload()["item"] for event in sent(log)] == ["new", "new"]


def test_one_that_began_on_an_empty_log_reacts_to_its_first_event(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(), mark)
    order(log, "first")
    assert react(log, shop(), mark).events == 1


def test_one_that_is_told_where_to_begin_begins_there(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, "a", "b", "c")
    react(log, shop(after=1), mark)
    assert [event.payload()["item"] for event in sent(log)] == ["b", "b", "c", "c"]
    react(log, shop(after=0), mark)
    assert len(sent(log)) == 4


def test_effects_carry_their_cause(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(), mark)
    log.append("order-1", [types.event(Ordered("a"), correlation_id="trip"), types.event(Ordered("b"))])
    react(log, shop(), mark)
    causes = list(RecordedEvent.each(log.read_stream("order-1")))
    assert [event.causation_id for event in sent(log)] == [causes[0].event_id] * 2 + [causes[1].event_id] * 2
    assert [event.correlation_id for event in sent(log)] == ["trip"] * 2 + [causes[1].correlation_id or causes[1].event_id] * 2


def test_what_comes_before_an_event_that_cannot_be_read_is_reacted_to(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, "a", "b")
    log.append("order-1", [Event("Ordered", {"item": 7}), Event("Ordered", {})])
    order(log, "c")
    for _ in range(2):
        with pytest.raises(ApplyError, match=r"position 3 .*cannot be read"):
            react(log, shop(after=0), mark)
    assert ([event.payload()["item"] for event in sent(log)], mark.checkpoint()) == (["a", "a", "b", "b"], 2)


def test_an_append_repeated_after_a_crash_is_one_append(log: MemoryEventStore) -> None:
    order(log, "a", "b")
    for _ in range(2):                             # a lost mark is the worst of crashes
        react(log, shop(after=0), MemoryModel(shop().mark))
    assert len(sent(log)) == 4


def test_a_new_version_repeats_no_append(log: MemoryEventStore) -> None:
    order(log, "a")
    for version in (1, 2):
        react(log, shop(after=0, version=version), MemoryModel(shop().mark))
    assert len(sent(log)) == 2


def test_a_new_version_goes_on_at_the_old_ones_mark(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(), mark)
    order(log, "a")
    react(log, shop(), mark)
    order(log, "b")
    seen: list[str] = []
    react(log, shop(lambda event, place: seen.append(event.item), version=2, after=0), mark)
    assert seen == ["b"]
    [row] = mark.rows("version", "after").to_pylist()
    assert row == {"version": 2, "after": 1}


def test_an_old_version_is_told_that_a_newer_one_took_over(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(version=2), mark)
    with pytest.raises(SupersededError, match="version 2 by now, this is 1") as told:
        react(log, shop(), mark)
    assert (told.value.version, told.value.newer) == (1, 2)


def test_an_old_version_at_work_cannot_move_the_mark_any_more(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(), mark)
    order(log, "a")
    with pytest.raises(CheckpointMovedError):
        react(log, shop(lambda event, place: react(log, shop(version=2), mark) and None), mark)


def test_calls_get_the_same_keys_each_time(log: MemoryEventStore, letters: Letters) -> None:
    order(log, "a")
    for _ in range(2):
        react(log, shop(letters.reaction, after=0), MemoryModel(shop().mark))
    [cause] = RecordedEvent.each(log.read_stream("order-1"))
    assert letters.keys == [f"a shop:{cause.event_id}:0", f"a shop:{cause.event_id}:1"] * 2


def test_a_call_is_tried_again_as_long_as_there_is_patience(
    log: MemoryEventStore, letters: Letters, mark: MemoryModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "FIRST_WAIT_S", 0.0)
    order(log, "a")
    letters.failures = [ConnectionError("no route")] * 3
    assert react(log, shop(letters.reaction, after=0, patience_s=60.0), mark).effects == 2


def test_a_target_that_stays_away_halts_at_the_mark_and_nothing_is_lost(log: MemoryEventStore, letters: Letters, mark: MemoryModel) -> None:
    order(log, "a", "b", "c")

    def cut_off(event: Ordered, place: Place) -> list[Call]:
        letters.failures = [ConnectionError("no route")] * (event.item == "b")
        return letters.reaction(event, place)

    with pytest.raises(EffectError, match=r"position 2 .*no route.*run it again") as told:
        react(log, shop(cut_off, after=0), mark)
    assert (told.value.position, mark.checkpoint()) == (2, 1)
    assert "no route" in (mark.hold() or pytest.fail("not halted")).why
    react(log, shop(letters.reaction, after=0), mark)
    assert [key.split()[0] for key in letters.keys] == ["a", "a", "b", "b", "c", "c"]
    assert (mark.checkpoint(), mark.hold()) == (3, None)


def test_a_target_that_keeps_failing_is_left_alone(log: MemoryEventStore, letters: Letters, mark: MemoryModel) -> None:
    order(log, "a")
    letters.failures = [ConnectionError("no route")] * 5
    for _ in range(5):
        with pytest.raises(EffectError):
            react(log, shop(letters.reaction, after=0), mark)
    with pytest.raises(EffectError, match="does not answer: 5 calls in a row") as told:
        react(log, shop(letters.reaction, after=0), mark)
    assert isinstance(told.value.__cause__, TargetUnavailableError)
    assert letters.keys == []


def test_a_refusal_is_an_answer(log: MemoryEventStore, letters: Letters, mark: MemoryModel) -> None:
    order(log, "a")
    letters.failures = [LookupError("no such address")] * 9
    for patience_s in (60.0, *[0.0] * 8):          # never tried again, and never opens the breaker
        with pytest.raises(ApplyError, match="no such address"):
            react(log, shop(letters.reaction, after=0, patience_s=patience_s), mark)
    assert (letters.failures, mark.checkpoint()) == ([], 0)


@pytest.mark.parametrize(
    ("reaction", "told"),
    [
        (lambda event, place: 1 // 0, "ZeroDivisionError"),
        (lambda event, place: ["a letter"], "'a letter' is no effect"),
        (lambda event, place: [Append(place.stream_id, [types.event(Sent("a"))], NO_STREAM)], "at version 2"),
    ],
)
def test_what_cannot_be_reacted_to_is_told_with_its_event(log: MemoryEventStore, mark: MemoryModel, reaction: Any, told: str) -> None:
    order(log, "a", "b")
    with pytest.raises(ApplyError, match=told) as failure:
        react(log, shop(lambda event, place: reaction(event, place) if event.item == "b" else (), after=0), mark)
    assert (failure.value.first, failure.value.stream_id) == (2, "order-1")
    assert mark.hold() is not None


def test_the_mark_moves_after_so_many_events(log: MemoryEventStore, mark: MemoryModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reacting, "MARKED_EVENTS", 3)
    order(log, *"abcdefgh")
    seen: list[int] = []

    def watch(event: Ordered, place: Place) -> Iterator[Append]:
        seen.append(mark.checkpoint())
        return send(event, place)

    react(log, shop(watch, after=0), mark)
    assert seen == [0, 0, 0, 3, 3, 3, 6, 6]


def test_the_mark_moves_with_each_slow_event(log: MemoryEventStore, mark: MemoryModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reacting, "MARKED_S", 0.0)
    order(log, *"abc")
    seen: list[int] = []
    react(log, shop(lambda event, place: seen.append(mark.checkpoint()) or send(event, place), after=0), mark)
    assert seen == [0, 1, 2]


def test_two_runners_at_once_append_nothing_twice(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, *"abcdefgh")
    reactor, together, failures = shop(after=0), threading.Barrier(4), list[str]()

    def run() -> None:
        together.wait()
        try:
            react(log, reactor, mark)
        except CheckpointMovedError:
            pass
        except Exception:
            failures.append(traceback.format_exc())

    runners = [threading.Thread(target=run) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert failures == []
    assert [event.payload()["item"] for event in sent(log)] == [item for item in "abcdefgh" for _ in range(2)]


def test_it_stops_after_the_event_under_way(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, *"abc")
    stop = threading.Event()
    done = react(log, shop(lambda event, place: stop.set() if event.item == "b" else send(event, place), after=0), mark, stop=stop)
    assert (done.events, done.checkpoint, mark.checkpoint()) == (2, 2, 2)


def test_old_events_are_reacted_to_in_their_newest_shapes(log: MemoryEventStore, mark: MemoryModel) -> None:
    """A split event is one cause: what follows from its parts gets different ids."""
    parts = Split("Basket", 1, lambda data: [("Ordered", 1, {"item": item}) for item in data["items"]], into=(("Ordered", 1),))
    steps = (Rename("Bought", 1, to="Ordered"), parts)
    renewed = EventTypes(EventType("Ordered", Ordered), EventType("Sent", Sent), steps=steps)
    log.append("order-1", [Event("Bought", {"item": "a"}), Event("Basket", {"items": ["b", "c"]})])
    react(log, shop(event_types=renewed, after=0), mark)
    assert [event.payload()["item"] for event in sent(log)] == ["a", "a", "b", "b", "c", "c"]
    assert len({event.event_id for event in sent(log)}) == 6


def test_a_mark_beyond_the_head_is_refused(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, "a")
    react(log, shop(), mark)
    with pytest.raises(CheckpointBeyondHeadError):
        react(MemoryEventStore(), shop(), mark)


def test_a_mark_is_no_read_model_to_catch_up(log: MemoryEventStore, mark: MemoryModel) -> None:
    order(log, "a")
    with pytest.raises(DeclarationError, match="give the mark to `react`"):
        catch_up(log, mark)
    assert mark.checkpoint() == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "Shop"}, "is no name"),
        ({"version": 0}, "give an int from 1"),
        ({"on": {}}, "on is empty"),
        ({"on": {"Lost": send}}, "do not know"),
        ({"on": {Ordered: lambda event: ()}}, r"let it take \(event, place\)"),
        ({"after": -1}, "0 for the whole log"),
        ({"categories": "order"}, "give a tuple"),
    ],
)
def test_wrong_declarations_are_refused_with_the_remedy(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        shop(**changed)


def test_followed_reactors_react_to_each_other(log: MemoryEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PACE_S", 0.001)
    done, stop = threading.Event(), threading.Event()
    billing = Reactor(name="billing", version=1, on={Sent: lambda event, place: done.set()}, event_types=types, after=0)
    both = [(reactor, MemoryModel(reactor.mark)) for reactor in (shop(after=0), billing)]
    follower = threading.Thread(target=follow_reactors, args=(log, both, stop, lambda *_: None))
    follower.start()
    order(log, "a")
    assert done.wait(30)
    stop.set()
    follower.join(30)
    assert len(sent(log)) == 2


def test_a_follower_waits_for_a_target_and_goes_on(log: MemoryEventStore, letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PACE_S", 0.001)
    stop = threading.Event()
    reactor = shop(lambda event, place: stop.set() if event.item == "last" else letters.reaction(event, place), after=0)
    letters.failures = [ConnectionError("no route")] * 2
    order(log, "a", "last")
    follow_reactors(log, [(reactor, MemoryModel(reactor.mark))], stop, lambda *_: pytest.fail("halted"))
    assert len(letters.keys) == 2


def test_a_mark_says_which_code_moved_it(log: MemoryEventStore, mark: MemoryModel) -> None:
    react(log, shop(), mark)
    react(log, shop(lambda event, place: None), mark)
    rows: pa.Table = mark.rows("fingerprint")
    assert rows["fingerprint"].to_pylist() == [shop(lambda event, place: None).code] != [shop().code]
