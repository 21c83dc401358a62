"""The rows that handlers make: read from the model, judged one by one, and written as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Final

import pyarrow as pa

_KINDS: Final[Mapping[pa.DataType, type]] = {
    pa.string(): str,
    pa.bool_(): bool,
    pa.int32(): int,
    pa.int64(): int,
    pa.float64(): float,
    pa.date32(): date,
}


class RowShape:
    """Rows are dicts with the declared columns, or objects of a class with fields of these names.

    A value has the very type in which it comes back from the model (str, bool, int, float, date, datetime in UTC, Decimal; lists of them, and
    dicts for structs), so that a handler sees the same row whether it was committed meanwhile or not. What is not so raises ValueError.
    """

    def __init__(self, columns: pa.Schema, key: Sequence[str], row: type) -> None:
        self._columns, self._key, self._row, self._is_dict = columns, tuple(key), row, row is dict
        get: Callable[..., Callable[[Any], Any]] = itemgetter if self._is_dict else attrgetter
        self._values = get(*columns.names) if len(columns) > 1 else _alone(get(*columns.names))
        self.key_of: Callable[[Any], Any] = get(*key)
        """The key of a row: its value, or a tuple of them where the key has several columns."""
        self._of_rows = Judge(columns, key)
        self._of_keys = Judge(pa.schema([columns.field(name) for name in key]), key)
        self._plain_key = str if [columns.field(name).type for name in key] == [pa.string()] else None
        """Of such a key nothing else needs to be asked."""

    def read(self, rows: pa.Table) -> Iterator[Any]:
        """The rows as handlers see them."""
        found = rows.to_pylist()
        return iter(found) if self._is_dict else (self._row(**values) for values in found)

    def check(self, row: Any, key: Any) -> None:
        made: type = row.__class__
        if made is not self._row:  # one of a subclass would come back as another
            raise ValueError(f"it gives {row!r}: give a {self._row.__name__}, or None to delete the row")
        if self._is_dict and len(row) != len(self._columns):
            raise ValueError(f"it gives a row with the columns {', '.join(map(str, row))}: give {', '.join(self._columns.names)}")
        try:
            values = self._values(row)
        except (KeyError, AttributeError) as error:
            raise ValueError(f"it gives a row without the column {error.args[0]!r}") from error
        self._of_rows.check(values)
        if self.key_of(row) != key:
            raise ValueError(f"it gives a row with the key {self.key_of(row)!r} for the key {key!r}: leave the key as it is")

    def check_key(self, key: Any) -> None:
        if key.__class__ is self._plain_key:
            return
        if len(self._key) > 1 and not (isinstance(key, tuple) and len(key) == len(self._key)):
            raise ValueError(f"the key {key!r} is no tuple of {', '.join(self._key)}")
        self._of_keys.check(key if len(self._key) > 1 else (key,))

    def table(self, rows: Iterable[Any]) -> pa.Table:
        return _table(self._columns, map(self._values, rows))

    def keys(self, keys: Iterable[Any]) -> pa.Table:
        return _table(self._of_keys.columns, keys if len(self._key) > 1 else ((key,) for key in keys))


class Judge:
    """Are these values of the declared types? Asked of every event's row, so what was found good once is remembered."""

    def __init__(self, columns: pa.Schema, key: Sequence[str]) -> None:
        self.columns = columns
        self._kinds = [{_kind(field.type)} if field.name in key else {_kind(field.type), type(None)} for field in columns]
        self._good: set[tuple[type, ...]] = set()
        exact = {index: _exactness(field.type) for index, field in enumerate(columns)}
        self._exact = [(index, check) for index, check in exact.items() if check is not None]

    def check(self, values: tuple[Any, ...]) -> None:
        kinds = tuple(map(type, values))
        if kinds not in self._good:
            for field, kind, wanted, value in zip(self.columns, kinds, self._kinds, values, strict=True):
                if kind not in wanted:
                    raise ValueError(f"{field.name} is {value!r}: give {_kind(field.type).__name__}")
            self._good.add(kinds)
        for index, is_exact in self._exact:
            if values[index] is not None and not is_exact(values[index]):
                field = self.columns.field(index)
                raise ValueError(f"{field.name} is {values[index]!r}: it would not come back as it is from {field.type}")


def fields_of(row: type) -> list[str] | None:
    """The names of a row class's fields; None: it is neither a dataclass nor a msgspec Struct."""
    if is_dataclass(row) and isinstance(row, type):
        return [field.name for field in fields(row)]
    names = getattr(row, "__struct_fields__", None)
    return None if names is None else list(names)


def _kind(declared: pa.DataType) -> type:
    if pa.types.is_timestamp(declared):
        return datetime
    if pa.types.is_nested(declared):
        return list if pa.types.is_list(declared) else dict
    return Decimal if pa.types.is_decimal(declared) else _KINDS[declared]


def _exactness(declared: pa.DataType) -> Callable[[Any], bool] | None:
    """What Python's type leaves open. A 64-bit integer is left to Arrow: it is too seldom beyond to be asked of every event."""
    if pa.types.is_timestamp(declared):
        return lambda value: value.tzinfo is not None and not value.utcoffset()
    if pa.types.is_decimal(declared):
        return partial(_is_exact_decimal, declared.precision - declared.scale, Decimal(1).scaleb(-declared.scale))
    if declared == pa.int32():
        return lambda value: -(2**31) <= value < 2**31
    if pa.types.is_list(declared):
        item = _goodness(declared.value_type)
        return lambda value: all(map(item, value))
    if pa.types.is_struct(declared):
        members = {member.name: _goodness(member.type) for member in declared}
        return lambda value: value.keys() == members.keys() and all(good(value[name]) for name, good in members.items())
    return None


def _goodness(declared: pa.DataType) -> Callable[[Any], bool]:
    """Of a value within a list or struct; null is one."""
    kind, exact = _kind(declared), _exactness(declared)
    return lambda value: value is None or (type(value) is kind and (exact is None or exact(value)))


def _is_exact_decimal(digits: int, unit: Decimal, value: Decimal) -> bool:
    """At most so many digits before the point, and no part smaller than the unit."""
    return not value or (value.is_finite() and value.adjusted() < digits and value == value.quantize(unit, context=_WIDE))


_WIDE: Final = Context(prec=76)


def _alone(get: Callable[[Any], Any]) -> Callable[[Any], tuple[Any]]:
    return lambda row: (get(row),)


def _table(columns: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """ValueError, OverflowError or UnicodeError: a value does not fit."""
    values = list(zip(*rows, strict=True))
    if not values:
        return columns.empty_table()
    return pa.Table.from_arrays([pa.array(column, field.type) for column, field in zip(values, columns, strict=True)], schema=columns)
