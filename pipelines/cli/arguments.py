"""What may be written on a command line, and what is understood by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter, Token, validators

from store import ANY, NO_STREAM, STREAM_EXISTS, AsOf, ExpectedVersion

QUIET: Final = Parameter(negative=(), show_default=False, show_choices=False)
"""Help says in words what is so if nothing is said; and nobody writes --no-json."""
_EXPECTED: Final[dict[str, ExpectedVersion]] = {"any": ANY, "none": NO_STREAM, "exists": STREAM_EXISTS}


def time_of(text: str) -> datetime:
    """ValueError: it is none, or lacks a zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write it such as 2013-02-08T18:00-05:00, or with Z for UTC") from None
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add one, such as {text if 'T' in text or ' ' in text else f'{text}T00:00'}Z for UTC")
    return time


def place_of(text: str) -> AsOf:
    """A position, or a time."""
    return int(text) if text.isascii() and text.isdecimal() else time_of(text)


def expected_of(text: str) -> ExpectedVersion:
    if text in _EXPECTED:
        return _EXPECTED[text]
    if text.isascii() and text.isdecimal():
        return int(text)
    raise ValueError(f"{text!r} is no expectation: write {', '.join(_EXPECTED)} or the exact version")


def _time(_: Any, tokens: Sequence[Token]) -> datetime:
    return time_of(tokens[0].value)


def _place(_: Any, tokens: Sequence[Token]) -> AsOf:
    return place_of(tokens[0].value)


def _expected(_: Any, tokens: Sequence[Token]) -> ExpectedVersion:
    return expected_of(tokens[0].value)


Count = Annotated[int, Parameter(validator=validators.Number(gte=0))]
"""A number that counts something, from 0 on."""
Time = Annotated[datetime, Parameter(converter=_time, n_tokens=1)]
Place = Annotated[AsOf, Parameter(converter=_place, n_tokens=1)]
Expected = Annotated[ExpectedVersion, Parameter(converter=_expected, n_tokens=1)]
Dry = Annotated[bool, Parameter(help="Say what would be done; change nothing.")]
Now = Annotated[bool, Parameter(help="Remove the files at once that still hold it. Readers of an older state may miss theirs.")]
Sure = Annotated[bool, Parameter(name=("--yes", "-y"), help="Do not ask.")]
