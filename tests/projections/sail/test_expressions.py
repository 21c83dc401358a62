"""What is translated gives in Sail what it gives in DuckDB, event by event; or Sail is in doubt, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from projections.sail import casts, expressions, extracts, functions
from projections.sail.expressions import Expressions
from projections.sail.query import kind_of
from projections.sail.sail import DoubtError, SailClient
from projections.sail.select import Select
from store import Event, open_store
from tests.projections.sail.expressions import EVENTS, EXPRESSIONS

COLUMNS: Final = pa.schema({f"v{number}": kind for number, (_, kind) in enumerate(EXPRESSIONS)})


def query(select: Select, names: list[str], place: str, chosen: str = "true") -> str:
    said = Expressions(select)
    values = ", ".join(f"{said.cast(select.columns[name], kind_of(COLUMNS.field(name)))} as {name}" for name in names)
    read, parsed = ", ".join(["*", *said.extracts.read()]), ", ".join(["*", *said.extracts.parsed()])
    return f"select position, {values} from (select {parsed} from (select {read} from delta.`{place}/events` where {chosen}))"


@pytest.fixture(scope="module")
def select() -> Iterator[Select]:
    with Select(f"select {', '.join(f'{text} as v{number}' for number, (text, _) in enumerate(EXPRESSIONS))} from events") as select:
        yield select


@pytest.fixture(scope="module")
def bold(select: Select) -> str:
    """All of them, but giving anything where they would be in doubt, so that one query compares all events of which they are not."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (expressions, extracts, functions):
            patch.setattr(module, "or_doubted", lambda parsed, value, why: parsed)
        for module in (functions, casts):
            patch.setattr(module, "doubted", lambda value, why: "null")
        return query(select, COLUMNS.names, "{place}")


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])      # sixty events take long to shrink
@given(events=st.lists(EVENTS, min_size=40, max_size=40))
def test_each_expression_gives_what_it_gives_in_duckdb(
    client: SailClient, select: Select, bold: str, tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    place = str(tmp_path_factory.mktemp("log"))
    with open_store(place, create=True) as store:
        store.append("some-stream", events)
        log = store.read_all().read_all()
    theirs = client.ask(bold.replace("{place}", place)).sort_by("position").drop_columns(["position"]).cast(COLUMNS)
    ours, fails = in_duckdb(log)
    for (name, (text, _)), said in zip(zip(COLUMNS.names, EXPRESSIONS, strict=True), fails, strict=True):
        values = zip(plain(ours[name]), plain(theirs[name]), said.to_pylist(), strict=True)
        unlike = [(position, one, other) for position, (one, other, failed) in enumerate(values, 1) if one != other or failed]
        # What is null in doubt is so in one way, of which one event tells; every other value has to be accounted for.
        for position, one, other in [*unlike[:1], *(found for found in unlike[1:] if found[2] is not None)]:
            try:
                client.ask(query(select, [name], place, f"position = {position}"))
            except DoubtError:
                continue
            pytest.fail(f"{text}: {one!r} in DuckDB, {other!r} in Sail, of {events[position - 1]}")


def in_duckdb(log: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What each expression gives for each event, null where it fails; and where it fails."""
    with duckdb.connect() as duck:
        duck.execute("set TimeZone = 'UTC'")
        duck.execute("set disabled_optimizers = 'common_subexpressions'")      # which takes casts out of their `try`
        types = duck.from_arrow(COLUMNS.empty_table()).types
        duck.register("events", log)
        said = [(f"cast(({text}) as {to})", name) for (text, _), to, name in zip(EXPRESSIONS, types, COLUMNS.names, strict=True)]
        values = duck.sql(f"select {', '.join(f'try({cast}) as {name}' for cast, name in said)} from events order by position").to_arrow_table()
        fails = duck.sql(f"select {', '.join(f'try({cast} is null) is null as {name}' for cast, name in said)} from events order by position")
        return values.cast(COLUMNS), fails.to_arrow_table()


def plain(column: pa.ChunkedArray) -> list[Any]:
    """Times as numbers: Python has none before the year 1."""
    if pa.types.is_date(column.type):
        return list(column.cast(pa.int32()).to_pylist())
    return list((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())


def test_plain_values_are_in_no_doubt(client: SailClient, select: Select, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = str(tmp_path_factory.mktemp("log"))
    said = {
        "(data ->> 'x')::bigint": 7, "(data ->> 'x')::int": -7, "(data ->> 'x')::boolean": True, "(data ->> 'x')::double": 1.5,
        "(data ->> 'x')::decimal(12, 3)": "1.250", "(data ->> 'x')::date": "2013-02-04", "(data ->> 'x')::timestamptz": "2013-02-04T12:00:00.5Z",
        "data ->> 'x'": "1.10", "data ->> '$.deep.x'": "[draft]", "occurred_at at time zone 'Europe/Berlin'": None,
    }  # fmt: skip
    with open_store(place, create=True) as store:
        for value in said.values():
            store.append("s-1", [Event("A", {"x": value, "deep": {"x": value}})])
    for position, text in enumerate(said, 1):
        name = f"v{next(number for number, (one, _) in enumerate(EXPRESSIONS) if one == text)}"
        assert len(client.ask(query(select, [name], place, f"position = {position}"))) == 1
