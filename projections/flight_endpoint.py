"""SQL over the warehouse from the network: Sail's Flight SQL server, which knows the tables by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from projections.errors import PublishError
from projections.projection import Projection
from projections.served import served
from store import Logs, is_table, open_store

PORT: Final = 32010
_EXTRA: Final = "install it: pip install 'alluvium[endpoint]'"


class FlightEndpoint:
    """A server that runs in this process. `uri`: where clients of Flight SQL find it."""

    def __init__(self, warehouse: str, projections: Sequence[Projection], uri: str) -> None:
        self.uri = uri
        self._warehouse, self._projections = warehouse, projections

    def register(self) -> Mapping[str, str]:
        """Let it know the tables that are there now, and where they lie; do it again after a switch. Each query sees their newest commit."""
        from adbc_driver_flightsql import dbapi

        tables = self._tables()
        with dbapi.connect(self.uri, autocommit=True) as client, client.cursor() as cursor:
            for name, place in tables.items():
                try:
                    cursor.execute(f"DROP TABLE IF EXISTS {name}")             # its name: Sail leaves the files of such a table alone
                    cursor.execute(f"CREATE TABLE {name} USING delta LOCATION '{_literal(place)}'")
                except dbapi.Error as error:
                    raise PublishError(place, f"Sail cannot read it ({error})", "a path of letters, digits and . _ - / can be read") from error
        return tables

    def _tables(self) -> Mapping[str, str]:
        there = {name: name for name in ("events", "snapshots") if is_table(f"{self._warehouse}/{name}")}
        if "events" not in there:
            raise PublishError(self._warehouse, "there is no event log here", "make it first: open_store(…, create=True)")
        with open_store(self._warehouse) as store:
            if isinstance(store, Logs):
                raise PublishError(self._warehouse, f"it has several logs ({', '.join(store.logs())})", "ask `store.sql`, which reads them as one")
        root = self._warehouse if "://" in self._warehouse else str(Path(self._warehouse).expanduser().absolute())
        return {name: f"{root.rstrip('/')}/{folder}" for name, folder in (there | dict(served(self._warehouse, self._projections).folders())).items()}


@contextmanager
def flight_endpoint(
    warehouse: str, projections: Sequence[Projection] = (), *, ip: str = "127.0.0.1", port: int = PORT
) -> Iterator[FlightEndpoint]:
    """Serve `events`, `snapshots`, `dead_letters` and the read models that are there, until the end of the block. `port` 0: any that is free.

    **Nobody is asked who they are**, nothing is encrypted, and whoever reaches it reads every file that this process can read: keep it on the
    loopback address, or behind a proxy that asks. The tables of the warehouse cannot be written by it, as by no foreign writer. SQL is Spark's; a
    read model is at its own checkpoint, and there are no macros.

    PublishError: `pysail` is not installed, the address is taken, or a table cannot be read.
    """
    server = _started(ip, port)
    try:
        host, taken = server.listening_address
        endpoint = FlightEndpoint(warehouse, projections, f"grpc://{host}:{taken}")
        endpoint.register()
        yield endpoint
    finally:
        server.stop()


def _started(ip: str, port: int) -> Any:
    try:
        import adbc_driver_flightsql.dbapi  # noqa: F401
        from pysail.flight import FlightSqlServer
    except ImportError as error:
        raise PublishError("the Flight SQL endpoint", f"a library is missing ({error})", _EXTRA) from error
    try:
        server = FlightSqlServer(ip, port)
        server.start(background=True)
    except (OSError, ValueError) as error:
        raise PublishError(f"{ip}:{port}", f"Sail cannot listen there ({error})", "give an address of this machine and a free port") from error
    return server


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
