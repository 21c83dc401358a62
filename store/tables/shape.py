"""What a log from elsewhere must look like before we believe it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class NotOursError(Exception):
    """A commit or checkpoint that this store did not write, or that is torn. The message says what is wrong."""


class NewerFormatError(NotOursError):
    """A table of a format to come."""


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Refuse what a log from elsewhere may hold in a place where we expect something else, instead of stumbling over it."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotOursError(f"{what} is not of the shape that this store writes ({error!r})") from error


def whole(value: Any, least: int = 0, most: int = 2**63 - 1) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} is no whole number from {least} to {most}")
    return value


def text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is no text")
    return value
