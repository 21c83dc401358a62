"""Storage that keeps failing is left alone, tried now and then, and used again as soon as it answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store import StorageError, StorageUnavailableError
from store.observer import Circuit, Measurement
from store.storage.breaker import FAILURES, OPEN_S, Breaker


class SilenceError(Exception):
    """No answer."""


class RefusalError(Exception):
    """An answer."""


class Storage:
    """A breaker whose clock stands still, and what it told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.seen: list[Measurement] = []
        self.breaker = Breaker("s3://bucket/w", self, lambda error: "no route" if isinstance(error, SilenceError) else None, lambda: self.now_s)

    def record(self, measurement: Measurement) -> None:
        self.seen.append(measurement)

    def call(self, error: BaseException | None = None) -> None:
        with self.breaker.call():
            if error:
                raise error

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(SilenceError):
                self.call(SilenceError())

    def refusal(self) -> StorageUnavailableError:
        with pytest.raises(StorageUnavailableError) as refused:
            self.call(AssertionError("it was called"))
        return refused.value

    def states(self) -> list[str]:
        return [measurement.state for measurement in self.seen if isinstance(measurement, Circuit)]


@pytest.fixture
def storage() -> Storage:
    return Storage()


def test_calls_are_refused_after_enough_failures_in_a_row(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.refusal()


def test_refusal_says_what_failed_since_when_and_when_to_try_again(storage: Storage) -> None:
    before = datetime.now(UTC)
    storage.fail(FAILURES)
    storage.now_s += OPEN_S / 4
    refused = storage.refusal()
    assert isinstance(refused, StorageError)
    assert (refused.place, refused.failures, refused.reason, refused.retry_after_s) == ("s3://bucket/w", FAILURES, "no route", OPEN_S * 3 / 4)
    assert before <= refused.since <= datetime.now(UTC)
    for part in ("s3://bucket/w", f"{refused.since:%H:%M:%S}", "no route", f"{OPEN_S * 3 / 4:.1f} s", "nothing was sent"):
        assert part in str(refused)


@pytest.mark.parametrize("between", [None, RefusalError()], ids=["success", "an answer that says no"])
def test_failures_apart_do_not_count_together(storage: Storage, between: Exception | None) -> None:
    storage.fail(FAILURES - 1)
    if between is None:
        storage.call()
    else:
        with pytest.raises(RefusalError):
            storage.call(between)
    storage.fail(FAILURES - 1)
    storage.call()
    assert storage.seen == []


def test_one_trial_at_a_time_is_let_through(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    with storage.breaker.call():
        assert storage.refusal().retry_after_s > 0
        storage.now_s += 10 * OPEN_S               # however long it takes
        storage.refusal()
    storage.call()


def test_trial_that_is_answered_closes(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    with pytest.raises(RefusalError):
        storage.call(RefusalError())
    storage.fail(FAILURES - 1)
    storage.call()


def test_trial_that_fails_opens_for_as_long_again(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    storage.fail()
    refused = storage.refusal()
    assert (refused.failures, refused.retry_after_s) == (FAILURES + 1, OPEN_S)


def test_trial_that_is_interrupted_makes_way_for_another(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    with pytest.raises(KeyboardInterrupt):
        storage.call(KeyboardInterrupt())
    storage.call()


def test_failure_of_an_older_call_does_not_keep_it_open_longer(storage: Storage) -> None:
    older = storage.breaker.call()
    older.__enter__()
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    assert not older.__exit__(SilenceError, SilenceError(), None)
    storage.call()


def test_trial_that_fails_after_an_older_call_succeeded_leaves_it_closed(storage: Storage) -> None:
    older = storage.breaker.call()
    older.__enter__()
    storage.fail(FAILURES)
    storage.now_s += OPEN_S
    trial = storage.breaker.call()
    trial.__enter__()
    older.__exit__(None, None, None)
    assert not trial.__exit__(SilenceError, SilenceError(), None)
    assert storage.states() == ["open", "half-open", "closed"]
    storage.call()


def test_success_of_an_older_call_closes(storage: Storage) -> None:
    with storage.breaker.call():
        storage.fail(FAILURES)
        storage.refusal()
    storage.call()


def test_observer_hears_of_every_change(storage: Storage) -> None:
    storage.fail(FAILURES)
    storage.refusal()
    storage.now_s += OPEN_S
    storage.fail()
    storage.now_s += OPEN_S
    storage.call()
    storage.call()
    assert storage.states() == ["open", "half-open", "open", "half-open", "closed"]
    assert storage.seen[0] == Circuit("s3://bucket/w", "open", FAILURES, "no route")
