"""What is to be erased: which events, and how much of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from store.draft import RESERVED, check_text
from store.erasing.json_path import parse, parsed
from store.errors import InvalidEventError
from store.limits import MAX_NAME_BYTES, MAX_STREAM_ID_BYTES
from store.query import Query

_POSITION: Final = re.compile(r"\bposition\b", re.IGNORECASE)
_CHOOSING: Final = ("streams", "tag", "where_field", "query", "types", "after", "until", "where")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Events for which all that is said here holds; something must be said.

        Erasure(streams=["customer-7"])
        Erasure(tag="customer:7")
        Erasure(where_field=("customer.email", "ann@example.org"), fields={"customer.email": None, "customer.name": "erased"})
        Erasure(types=["CommentPosted"], where="recorded_at < timestamptz '2020-01-01'")

    `streams`: of any of these. `tag`: carrying it. `where_field`: (path, value) for `data ->> path = value`. `query`: that it matches. `types`:
    of any of these. `after`, `until`: at positions in (after, until]. `where`: a condition in SQL on the columns of the log, which may look at
    other events of the same log, too; it keeps to what `ask` allows. Where the warehouse has several logs, positions cannot be asked for.
    Streams of the store's own (`$…`) are never erased.

    `fields`: path -> value: only these places of `data` are replaced, where there are such, and the event stays an ordinary one; so `metadata` stays
    too, unless `metadata=True`. Without `fields` all of `data` and `metadata` goes: the event becomes a husk. `tags`: all tags go as well.

    InvalidEventError: nothing is said, or something that cannot be meant.
    """

    streams: Sequence[str] | None = None
    tag: str | None = None
    where_field: tuple[str, str] | None = None
    query: Query | None = None
    types: Sequence[str] | None = None
    after: int = 0
    until: int | None = None
    where: str | None = None
    fields: Mapping[str, Any] | None = None
    metadata: bool = False
    tags: bool = False
    _said: Sequence[str] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        said = [name for name in _CHOOSING if getattr(self, name) not in (None, 0)]
        if not said:
            remedy = "say of which streams, tag, field, query, types or positions; all events: Erasure(query=Query())"
            raise InvalidEventError("erasure", self, "says of no event that it shall go", remedy)
        object.__setattr__(self, "_said", said)
        _check_names("streams", self.streams, MAX_STREAM_ID_BYTES)
        _check_names("types", self.types, MAX_NAME_BYTES)
        for stream_id in self.streams or ():
            if stream_id.startswith(RESERVED):
                raise InvalidEventError("streams", stream_id, "is one of the store's own, which tells what was done", "leave it out")
        if self.tag is not None:
            check_text("tag", self.tag, MAX_NAME_BYTES)
        self._check_conditions()
        self._check_positions()
        if self.fields is not None:
            parsed(self.fields)
        for name in ("metadata", "tags"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidEventError(name, getattr(self, name), "is neither True nor False", "say whether they go as well")

    @property
    def whole(self) -> bool:
        """Does all of the payload go?"""
        return self.fields is None

    @property
    def by_position(self) -> bool:
        """Does it ask where events lie? Of several logs each counts its own positions, and readers see them in one order over all."""
        return bool(self.after) or self.until is not None or (self.where is not None and _POSITION.search(self.where) is not None)

    def told(self) -> str:
        """In words, without the values of fields and conditions: they may be what is to be forgotten."""
        streams, types = self.streams or (), self.types or ()
        parts = {
            "streams": f"streams {', '.join(streams)}" if len(streams) <= 3 else f"{len(streams):,} streams",
            "tag": "a tag",
            "where_field": f"the field {(self.where_field or ('',))[0]}",
            "query": "a query",
            "types": f"types {', '.join(types)}",
            "after": f"positions after {self.after:,}",
            "until": f"positions up to {self.until or 0:,}",
            "where": "a condition in SQL",
        }
        what = "the payload" if self.fields is None else f"the fields {', '.join(self.fields)}"
        return f"{what}{' and the tags' if self.tags else ''} of events by {', '.join(parts[name] for name in self._said)}"

    def _check_conditions(self) -> None:
        if self.query is not None and not isinstance(self.query, Query):
            raise InvalidEventError("query", self.query, "is no Query", "give Query(types=[...], tags=[...])")
        if self.where is not None and (not isinstance(self.where, str) or not self.where.strip()):
            raise InvalidEventError("where", self.where, "is no condition", "give one in SQL, such as type = 'Noted'")
        if self.where_field is not None:
            pair = self.where_field
            if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], str):
                raise InvalidEventError("where_field", pair, "is no pair of a path and a str", 'give such as ("customer.id", "7")')
            parse(pair[0])

    def _check_positions(self) -> None:
        for name, value in (("after", self.after), ("until", self.until)):
            if value is not None and (type(value) is not int or value < 0):
                raise InvalidEventError(name, value, "is no position", "give a number from 0 on")


def _check_names(name: str, values: Sequence[str] | None, max_bytes: int) -> None:
    if values is None:
        return
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InvalidEventError(name, values, "are not a list of some", "give a list of str")
    for value in values:
        check_text(name, value, max_bytes)
