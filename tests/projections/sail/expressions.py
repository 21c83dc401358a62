"""Every kind of expression that is translated, each with the column that it fills, and events on which engines are known to differ."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st

from store import Event

TIME: Final = pa.timestamp("us", tz="UTC")
EXPRESSIONS: Final[tuple[tuple[str, pa.DataType], ...]] = (
    ("data ->> 'x'", pa.string()),
    ("json_extract_string(data, '$.x')", pa.string()),
    ("data ->> '$.deep.x'", pa.string()),
    ("metadata ->> 'x'", pa.string()),
    ("(data ->> 'x')::bigint", pa.int64()),
    ("(data ->> 'x')::int", pa.int32()),
    ("(data ->> 'x')::smallint", pa.int64()),
    ("(data ->> 'x')::boolean", pa.bool_()),
    ("(data ->> 'x')::double", pa.float64()),
    ("(data ->> 'x')::decimal(12, 3)", pa.decimal128(12, 3)),
    ("(data ->> 'x')::decimal(38, 0)", pa.decimal128(38, 0)),
    ("(data ->> 'x')::date", pa.date32()),
    ("(data ->> 'x')::timestamptz", TIME),
    ("(data ->> 'x')::timestamp", TIME),
    ("data ->> 'x'", pa.int64()),
    ("substr(data ->> 'x', 2)::int", pa.int64()),
    ("(data ->> 'x') is null", pa.bool_()),
    ("data ->> 'x' = 'null' or not data ->> 'x' <> 'true'", pa.bool_()),
    ("data ->> 'x' in ('a', '1', '1.10')", pa.bool_()),
    ("data ->> 'x' not in ('a', null)", pa.bool_()),
    ("data ->> 'x' < data ->> 'y'", pa.bool_()),
    ("data ->> 'x' between 'a' and 'b'", pa.bool_()),
    ("coalesce(data ->> 'x', data ->> 'y', 'none')", pa.string()),
    ("(data ->> 'x') || ': ' || (data ->> 'y')", pa.string()),
    ("length(data ->> 'x')", pa.int64()),
    ("strlen(data ->> 'x') + strlen(data)", pa.int64()),
    ("(data ->> 'x')[2:3]", pa.string()),
    ("(data ->> 'x')[length('a') + 1:]", pa.string()),
    ("(data ->> 'x')[:2]", pa.string()),
    ("substring(data ->> 'x', 2, 2)", pa.string()),
    ("split_part(data ->> 'x', 'a', 2)", pa.string()),
    ("split_part(stream_id, '-', 1)", pa.string()),
    ("starts_with(data ->> 'x', 'a') and ends_with(data ->> 'x', 'a') or contains(data ->> 'x', '\\')", pa.bool_()),
    ("(data ->> 'n')::bigint + 1", pa.int64()),
    ("-(data ->> 'n')::bigint * 1000 - version", pa.int64()),
    ("(data ->> 'n')::bigint * (data ->> 'n')::bigint", pa.int64()),
    ("(data ->> 'n')::int + (data ->> 'n')::int", pa.int64()),
    ("(data ->> 'n')::bigint", pa.int32()),
    ("(data ->> 'n')::bigint", pa.decimal128(12, 2)),
    ("(data ->> 'n')::bigint", pa.decimal128(38, 2)),
    ("(data ->> 'n')::bigint > 15", pa.bool_()),
    ("((data ->> 'n')::bigint > 15 and type = 'A')::bigint", pa.int64()),
    ("if(type = 'A', (data ->> 'n')::bigint, 0)", pa.int64()),
    ("case when type = 'A' then 1 when type = 'it''s' then (data ->> 'n')::bigint end", pa.int64()),
    ("case type when 'A' then 'a' else type end", pa.string()),
    ("(data ->> 'n')::bigint::varchar || (type = 'A')::varchar", pa.string()),
    ("position * 2", pa.int64()),
    ("schema_version", pa.int32()),
    ("schema_version", pa.int64()),
    ("event_id", pa.string()),
    ("correlation_id", pa.string()),
    ("'\\it''s ☃\n'", pa.string()),
    ("null", pa.int64()),
    ("9223372036854775807", pa.int64()),
    ("'2013-02-04'::date", pa.date32()),
    ("timestamptz '2013-02-04 12:00:00.000001+02'", TIME),
    ("occurred_at", TIME),
    ("occurred_at > timestamptz '2013-02-04'", pa.bool_()),
    ("occurred_at::date", pa.date32()),
    ("occurred_at::date > '1969-12-31'::date", pa.bool_()),
    ("occurred_at::date", TIME),
    *((f"date_trunc('{unit}', occurred_at)", TIME) for unit in ("minute", "hour", "day", "week", "month", "quarter", "year")),
    *((f"{part}(occurred_at)", pa.int64()) for part in ("year", "month", "day", "hour", "minute")),
    *((f"{part}(occurred_at::date)", pa.int32()) for part in ("year", "month", "day")),
    *(
        (f"occurred_at at time zone '{zone}'", TIME)
        for zone in ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia")
    ),
    ("(occurred_at at time zone 'Asia/Kathmandu')::date", pa.date32()),
    ("date_trunc('day', occurred_at at time zone 'Europe/London')", TIME),
    ("hour(occurred_at at time zone 'America/St_Johns')", pa.int64()),
)  # fmt: skip

ODD: Final = (
    "", " ", "a", "aXa", "a\\a", "\\", "'", '"', "null", "true", "false", "TRUE", "t", "yes", "1", "01", "+1", " 1", "1 ", "1_0", "1.0", "1.10",
    "1e2",
    "-0", "-0.0", "0.0005", "1.0005", "1.9999", "123456789.123", "1234567890.1", "99999999999", "999999999999999999", "9223372036854775807",
    "9223372036854775808", "123456789012345678901234567890", "NaN", "inf", "-1.5e3", "1e400", "5e-324", "0.1", "0.30000000000000004", "{", "[1]",
    '{"a":1}', "é", "e\u0301", "ß", "🤦🏼‍♂️", "\x00", "\n", "2013-02-04", "2013-02-30", "2013-2-4", "0001-01-01", "9999-12-31", "10000-01-01",
    "2013-02-04T12:00:00Z", "2013-02-04 12:00:00.123456+00:00", "2013-02-04T12:00:00", "2013-02-04T24:00:00Z", "2013-02-04T12:00:60Z",
    "2013-02-04T12:00:00+01:00", "1969-12-31T23:59:59.999999Z", "0999-05-05 05:05:05", "infinity", "12:30",
)  # fmt: skip
RAW: Final = (
    "null", "true", "0", "-0", "1", "-1", "1.0", "1.10", "1.5", "-0.0", "1e2", "0.1e-7", "0.00001", "100000000000000000000.0", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "123456789012345678901234567890", "{}", '{"b": 1.0}', "[1, 2]", "[]", '"\\u00e9\\ud83d\\ude00"',
    '"\\/"', '"1.10"', '"-0"', '"[1, 2]"', '"{\\"a\\": 1}"', '"\\u0000"', "4.35", "0.1", "17.999999999999996", "-273.15",
)  # fmt: skip
NUMBERS: Final = st.one_of(
    st.integers(-(10**19), 10**19), st.sampled_from([0, 15, 16, 2**31 - 1, 2**31, -(2**31) - 1, 3037000500, 2**63 - 1, -(2**63), 2**63])
)
_SAID: Final = st.one_of(
    st.sampled_from(RAW),
    st.sampled_from(ODD).map(json.dumps),
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
    NUMBERS.map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**9), 10**9, places=3).map(lambda number: json.dumps(str(number))),
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda when: json.dumps(f"{when.isoformat()}Z")),
)
_FIELDS: Final = st.one_of(
    *[st.tuples(_SAID, _SAID, NUMBERS).map(lambda said: f'{{"x":{said[0]},"y":{said[1]},"n":{said[2]},"deep":{{"x":{said[1]}}}}}')] * 8,
    st.tuples(_SAID, _SAID).map(lambda said: f'{{ "x": {said[0]} , "x":{said[1]}, "deep": {said[0]}}}'),
    st.just('{"n": null}'),
    st.just('{"\\u0078": "escaped", "deep": [{"x": 1}]}'),
)
INSTANTS: Final = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)),
    st.sampled_from([datetime(2013, 3, 10, 6, 59, 59, 999999, UTC), datetime(2013, 3, 10, 7, tzinfo=UTC)]),
    st.just(datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)),
)


def _event(type: str, data: str, occurred_at: datetime, said: str, tags: list[str]) -> Event:
    metadata: Any = json.dumps({"x": said}).encode() if said else None
    return Event(type, data.encode("utf-8", "surrogatepass"), occurred_at=occurred_at, metadata=metadata, tags=tags, correlation_id=said or None)


EVENTS: Final = st.builds(
    _event, st.sampled_from(["A", "B", "it's", "b\\n", "{events}"]), _FIELDS, INSTANTS, st.sampled_from(["", "c-1", "é"]),
    st.lists(st.sampled_from(["a", "b", "é", "it's"]), max_size=3, unique=True),
)  # fmt: skip
