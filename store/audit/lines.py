"""Events as lines of bytes that anybody can write again from the table: what the digests of a link are made of.

A number is its decimal digits, a time the microseconds since 1970 in UTC. A text is the number of its bytes in UTF-8, a colon, and itself; one
that is null is a minus sign. So no two events have the same line, whatever they hold.

    identity   position version schema_version occurred_at recorded_at, a space after each; then the texts
               stream_id event_id type correlation_id causation_id; then a line feed
    payload    position and a space; the texts data metadata; how many tags and a space; the tags as texts; a line feed
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_INT: Final = pa.int64()


def identities(events: pa.Table) -> pa.StringArray:
    """What no erasure changes: that there was such an event, where, when, and of what type."""
    numbers = [part for name in ("position", "version", "schema_version") for part in (_number(events[name]), " ")]
    times = [part for name in ("occurred_at", "recorded_at") for part in (_number(events[name].cast(_INT)), " ")]
    return _line(*numbers, *times, *map(_text, events.select(["stream_id", "event_id", "type", "correlation_id", "causation_id"]).columns))


def payloads(events: pa.Table) -> pa.StringArray:
    """What the events say."""
    tags = events["tags"].combine_chunks()
    texts = _text(tags.flatten())
    starts = pc.subtract(tags.offsets, tags.offsets[0])
    counted = (_number(pc.list_value_length(tags)), " ", pc.binary_join(pa.ListArray.from_arrays(starts, texts), ""))
    return _line(_number(events["position"]), " ", _text(events["data"]), _text(events["metadata"]), *counted)


def _number(column: Any) -> Any:
    return pc.cast(column, pa.string())


def _text(column: Any) -> Any:
    told = pc.binary_join_element_wise(_number(pc.binary_length(column)), column, ":")
    return pc.coalesce(told, "-") if column.null_count else told


def _line(*parts: Any) -> pa.StringArray:
    lines = pc.binary_join_element_wise(*parts, "\n", "")
    return lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
