"""What is tried again, and what is not: an error that a second try does not change ends the run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from projections import CheckpointMovedError, ProjectionError, UnderWayError
from store import ContentionError, EventStore, OutcomeUnknownError, StorageError, StoreError, TableMovedError

TRYING: Final = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
_PASSING: Final = (CheckpointMovedError, ContentionError, OutcomeUnknownError, StorageError, TableMovedError)

LEASE_WAIT_S: Final = 30.0
"""Between two tries to make a build that somebody is making: the lease of one that was killed elsewhere is over before the third."""
LEASE_TRIES: Final = 3


@contextmanager
def hopeless_at_once() -> Iterator[None]:
    """Inside, errors of the store and the projections that do not pass by themselves are failures that Dagster does not retry."""
    try:
        yield
    except _PASSING:
        raise
    except (ProjectionError, StoreError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@contextmanager
def without_values(store: EventStore) -> Iterator[None]:
    """Inside, no error shows a value of an event if the store has the keys of personal data: Dagster keeps what it is told for longer than them.

    That is said of the application's errors, too: of those nothing but the class is left.
    """
    try:
        yield
    except _PASSING:
        raise
    except Exception as error:
        if store.privacy.keyring is None:
            raise
        told = error.outline if isinstance(error, StoreError) else f"{type(error).__name__} (what it says is not shown: it may be personal)"
        raise dg.Failure(told, allow_retries=False) from None


@contextmanager
def later_if_under_way() -> Iterator[None]:
    """Inside, a build that somebody else is making is waited for a while: whoever it was may be dead, and its lease not over yet."""
    try:
        yield
    except UnderWayError as error:
        raise dg.RetryRequested(max_retries=LEASE_TRIES, seconds_to_wait=LEASE_WAIT_S) from error
