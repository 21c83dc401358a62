"""An address that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server

LOOPBACK: Final = "127.0.0.1"
"""Where an endpoint listens unless told otherwise: nobody else reaches it there."""


class EndpointError(Exception):
    """Nothing can listen there. The message says why, and what to do."""


def process_registry() -> CollectorRegistry:
    """A new one, in which are this process's memory, processor time and open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


@contextmanager
def endpoint(registry: CollectorRegistry, port: int, host: str = LOOPBACK) -> Iterator[int]:
    """Inside, `http://host:port/metrics` tells what is in the registry; gives the port, which is a free one for port 0.

    It is read-only, and whoever reaches it may read it: from other machines only if `host` says so. EndpointError: the port is taken, or not ours.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        raise EndpointError(f"metrics cannot be told at {host}:{port} ({error}): take another port") from error
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
