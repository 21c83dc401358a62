"""What is tried again, and what is not: an error that a second try does not change ends the run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from projections import CheckpointMovedError, ProjectionError
from store import ContentionError, OutcomeUnknownError, StorageError, StoreError, TableMovedError

TRYING: Final = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
_PASSING: Final = (CheckpointMovedError, ContentionError, OutcomeUnknownError, StorageError, TableMovedError)


@contextmanager
def hopeless_at_once() -> Iterator[None]:
    """Inside, errors of the store and the projections that do not pass by themselves are failures that Dagster does not retry."""
    try:
        yield
    except _PASSING:
        raise
    except (ProjectionError, StoreError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
