"""`python -m pipelines.follow [NAME ...]`: keep projections of the domain within a second of the log, until it is stopped."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from pipelines.domain import DomainError, UnknownNameError, load_domain
from pipelines.metrics import LOOPBACK, EndpointError, Observers, PrometheusObserver, TracingObserver, endpoint, logging_observer, process_registry
from pipelines.settings import Settings
from projections import DeadLetters, Halt, Model, Park, Projection, ProjectionError, ServingModel, follow
from store import AccessDeniedError, StoreError, open_store

STOPPED: Final = 0
HALTED: Final = 1
REFUSED: Final = 2
NAMED: Final = 4
"""So many are told by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: stopped by Ctrl-C or SIGTERM, the batches under way finished. 1: a projection halted meanwhile. 2: bad usage, or refused."""
    given, settings = _parser().parse_args(arguments), Settings.read()
    try:
        return follow_chosen(settings.warehouse, load_domain(settings.domain).named(given.names), given.park, given.metrics_port)
    except (DomainError, EndpointError, StoreError, UnknownNameError) as error:
        _console().print(str(error))
        return REFUSED


def follow_chosen(warehouse: str, projections: Sequence[Projection], park: bool, metrics_port: int | None) -> int:
    """STOPPED or HALTED, as `main`. What is to be told goes to stderr. EndpointError: the port is taken. StoreError: there is no log."""
    console, stop, halted = _console(), threading.Event(), list[str]()

    def tell(model: Model, error: ProjectionError | AccessDeniedError) -> None:
        halted.append(model.projection.name)
        console.print(f"{model.projection.name} halted: {error}")

    models = [ServingModel(warehouse, projection) for projection in projections]
    with observed(metrics_port, console) as observer, open_store(warehouse, observer=observer) as store, stopped_by_signals(stop):
        named = ", ".join(projection.name for projection in projections) if len(projections) <= NAMED else f"{len(projections)} projections"
        console.print(f"following {warehouse} with {named}; Ctrl-C stops it")
        follow(store, models, stop, tell, Park(DeadLetters(warehouse)) if park else Halt(), observer)
    return HALTED if halted else STOPPED


def _console() -> Console:
    return Console(soft_wrap=True, markup=False, highlight=False, stderr=True)


@contextmanager
def observed(metrics_port: int | None, console: Console) -> Iterator[Observers]:
    """Who is told of what this process does; Prometheus too, if there is a port for it."""
    if metrics_port is None:
        yield Observers(logging_observer(), TracingObserver())
        return
    registry = process_registry()
    with endpoint(registry, metrics_port) as port:
        console.print(f"metrics at http://{LOOPBACK}:{port}/metrics")
        yield Observers(logging_observer(), TracingObserver(), PrometheusObserver(registry))


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM set the event and do nothing else."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.follow", description="Keep projections within a second of the log.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="projections of the domain; all by default")
    parser.add_argument("--park", action="store_true", help="park the streams of events that cannot be applied, instead of halting there")
    parser.add_argument("--metrics-port", type=int, metavar="PORT", help="tell Prometheus what it does, at 127.0.0.1:PORT/metrics; 0: a free one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
