"""Progress bars, on stderr, and only where somebody looks: a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines.cli.answer import aside
from projections import Applied, Declined, Delayed, Folded, Measurement, Parked
from store import LoggingObserver

Told = Callable[[int, int | None], None]
"""How much is done, of how much."""


@contextmanager
def bar(doing: str, unit: str) -> Iterator[Told]:
    """One for one piece of work."""
    with _progress() as progress:
        task = progress.add_task(f"{doing} {unit}", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def working(on: str) -> Iterator[None]:
    """For work of which nobody knows how much there is."""
    console = aside()
    if not console.is_terminal:
        yield
        return
    with console.status(on):
        yield


@dataclass(slots=True)
class ProjectionBars:
    """One for each projection, as an observer of their runners. What else there is to be told goes where it went without it."""

    progress: Progress
    others: LoggingObserver
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def record(self, measurement: Measurement) -> None:
        match measurement:
            case Applied():
                self._move(measurement.projection, measurement.position, measurement.until)
            case Folded(projection, after=after, until=until, done=done, of=of):
                self._move(projection, after + (until - after) * done // of, until)
            case _:
                self.others.record(measurement)

    def _move(self, projection: str, position: int, until: int) -> None:
        task = self.tasks.get(projection)
        if task is None:
            task = self.tasks[projection] = self.progress.add_task(projection, total=until)
        self.progress.update(task, completed=position, total=until)


@contextmanager
def projection_bars() -> Iterator[ProjectionBars]:
    with _progress() as progress:
        yield ProjectionBars(progress, LoggingObserver(warned=(Declined, Parked, Delayed)))   # what halts is an error of the command


def _progress() -> Progress:
    console = aside()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
