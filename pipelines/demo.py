"""`python -m pipelines.demo`: a year of flights in the store, projected, and asked about. Safe to run again."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from pipelines.flights.aircraft import replay_day
from pipelines.flights.load_shown import load_with_bar, show_loaded
from pipelines.flights.questions import busiest_day, counts, fleet_as_of, worst_carriers
from pipelines.flights.source import FlightsMissingError, read_airlines
from pipelines.materialize import MaterializeError, materialize_projections
from pipelines.settings import Settings
from store import EventStore, StoreError, open_store

_NEW_YORK: Final = ZoneInfo("America/New_York")
_MOMENTS: Final = {
    "Fri 1 Feb 2013, 18:00": datetime(2013, 2, 1, 18, tzinfo=_NEW_YORK),
    "Fri 8 Feb 2013, 18:00 (blizzard)": datetime(2013, 2, 8, 18, tzinfo=_NEW_YORK),
}


def main() -> int:
    """In the warehouse of the settings."""
    return show(Settings.read().warehouse)


def show(warehouse: str) -> int:
    """0; or 1, with a line that says what to do."""
    console, begin = Console(highlight=False), time.perf_counter()
    console.print(Panel.fit("[bold]Alluvium[/]: every flight out of New York in 2013, as events", subtitle=warehouse, border_style="cyan"))
    try:
        with open_store(warehouse, create=True) as store:
            show_loaded(console, load_with_bar(console, store))
        show_projections(console, warehouse)
        with open_store(warehouse) as store:
            show_answers(console, store)
    except (FlightsMissingError, MaterializeError, StoreError) as error:
        console.print(f"[red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        return 1
    show_next(console, warehouse, time.perf_counter() - begin)
    return 0


def show_projections(console: Console, warehouse: str) -> None:
    with console.status("Dagster materializes the projections"):
        done = materialize_projections(warehouse)
    table = titled("Read models, caught up by Dagster", "read model", "events applied#", "rows written#", "seconds#")
    for made in done:
        table.add_row(made.name, f"{made.events:,}", f"{made.rows:,}", f"{made.seconds:.1f}")
    console.print(table)


def show_answers(console: Console, store: EventStore) -> None:
    [told] = counts(store).to_pylist()
    table = titled("Nothing dropped: the counts, out of the events", *(f"{name.replace('_', ' ')}#" for name in told))
    table.add_row(*(f"{count:,}" for count in told.values()))
    console.print(table)
    show_carriers(console, store)
    show_day(console, store)
    show_moments(console, store)


def show_carriers(console: Console, store: EventStore) -> None:
    table = titled("Who departs late? (more than 15 minutes)", "carrier", "departures#", "late#", "mean delay#")
    for row in worst_carriers(store, read_airlines()).to_pylist()[:5]:
        table.add_row(row["name"], f"{row['departures']:,}", f"{row['late_share']:.1%}", f"{row['mean_delay_min']:.1f} min")
    console.print(table)


def show_day(console: Console, store: EventStore) -> None:
    tailnum, day = busiest_day(store)
    table = titled(f"A day of {tailnum}, replayed: {day}", "New York", "event", "flight", "route", "delay#", "flown#", "in the air#")
    for event, aircraft in replay_day(store, tailnum, day):
        data, hours = event.payload(), divmod(aircraft.minutes_in_the_air, 60)
        table.add_row(
            f"{event.occurred_at.astimezone(_NEW_YORK):%H:%M}",
            event.type.removeprefix("Flight").lower(),
            f"{data['carrier']} {data['flight']}",
            f"{data['origin']} → {data['destination']}",
            "" if data.get("delay_min") is None else f"{data['delay_min']:+} min",
            str(aircraft.flown),
            "{} h {:02}".format(*hours),
        )
    console.print(table)


def show_moments(console: Console, store: EventStore) -> None:
    fleets = [{row["status"]: row["aircraft"] for row in fleet_as_of(store, moment).to_pylist()} for moment in _MOMENTS.values()]
    table = titled("The fleet as of a past moment (New York time)", "aircraft", *(f"{name}#" for name in _MOMENTS))
    for status in ("in the air", "on the ground", "diverted"):
        table.add_row(status, *(f"{fleet.get(status, 0):,}" for fleet in fleets))
    console.print(table)


def show_next(console: Console, warehouse: str, seconds: float) -> None:
    console.print(f"[green]✓[/] All of it in {seconds:.0f} s. Next:")
    for what, how in (
        ("see the assets and their runs", "make dev"),
        ("ask in Python", f'open_store("{warehouse}").sql("select type, count(*) from events group by all")'),
        ("ask in any engine", f'polars.scan_delta("{warehouse}/events")'),
        ("go on from these questions", "pipelines/flights/questions.py"),
    ):
        console.print(f"  • {what}: [cyan]{how}[/]", soft_wrap=True)


def titled(title: str, *columns: str) -> Table:
    """A table; a column whose name ends in # holds numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
