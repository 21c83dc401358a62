"""An append that has passed every check which needs no log: its events are encoded and wait for their place.

Done in the caller's own thread, so that one caller's bad or big input never delays or fails a neighbour.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Final

import orjson

from store.append import Append
from store.contract import Contract
from store.correlation import Cause, cause
from store.errors import InvalidEventError
from store.event import Event, Json
from store.expected import Expected, ExpectedVersion
from store.limits import MAX_EVENT_BYTES, MAX_NAME_BYTES, MAX_STREAM_ID_BYTES, MAX_TAGS
from store.privacy.token import MARK, holds_token, may_hold_token
from store.times import EARLIEST, LATEST, microseconds

Row = tuple[str, str, str, int, int | None, str | None, str | None, Sequence[str], str, str | None]
"""The columns of `schema.GIVEN`; `occurred_at` in microseconds, None for the time of the commit."""

RESERVED: Final = "$"
"""With it the ids of the store's own streams begin."""
RESERVED_ID: Final = ("begins with $, as only the store's own streams do", "begin it with another character")

_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+").fullmatch
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_JSON_ONLY: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


@dataclass(slots=True)
class Draft:
    """One stream's part of an append: what is expected, and its events as rows."""

    stream_id: str
    expected_version: ExpectedVersion
    event_ids: list[str]
    rows: list[Row]
    correlation_id: str | None
    """The first one that an event carries."""


def draft(stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion, contract: Contract | None = None) -> Draft:
    """Check, by the contract too, and encode. InvalidEventError names the field, its value and the remedy; it carries the event's correlation id."""
    check_text("stream_id", stream_id, MAX_STREAM_ID_BYTES)
    if stream_id.startswith(RESERVED):
        raise InvalidEventError("stream_id", stream_id, *RESERVED_ID)
    return any_draft(stream_id, events, expected_version, contract)


def any_draft(stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion, contract: Contract | None = None) -> Draft:
    """The same for any stream, the store's own too."""
    check_text("stream_id", stream_id, MAX_STREAM_ID_BYTES)
    check_expected(expected_version)
    _check_many("events", events)
    checked: set[object] = set()
    surrounding = cause()
    rows = [_row(stream_id, event, surrounding, checked, contract) for event in events]
    event_ids = [row[1] for row in rows]
    if len(event_ids) > 1 and len(set(event_ids)) != len(event_ids):
        twice = next(i for i in event_ids if event_ids.count(i) > 1)
        raise InvalidEventError("event_id", twice, "stands twice in one append", "give every event an id of its own")
    correlation_id = next((row[5] for row in rows if row[5] is not None), surrounding.correlation_id)
    return Draft(stream_id, expected_version, event_ids, rows, correlation_id)


def drafts(appends: Sequence[Append], contract: Contract | None = None) -> list[Draft]:
    """Check and encode the parts of one atomic append; every stream may stand in it once."""
    _check_many("appends", appends)
    made = [_part(append, contract) for append in appends]
    named: set[str] = set()
    for part in made:
        if part.stream_id in named:
            raise InvalidEventError("stream_id", part.stream_id, "stands twice in one append_many", "put all its events into one Append")
        named.add(part.stream_id)
    return made


def _part(append: Append, contract: Contract | None) -> Draft:
    if not isinstance(append, Append):
        raise InvalidEventError("append", append, "is not an Append", "append Append(stream_id, events, expected_version) objects")
    return draft(append.stream_id, append.events, append.expected_version, contract)


def _check_many(field: str, values: object) -> None:
    if values.__class__ is not list and not isinstance(values, Iterable):
        raise InvalidEventError(field, values, "are not a list", "put it in a list, even one alone")


def _row(stream_id: str, event: Event, surrounding: Cause, checked: set[object], contract: Contract | None) -> Row:
    """`surrounding`: the ids of an event without its own. `checked`: names found good in this append already; most events of one share theirs."""
    if not isinstance(event, Event):
        raise InvalidEventError("event", event, "is not an Event", "append Event(type, data, ...) objects")
    correlation_id = surrounding.correlation_id if event.correlation_id is None else event.correlation_id
    causation_id = surrounding.causation_id if event.causation_id is None else event.causation_id
    try:
        data = encode_json("data", event.data)
        metadata = None if event.metadata is None else encode_json("metadata", event.metadata)
        if metadata is not None and may_hold_token(metadata) and holds_token(metadata):
            raise InvalidEventError("metadata", event.metadata, "holds a token of personal data", "keep it in data, in a field that is declared")
        if len(data) > MAX_EVENT_BYTES // 8 or metadata is not None:
            check_size(data, metadata)
        for field, name in (("type", event.type), ("correlation_id", correlation_id), ("causation_id", causation_id)):
            if name is None and field != "type":
                continue
            if not isinstance(name, str) or name not in checked:
                check_text(field, name, MAX_NAME_BYTES)
                checked.add(name)
        if event.schema_version.__class__ is not int or not 0 < event.schema_version < 2**31:
            raise InvalidEventError("schema_version", event.schema_version, "is not a positive 32-bit int", "count shapes from 1")
        row = (
            stream_id,
            check_uuid(event.event_id),
            event.type,
            event.schema_version,
            None if event.occurred_at is None else instant("occurred_at", event.occurred_at),
            correlation_id,
            causation_id,
            check_tags(event.tags) if event.tags else (),
            data,
            metadata,
        )
        if contract is not None:
            contract.check_event(stream_id, event)
        return row
    except InvalidEventError as error:
        error.of_stream(stream_id).correlation_id = correlation_id if isinstance(correlation_id, str) else None
        raise


def encode_json(field: str, value: Json) -> str:
    """JSON text of a mapping, or the text of JSON bytes, which must hold one object."""
    if isinstance(value, bytes):
        return _checked_json(field, value)
    if not isinstance(value, Mapping):
        raise InvalidEventError(field, value, "is not a mapping", "give a dict with str keys, or the bytes of a JSON object")
    try:
        encoded = orjson.dumps(value if value.__class__ is dict else dict(value), option=_JSON_ONLY)
    except TypeError as error:                     # orjson.JSONEncodeError is a TypeError
        raise InvalidEventError(field, value, f"is not JSON ({error})", "use str keys and JSON values; format dates and numbers yourself") from error
    if b"null" in encoded:                         # orjson writes NaN and infinity as null: look where it came from
        refuse_nan(field, value)
    return encoded.decode()


def _checked_json(field: str, value: bytes) -> str:
    try:
        decoded = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidEventError(field, value, f"is not JSON ({error})", "give the UTF-8 bytes of a JSON object") from error
    if not isinstance(decoded, dict):
        raise InvalidEventError(field, value, "is JSON, but not an object", "wrap it: {\"value\": …}")
    return value.decode()


def refuse_nan(field: str, value: Any) -> None:
    """InvalidEventError: somewhere in it is NaN or infinity, which encoders write as null."""
    if isinstance(value, float) and not isfinite(value):
        raise InvalidEventError(field, value, "is not a JSON number", "leave the key out, or store null yourself")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            refuse_nan(f"{field}.{key}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            refuse_nan(field, inner)


def check_size(data: str, metadata: str | None) -> None:
    size = len(data.encode()) + len((metadata or "").encode())
    if size > MAX_EVENT_BYTES:
        too_big = f"is over the limit of {MAX_EVENT_BYTES:,} bytes an event"
        raise InvalidEventError("data", f"of {size:,} bytes", too_big, "store it elsewhere and append a reference")


def check_text(field: str, value: object, max_bytes: int) -> None:
    """A name: not empty, not over-long, printable, valid Unicode."""
    if not isinstance(value, str):
        raise InvalidEventError(field, value, "is not a str", f"give a str of 1 to {max_bytes} bytes")
    if not value:
        raise InvalidEventError(field, value, "is empty", f"give a str of 1 to {max_bytes} bytes")
    if MARK in value:                              # readers with keys open tokens wherever they stand
        raise InvalidEventError(field, value, "holds the mark of personal data", f"leave out {MARK}")
    if not value.isprintable() and not _PLAIN(value):
        raise InvalidEventError(field, value, "holds control characters or lone surrogates", "use printable Unicode")
    if len(value) * 4 > max_bytes and len(value.encode()) > max_bytes:
        raise InvalidEventError(field, value, f"is over {max_bytes} bytes of UTF-8", "shorten it")


def check_uuid(event_id: object) -> str:
    if isinstance(event_id, str) and _UUID(event_id):
        return event_id
    try:
        return str(event_id if isinstance(event_id, uuid.UUID) else uuid.UUID(event_id))  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidEventError("event_id", event_id, "is not a UUID", "give a uuid.UUID or its text, or leave it out") from error


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Collection):
        raise InvalidEventError("tags", tags, "are not a list", "give a list of str")
    if len(tags) > MAX_TAGS:
        raise InvalidEventError("tags", f"({len(tags)} of them)", f"are more than {MAX_TAGS}", "keep the ones you query by")
    for tag in tags:
        check_text("tags", tag, MAX_NAME_BYTES)
    return tuple(tags)


def check_expected(expected: object) -> None:
    if isinstance(expected, Expected):
        return
    if not isinstance(expected, int) or isinstance(expected, bool) or not 0 <= expected < 2**63:
        raise InvalidEventError("expected_version", expected, "is no expectation", "give a version from 0, NO_STREAM, STREAM_EXISTS or ANY")


def instant(field: str, value: object) -> int:
    """Microseconds since 1970 UTC of an aware datetime."""
    if not isinstance(value, datetime):
        raise InvalidEventError(field, value, "is not a datetime", "give a datetime with a time zone")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidEventError(field, value, "has no time zone", "give an aware datetime, such as datetime.now(timezone.utc)")
    count = microseconds(value)
    if not EARLIEST <= count <= LATEST:            # in its own zone it may be inside, and no reader could show it in UTC
        raise InvalidEventError(field, value, "is outside the years 1 to 9999 in UTC", "give a time that every reader can show")
    return count
