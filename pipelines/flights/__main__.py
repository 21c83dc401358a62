"""`python -m pipelines.flights`: the year of flights in the warehouse, once; with a domain of your own there is nothing to do."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from pipelines.flights.load_shown import load_with_bar, show_loaded
from pipelines.flights.source import FlightsMissingError
from pipelines.settings import FLIGHTS, Settings
from store import StoreError, open_store


def main() -> int:
    """0; or 1, with a line that says what to do."""
    console, settings = Console(highlight=False), Settings.read()
    if settings.domain != FLIGHTS:
        return 0
    try:
        with open_store(settings.warehouse, create=True) as store:
            show_loaded(console, load_with_bar(console, store))
    except (FlightsMissingError, StoreError) as error:
        console.print(f"[red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
