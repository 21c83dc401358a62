"""The types that a column of a projection can have."""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""What every engine reads alike."""

SINGLE: Final = (pa.string(), pa.bool_(), pa.int32(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us", tz="UTC"))
"""With decimal128: what Delta, Arrow and DuckDB all hold without changing it, so that a row read back is the row written."""


def is_held(kind: pa.DataType) -> bool:
    """Can a column be of this type?"""
    if pa.types.is_list(kind):
        return is_held(kind.value_type)
    if pa.types.is_struct(kind):
        names = [member.name for member in kind]
        return 0 < len(names) == len(set(names)) and all(NAME.fullmatch(member.name) and is_held(member.type) for member in kind)
    return kind in SINGLE or bool(pa.types.is_decimal128(kind))
