"""Loading the flights before a person's eyes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines.flights.load import Loaded, load_flights
from store import EventStore


def load_with_bar(console: Console, store: EventStore) -> Loaded:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Reading the flights", total=None, count="")

        def loaded(done: int, total: int) -> None:
            progress.update(task, description="Events in the store", completed=done, total=total, count=f"{done:,} of {total:,}")

        return load_flights(store, loaded)


def show_loaded(console: Console, loaded: Loaded) -> None:
    if loaded.already_there:
        console.print(f"[green]✓[/] {loaded.already_there:,} events were there already: none is loaded twice.")
    if loaded.events:
        rate = f"{loaded.events / loaded.seconds:,.0f} events/s"
        console.print(f"[green]✓[/] {loaded.events:,} events appended, durable, in {loaded.seconds:.1f} s: [bold]{rate}[/].")
