"""An outside target: a function that reaches beyond the log, behind a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from projections.errors import TargetUnavailableError
from store import Breaker, LoggingObserver, Observer

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""So long something is tried again and again. Longer than a breaker stays open, so that one trial of it at least is made."""
FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0


class Target:
    """Call it as the function, with `idempotency_key=`; one object for each thing outside, as the breaker counts its failures in a row.

    `function` is called at least once for each key, so it hands the key on, or remembers it. Errors of the classes `refusals` are
    answers: they are raised at once and never open the breaker. TargetUnavailableError: the breaker is open, it was not called.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], *, refusals: tuple[type[Exception], ...] = (), observer: Observer | None = None
    ) -> None:
        self.name, self.refusals, self._function = name, refusals, function
        self._breaker = Breaker(name, observer or LoggingObserver(), self._failure, unavailable=TargetUnavailableError)

    def __call__(self, *args: Any, idempotency_key: str) -> Any:
        with self._breaker.call():
            return self._function(*args, idempotency_key=idempotency_key)

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    def _failure(self, error: Exception) -> str | None:
        return None if isinstance(error, self.refusals) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True, init=False)
class Call:
    """The effect of calling a target with these arguments."""

    target: Target
    args: tuple[Any, ...]

    def __init__(self, target: Target, *args: Any) -> None:
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "args", args)


def insist(attempt: Callable[[], T], patience_s: float, final: tuple[type[Exception], ...]) -> T:
    """What the attempt gives; tried again, after growing waits, for so long. Then its last error is raised; `final` ones at once."""
    again = retry_if_exception(lambda error: isinstance(error, Exception) and not isinstance(error, final))
    waits = wait_random_exponential(multiplier=FIRST_WAIT_S, max=_LONGEST_WAIT_S)
    return Retrying(retry=again, wait=waits, stop=stop_after_delay(patience_s), reraise=True)(attempt)
