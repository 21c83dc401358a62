"""How rows of a file become events: a small TOML file of SQL expressions over the file's columns.

    stream_id = "'aircraft-' || tailnum"
    type = "'FlightDeparted'"
    occurred_at = "make_timestamptz(year, month, day, hour, minute, 0)"
    tags = "['carrier:' || carrier]"
    where = "dep_time is not null"

    [data]
    origin = "origin"
    delay_min = "dep_delay"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as Named
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

_READERS: Final = {
    ".csv": "read_csv", ".tsv": "read_csv", ".json": "read_json", ".jsonl": "read_json", ".ndjson": "read_json", ".parquet": "read_parquet",
}  # fmt: skip
_TYPES: Final = {
    "stream_id": "varchar", "type": "varchar", "event_id": "varchar", "schema_version": "integer", "occurred_at": "timestamptz",
    "correlation_id": "varchar", "causation_id": "varchar", "tags": "varchar[]", "metadata": "varchar",
}  # fmt: skip
_ROW: Final = "file_row"
_SAME_ROW: Final = f"md5(? || '\n' || source.{_ROW} || '\n' || to_json(source)::varchar)::uuid"
"""The id of an event whose mapping gives it none: of the same row, at the same place in a file of the same name."""


class MappingError(Exception):
    """The mapping, or the file, is not as it must be. The message says where, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """SQL expressions. `data`: by field; none: all columns of the file. `where`: which rows, `order_by`: in which order; as in the file."""

    stream_id: str
    type: str
    event_id: str | None = None
    schema_version: str | None = None
    occurred_at: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    tags: str | None = None
    metadata: str | None = None
    where: str = "true"
    order_by: str = _ROW
    data: Named[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """MappingError: it is no TOML, or lacks something, or says what nobody knows."""
        try:
            said: dict[str, Any] = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{path} is no TOML: {error}") from error
        known = [one.name for one in fields(cls)]
        if unknown := said.keys() - set(known):
            raise MappingError(f"{path} says {', '.join(sorted(unknown))}, which nobody knows: take some of {', '.join(known)}")
        if lacking := [name for name in ("stream_id", "type") if name not in said]:
            raise MappingError(f"{path} does not say {' and '.join(lacking)}: give SQL, such as {lacking[0]} = \"'order-' || id\"")
        data = said.pop("data", {})
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise MappingError(f"{path}: data is no table of SQL expressions: write [data], and below it lines such as origin = \"origin\"")
        return cls(data=data, **{name: str(value) for name, value in said.items()})


class Source:
    """A file, and the events that a mapping makes of its rows, in bounded memory. Close it after use.

    Columns as `append_table` wants them. MappingError: an expression cannot be computed, it says which; or nobody knows how to read the file.
    """

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self._path, self._mapping, self._duckdb = path, mapping, duckdb.connect()
        suffix = path.with_suffix("").suffix if path.suffix in (".gz", ".zst") else path.suffix
        if suffix.lower() not in _READERS:
            raise MappingError(f"{path} ends in {path.suffix or 'nothing'}: files are read that end in {', '.join(_READERS)}, or these and .gz")
        if not path.is_file():
            raise MappingError(f"there is no file {path}: mind the path")
        self._from = f"(select *, row_number() over () as {_ROW} from {_READERS[suffix.lower()]}({_quoted(str(path))})) as source"
        self._check()

    def count(self) -> int:
        ((rows,),) = self._duckdb.execute(f"select count(*) from {self._from} where {self._mapping.where}").fetchall()
        return int(rows)

    def events(self, rows: int) -> pa.RecordBatchReader:
        """In batches of about so many."""
        named = [] if self._mapping.event_id else [self._path.name]
        query = f"select {', '.join(self._columns())} from {self._from} where {self._mapping.where} order by {self._mapping.order_by}"
        return self._duckdb.sql(query, params=named).to_arrow_reader(rows)

    def close(self) -> None:
        self._duckdb.close()

    def _columns(self) -> list[str]:
        said = {name: getattr(self._mapping, name) for name in _TYPES}
        said["event_id"] = said["event_id"] or _SAME_ROW
        data = self._mapping.data or {name: _identifier(name) for name in self._duckdb.sql(f"from {self._from}").columns if name != _ROW}
        members = ", ".join(f"{_identifier(name)} := ({expression})" for name, expression in data.items())
        chosen = [f"cast(({said[name]}) as {kind}) as {name}" for name, kind in _TYPES.items() if said[name] is not None]
        return [*chosen, f"to_json(struct_pack({members}))::varchar as data"]

    def _check(self) -> None:
        """Each expression by itself, so that it can be said which one is wrong."""
        said = {name: value for name in (*_TYPES, "where", "order_by") if (value := getattr(self._mapping, name)) is not None}
        for name, expression in {**said, **{f"data.{name}": value for name, value in self._mapping.data.items()}}.items():
            try:
                self._duckdb.sql(f"select ({expression}) from {self._from} limit 0")
            except duckdb.Error as error:
                raise MappingError(f"{name} = {expression!r} cannot be computed of {self._path.name}: {str(error).splitlines()[0]}") from error


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
