"""`python -m pipelines.metrics`: tell Prometheus what the warehouse holds, until it is stopped; or write it into a file, once."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, write_to_textfile
from rich.console import Console

from pipelines.domain import DomainError, load_domain
from pipelines.follow import stopped_by_signals
from pipelines.levels import levels
from pipelines.metrics.endpoint import LOOPBACK, EndpointError, endpoint, process_registry
from pipelines.metrics.warehouse_collector import WarehouseCollector
from pipelines.settings import Settings, SettingsError
from projections import BUILT_IN
from store import StoreError, open_store

PORT: Final = 9464
DONE: Final = 0
REFUSED: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0: stopped by Ctrl-C or SIGTERM, or the file is written. 2: bad usage, or refused."""
    given, console = _parser().parse_args(arguments), Console(soft_wrap=True, markup=False, highlight=False, stderr=True)
    try:
        settings = Settings.read()
        with open_store(settings.warehouse) as store:
            projections = (*load_domain(settings.domain).projections, *BUILT_IN)
            collector = WarehouseCollector(lambda: levels(store, settings.warehouse, projections))
            if given.textfile is None:
                _serve(collector, given.port, given.host, lambda told: console.print(f"metrics of {settings.warehouse} at {told}; Ctrl-C stops it"))
            else:
                registry = CollectorRegistry()
                registry.register(collector)
                write_to_textfile(given.textfile, registry)
    except (DomainError, EndpointError, OSError, SettingsError, StoreError) as error:
        console.print(str(error))
        return REFUSED
    return DONE


def _serve(collector: WarehouseCollector, port: int, host: str, begun: Callable[[str], None]) -> None:
    """Until Ctrl-C or SIGTERM; `begun` is told the address."""
    registry, stop = process_registry(), threading.Event()
    registry.register(collector)
    with stopped_by_signals(stop), endpoint(registry, port, host) as listening:
        begun(f"http://{host}:{listening}/metrics")
        stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.metrics", description="Tell Prometheus what the warehouse holds.")
    parser.add_argument("--port", type=int, default=PORT, help=f"to listen on; {PORT} by default, 0 for a free one")
    parser.add_argument("--host", default=LOOPBACK, help=f"to listen at; {LOOPBACK} by default, 0.0.0.0 for all that reach this machine")
    parser.add_argument("--textfile", metavar="PATH", help="write the metrics there once, for the textfile collector of the node exporter, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
