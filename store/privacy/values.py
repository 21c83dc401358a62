"""Personal values, and where one stands in another text: as it is, or as JSON or Python writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

SHORT: Final = 4
"""Characters of a value: shorter ones stand in longer words by chance, so they count as words of their own."""
SHORTEST: Final = 2
"""Those below say nothing."""
HIDDEN: Final = "[redacted]"


def texts_of(value: Any) -> Iterator[str]:
    """The texts and the numbers in a value of JSON, however deep they lie; names of members are not values."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(text := str(value)) >= SHORT:
        yield text                                 # short numbers are everywhere


def names_of(value: Any) -> Iterator[str]:
    """Of all members in a value of JSON."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from names_of(inner)


def stand_in(values: Collection[str], texts: Iterable[str]) -> bool:
    """Does one of the values stand in one of the texts?"""
    pattern = _pattern(frozenset(values))
    return pattern is not None and any(pattern.search(text) is not None for text in texts)


def hidden(text: str, values: Collection[str]) -> str:
    """The text with HIDDEN in place of each of the values."""
    pattern = _pattern(frozenset(values))
    return text if pattern is None else pattern.sub(HIDDEN, text)


@lru_cache(64)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    """Of the longest forms first: what is part of another must not break it up."""
    forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
    return re.compile("|".join(map(_alternative, sorted(forms, key=len, reverse=True)))) if forms else None


def _forms(value: str) -> set[str]:
    """As it is, or as JSON; and each of these as Python or JSON writes it once more, within a longer text or by itself."""
    plain = {value, *_as_json(value)}
    return plain | {form for text in plain for form in (*_as_json(text), *_as_python(repr, text), *_as_python(ascii, text))} | _as_bytes(value)


def _as_json(text: str) -> set[str]:
    return {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _as_python(shown: Callable[[str], str], text: str) -> set[str]:
    """The quotes that Python takes for a text depend on what else stands in it, and so does which of them it escapes."""
    escaped = shown(f"{text}\"'")[1:-4]
    return {escaped, escaped.replace("\\'", "'")}


def _as_bytes(value: str) -> set[str]:
    return {repr(value.encode("utf-8", "surrogatepass"))[2:-1]}


def _alternative(form: str) -> str:
    return re.escape(form) if len(form) >= SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
