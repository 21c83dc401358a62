"""Structs of Thrift's compact protocol, as the headers of Parquet's pages are written: field number -> value."""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE = 1, 2


def read_struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The struct that begins there, and where it ends. IndexError: it does not end within the data. ValueError: it is none."""
    fields: dict[int, Any] = {}
    field = 0
    while kind := data[at]:
        at += 1
        if kind >> 4:
            field += kind >> 4
        else:
            field, at = _signed(data, at)
        fields[field], at = _value(data, at, kind & 15)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2:
            return kind == _TRUE, at
        case 3:
            return data[at], at + 1
        case 4 | 5 | 6:
            return _signed(data, at)
        case 7:
            return data[at : at + 8], at + 8
        case 8:
            size, at = _unsigned(data, at)
            return data[at : at + size], at + size
        case 9 | 10:
            return _list(data, at)
        case 12:
            return read_struct(data, at)
    raise ValueError(f"no header of a page holds a value of kind {kind}")


def _list(data: bytes, at: int) -> tuple[list[Any], int]:
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _unsigned(data, at)
    values = []
    for _ in range(size):
        value, at = (data[at] == _TRUE, at + 1) if kind in (_TRUE, _FALSE) else _value(data, at, kind)
        values.append(value)
    return values, at


def _signed(data: bytes, at: int) -> tuple[int, int]:
    number, at = _unsigned(data, at)
    return (number >> 1) ^ -(number & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
