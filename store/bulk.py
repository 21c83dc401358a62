"""A table of events to append: checked column by column, completed with ids, all without a Python object per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from store.contract import Contract
from store.correlation import cause
from store.draft import RESERVED, RESERVED_ID, check_text
from store.errors import InvalidEventError
from store.husk import ERASED, no_husks
from store.limits import MAX_EVENT_BYTES, MAX_NAME_BYTES, MAX_STREAM_ID_BYTES, MAX_TAGS
from store.privacy.token import MARK
from store.schema import EVENTS, GIVEN, INSTANT
from store.times import EARLIEST, LATEST

_REQUIRED: Final = ("stream_id", "type", "data")
_TEXTS: Final = (pa.string(), pa.large_string(), pa.string_view(), pa.null())
_UNPRINTABLE: Final = r"[\x00-\x1f\x7f\x{80}-\x{9f}]"
_UUID: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class Bulk:
    """Rows ready to be placed: the columns of `schema.GIVEN`, `occurred_at` null where the commit's time will stand."""

    table: pa.Table
    repeatable: bool
    """Did the caller give the event ids? Only then can a repeat be recognised."""


def bulk(events: pa.Table, contract: Contract | None = None) -> Bulk:
    """Check, by the contract too, and complete. InvalidEventError names the column, the first bad value and its row."""
    _check_columns(events)
    columns = {name: _column(events, name) for name in GIVEN if name in events.column_names}
    _check_names(columns)
    _check_json("data", columns["data"])
    if "metadata" in columns:
        _check_json("metadata", columns["metadata"].drop_null())
    _check_husks(columns)
    _check_sizes(columns)
    _check_ids(columns)
    for name, surrounding in cause()._asdict().items():
        if surrounding is not None and name not in columns:
            check_text(name, surrounding, MAX_NAME_BYTES)
    rows = len(events)
    complete = {name: columns[name] if name in columns else _default(name, rows) for name in GIVEN}
    table = pa.table(complete)
    if contract is not None and rows:
        contract.check_table(table)
    return Bulk(table, "event_id" in columns)


def _check_columns(events: pa.Table) -> None:
    if not isinstance(events, pa.Table):
        raise InvalidEventError("events", type(events).__name__, "is not a pyarrow Table", "give a pa.Table")
    for name in _REQUIRED:
        if name not in events.column_names:
            raise InvalidEventError("events", events.column_names, f"lack the column {name}", f"give at least {', '.join(_REQUIRED)}")
    for name in events.column_names:
        if name not in GIVEN or events.column_names.count(name) > 1:
            raise InvalidEventError("events", name, "is no column to give, or stands twice", f"give some of {', '.join(GIVEN)}, once each")


def _column(events: pa.Table, name: str) -> pa.ChunkedArray:
    """The column in the log's type, without nulls where the log has none."""
    column, wanted = events[name], EVENTS.field(name)
    if name == "occurred_at" and not (pa.types.is_timestamp(column.type) and column.type.tz):
        raise InvalidEventError(name, str(column.type), "is not a timestamp with a time zone", "cast it to timestamp('us', 'UTC')")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if wanted.type == pa.string() and column.type not in _TEXTS:
        raise InvalidEventError(name, str(column.type), "is not a string", "cast the column first")
    try:
        column = column.cast(wanted.type)
        column.validate(full=True)                 # foreign buffers may hold bytes that are no UTF-8
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidEventError(name, str(events[name].type), f"does not fit {wanted.type} ({error})", "cast the column first") from error
    if column.null_count and not wanted.nullable and name not in ("occurred_at", "tags"):
        row = pc.index(column.is_null(), True).as_py()
        raise InvalidEventError(name, None, f"is missing in row {row}", "give a value in every row")
    if name == "tags" and column.null_count:
        column = pc.fill_null(column, pa.scalar([], wanted.type))
    return column


def _check_names(columns: dict[str, pa.ChunkedArray]) -> None:
    _check_text("stream_id", columns["stream_id"], MAX_STREAM_ID_BYTES)
    _refuse("stream_id", columns["stream_id"], pc.starts_with(columns["stream_id"], RESERVED), *RESERVED_ID)
    _check_text("type", columns["type"], MAX_NAME_BYTES)
    for name in ("correlation_id", "causation_id"):
        if name in columns:
            _check_text(name, columns[name].drop_null(), MAX_NAME_BYTES)
    if "tags" in columns:
        tags = columns["tags"]
        _refuse("tags", tags, pc.greater(pc.list_value_length(tags), MAX_TAGS), f"are more than {MAX_TAGS}", "keep the ones you query by")
        _check_text("tags", pc.list_flatten(tags), MAX_NAME_BYTES)
    if "occurred_at" in columns:
        instants = columns["occurred_at"].cast(pa.int64())
        outside = pc.or_(pc.less(instants, EARLIEST), pc.greater(instants, LATEST))
        _refuse("occurred_at", instants, pc.fill_null(outside, False), "is outside the years 1 to 9999", "check its unit")
    if "schema_version" in columns:
        _refuse("schema_version", columns["schema_version"], pc.less(columns["schema_version"], 1), "is below 1", "count shapes from 1")


def _check_text(name: str, column: pa.ChunkedArray, max_bytes: int) -> None:
    column = column.unique()                       # a few names stand for millions of rows
    _refuse(name, column, column.is_null(), "is missing", "give a value in every row")
    _refuse(name, column, pc.equal(pc.binary_length(column), 0), "is empty", f"give 1 to {max_bytes} bytes")
    _refuse(name, column, pc.greater(pc.binary_length(column), max_bytes), f"is over {max_bytes} bytes of UTF-8", "shorten it")
    _refuse(name, column, pc.match_substring_regex(column, _UNPRINTABLE), "holds control characters", "use printable Unicode")
    _refuse(name, column, pc.match_substring(column, MARK), "holds the mark of personal data", f"leave out {MARK}")


def _check_json(name: str, column: pa.ChunkedArray) -> None:
    """Every text is one JSON object. All are checked at once, as the lines of one document; one by one if that fails."""
    odd = column.filter(pc.invert(pc.starts_with(column, "{")))
    _refuse(name, odd, pc.invert(pc.starts_with(pc.ascii_ltrim_whitespace(odd), "{")), "is not a JSON object", "give JSON objects as text")
    for chunk in column.chunks:
        # In brackets of its own no text can complete its neighbour: as many lines as texts means one value each.
        if valid_lines(pc.binary_join_element_wise("[", chunk, "]\n", "")) != len(chunk):
            for text in chunk.to_pylist():
                _check_text_json(name, text)


def valid_lines(lines: pa.StringArray) -> int:
    """How many JSON arrays of one value these lines are; -1 if one of them is none. The quickest way to parse many texts."""
    if not len(lines):
        return 0
    offsets = pa.Array.from_buffers(pa.int32(), len(lines) + 1, [None, lines.buffers()[1]], offset=lines.offset)
    text = memoryview(lines.buffers()[2])[offsets[0].as_py() : offsets[-1].as_py()]
    try:
        return len(_LINES.decode_lines(text))
    except (msgspec.DecodeError, RecursionError):
        return -1


_LINES: Final = msgspec.json.Decoder(tuple[msgspec.Raw])


def _check_text_json(name: str, text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEventError(name, text, f"is not JSON ({error})", "give the text of a JSON object in every row") from error


def _check_husks(columns: dict[str, pa.ChunkedArray]) -> None:
    problem = f"begins with {ERASED}, as only what an erasure leaves does, and is not that"
    remedy = "name the field otherwise; an erased event is moved as it was read, without metadata"
    _refuse("data", columns["data"], no_husks(columns["data"], columns.get("metadata")), problem, remedy)


def _check_sizes(columns: dict[str, pa.ChunkedArray]) -> None:
    size = pc.binary_length(columns["data"])
    if "metadata" in columns:
        size = pc.add(size, pc.fill_null(pc.binary_length(columns["metadata"]), 0))
    too_big = f"is over the limit of {MAX_EVENT_BYTES:,} bytes an event"
    _refuse("data", columns["data"], pc.greater(size, MAX_EVENT_BYTES), too_big, "store it elsewhere and append a reference")


def _check_ids(columns: dict[str, pa.ChunkedArray]) -> None:
    ids = columns.get("event_id")
    if ids is None:
        return
    _refuse("event_id", ids, pc.invert(pc.match_substring_regex(ids, _UUID)), "is not a UUID in lower case", "give the usual 36 characters")
    if pc.count_distinct(ids).as_py() != len(ids):
        counts = pc.value_counts(ids)
        twice = counts.field("values")[pc.index(pc.greater(counts.field("counts"), 1), True).as_py()].as_py()
        raise InvalidEventError("event_id", twice, "stands twice in one table", "give every event an id of its own")


def _refuse(name: str, column: pa.ChunkedArray | pa.Array, bad: pa.ChunkedArray | pa.Array, problem: str, remedy: str) -> None:
    row = pc.index(bad, pa.scalar(True)).as_py()
    if row >= 0:
        raise InvalidEventError(name, column[row].as_py(), problem, remedy)


def _default(name: str, rows: int) -> pa.Array | pa.ChunkedArray:
    match name:
        case "event_id":
            with duckdb.cursor() as connection:    # the default connection serves one thread at a time
                return connection.sql(f"select uuidv7()::varchar as id from range({rows})").to_arrow_table()["id"]
        case "schema_version":
            return pa.repeat(pa.scalar(1, pa.int32()), rows)
        case "tags":
            none = pa.array([], EVENTS.field("tags").type.value_type)
            return pa.ListArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows + 1), none, EVENTS.field("tags").type)
        case "occurred_at":
            return pa.nulls(rows, INSTANT)
        case "correlation_id" | "causation_id":
            return pa.repeat(pa.scalar(getattr(cause(), name), pa.string()), rows)
        case _:
            return pa.nulls(rows, pa.string())
