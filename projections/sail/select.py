"""A projection's select as DuckDB's own parser and binder read it, so that nothing is guessed about the dialect that it is written in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import duckdb

from projections.errors import DeclarationError, Fault
from store import EVENTS

Node: TypeAlias = "Mapping[str, Any]"
"""An expression, as DuckDB's `json_serialize_sql` gives it."""

REMEDY: Final = "say it by what docs/projections.md lists as the same on Sail, or leave this one to DuckDB: take another executor for it"
_PLAIN: Final = ("modifiers", "group_expressions", "group_sets", "having", "sample", "qualify")
_FROM: Final = ("alias", "sample", "column_name_alias", "at_clause")


class Unproven(Exception):  # noqa: N818 - it ends as a DeclarationError, which names the projection
    """Nobody has proven that this gives the same on Sail."""


class Select:
    """One plain select over `events`. `columns`: its expressions by their names, with its aliases put in. `where`: None without one.

    Unproven: it is more than that.
    """

    def __init__(self, select: str) -> None:
        self._duckdb = duckdb.connect(config={"enable_external_access": False, "python_enable_replacements": False})
        self._duckdb.execute("set TimeZone = 'UTC'")
        self._duckdb.register("events", EVENTS.empty_table())
        self._types: dict[str, str] = {}
        self._of_columns = {name: str(kind) for name, kind, *_ in self._duckdb.execute("describe events").fetchall()}
        self._whole = json.loads(self._asked("select json_serialize_sql(?)", select))
        self._node = self._whole["statements"][0]["node"]
        self._check_plain()
        self.columns = self._columns([row[0] for row in self._duckdb.execute(f"describe {select}").fetchall()])
        where = self._node["where_clause"]
        self.where = None if where is None else self._resolved(where, self.columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._duckdb.close()

    def type_of(self, node: Node) -> str:
        """What DuckDB says that it is, such as BIGINT or TIMESTAMP WITH TIME ZONE."""
        if node["class"] == "COLUMN_REF" and (known := self._of_columns.get(node["column_names"][0])) is not None:
            return known
        said = self._statement(node)
        if said not in self._types:
            try:
                self._types[said] = str(self._asked_row(f"describe {said}")[1])
            except duckdb.Error as error:          # a lambda's variable, alone
                raise Unproven(self.text(node)) from error
        return self._types[said]

    def value_of(self, node: Node) -> Any:
        """Of an expression that no column is in, as text; None: it is null."""
        return self._asked(f"select ({self._statement(node, None).removeprefix('SELECT ')})::varchar")

    def text(self, node: Node) -> str:
        """As the author may have written it."""
        return self._statement(node, None).removeprefix("SELECT ")

    def _check_plain(self) -> None:
        source = self._node.get("from_table", {})
        tables = source.get("type") == "BASE_TABLE" and source["table_name"].lower() == "events" and not any(source[name] for name in _FROM)
        plain = not any(self._node.get(name) for name in _PLAIN) and not self._node.get("cte_map", {}).get("map")
        if self._node["type"] != "SELECT_NODE" or not tables or not plain or self._node["aggregate_handling"] != "STANDARD_HANDLING":
            raise Unproven("a select that is more than select … from events where …")

    def _columns(self, names: list[str]) -> dict[str, Node]:
        columns: dict[str, Node] = {}
        if len(names) != len(self._node["select_list"]):
            raise Unproven("*")
        for name, node in zip(names, self._node["select_list"], strict=True):
            if name.lower() in columns:
                raise Unproven(f"the name {name}, given twice")
            columns[name.lower()] = self._resolved(node, columns)
        return columns

    def _resolved(self, node: Any, aliases: Mapping[str, Node]) -> Any:
        """With each alias as what it stands for; a column of the log goes before an alias of its name, as in DuckDB."""
        if isinstance(node, list):
            return [self._resolved(one, aliases) for one in node]
        if not isinstance(node, dict):
            return node
        if node.get("class") != "COLUMN_REF":
            return {key: self._resolved(value, aliases) for key, value in node.items()}
        *table, name = (part.lower() for part in node["column_names"])
        if name in EVENTS.names and table in ([], ["events"]):
            return {**node, "column_names": [name]}
        return aliases[name] if name in aliases and not table else node        # a lambda's own

    def _statement(self, node: Node, source: Any = ...) -> str:
        """A select of this alone. `source`: None, for one from nothing."""
        table = self._node["from_table"] if source is ... else {"type": "EMPTY", "alias": "", "sample": None, "query_location": 0}
        alone = {**self._node, "select_list": [{**node, "alias": ""}], "from_table": table, "where_clause": None}
        statements = [{**self._whole["statements"][0], "node": alone}]
        return str(self._asked("select json_deserialize_sql(?)", json.dumps({**self._whole, "statements": statements})))

    def _asked(self, query: str, *values: str) -> Any:
        return self._asked_row(query, *values)[0]

    def _asked_row(self, query: str, *values: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._duckdb.execute(query, list(values)).fetchall()[0]
        return row


def columns_in(node: Any) -> Iterator[str]:
    """The columns of the log that an expression reads."""
    if isinstance(node, list):
        for one in node:
            yield from columns_in(one)
    elif isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield ".".join(node["column_names"])
        else:
            for value in node.values():
                yield from columns_in(value)


def refused(projection: str, error: Unproven) -> DeclarationError:
    return DeclarationError(projection, Fault("select", f"says {error}, which nobody has proven to give the same on Sail as in DuckDB", REMEDY))
