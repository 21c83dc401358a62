"""Sail, an engine for SQL on one machine or many: asked by Flight SQL, which gives Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from projections.errors import ExecutorError
from projections.sail.casts import DOUBT

_EXTRA: Final = "pip install 'alluvium[endpoint]'"
_PROVEN: Final = re.compile(r"0\.7\.\d+")
"""The versions of Sail for which the tests have proven what they prove."""
_TOLD: Final = re.compile(rf"{DOUBT}: (.*?)(?: \(Internal; [^()]*\))?$", re.DOTALL)


class DoubtError(Exception):
    """It met a value for which nobody has proven that Sail gives the same as DuckDB."""


@dataclass(frozen=True, slots=True)
class Sail:
    """With the extra `endpoint`. `address`: of a Flight SQL server of Sail's, such as "grpc://head:32010"; None: one is begun in this process.

    Its machines read the warehouse under the same URI, with credentials of their own. Whoever reaches such a server reads what it can read: keep
    it in a network of your own.
    """

    address: str | None = None

    @contextmanager
    def connected(self) -> Iterator[SailClient]:
        """ExecutorError: it is not installed, does not answer, or is of another version or time zone than is proven."""
        try:
            from adbc_driver_flightsql import dbapi
            from pysail.flight import FlightSqlServer
        except ImportError as error:
            raise ExecutorError("sail", f"a library is missing ({error})", _EXTRA) from error
        with ExitStack() as until_the_end:
            address = self.address
            if address is None:
                server = FlightSqlServer("127.0.0.1", 0)
                until_the_end.callback(server.stop)
                server.start(background=True)
                address = "grpc://{}:{}".format(*server.listening_address)
            client = SailClient(until_the_end.enter_context(_connection(dbapi, address)), address, dbapi.Error)
            client.check()
            yield client


class SailClient:
    """One connection to it. `error`: what its library raises."""

    def __init__(self, connection: Any, address: str, error: type[Exception]) -> None:
        self._connection, self._address, self._error = connection, address, error

    def check(self) -> None:
        said = self.ask("select version() as version, current_timezone() as zone").to_pylist()[0]
        if not _PROVEN.fullmatch(said["version"]):
            raise ExecutorError("sail", f"{self._address} is Sail {said['version']}", "take 0.7, for which it is proven that the rows are the same")
        if said["zone"] != "UTC":
            raise ExecutorError("sail", f"{self._address} reads times in {said['zone']}", "let its sessions be in UTC, which is Sail's default")

    def ask(self, query: str) -> pa.Table:
        """DoubtError: see there. ExecutorError: it cannot answer."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetch_arrow_table()
        except (self._error, pa.ArrowException) as error:
            if (told := _TOLD.search(str(error))) is not None:
                raise DoubtError(told[1]) from error
            raise _failed(self._address, error) from error


def _connection(dbapi: Any, address: str) -> Any:
    try:
        return dbapi.connect(address, autocommit=True)
    except dbapi.Error as error:
        raise _failed(address, error) from error


def _failed(address: str, error: Exception) -> ExecutorError:
    problem = f"{address} fails ({str(error)[:500]})"
    return ExecutorError("sail", problem, "look at its log and for what it may read; nothing was written: run it again, or take another executor")
