"""SQL over the network for those who hold a token: each sees what the grant of the token shows, by Flight SQL, in the SQL of `store.ask`."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.flight as flight

from projections.errors import ProjectionError, PublishError
from projections.flight_sql import MessageError, decoded, encoded
from projections.projection import Projection
from projections.warehouse_sql import WarehouseSql
from store import Grant, QueryRefusedError, SqlLimits, StoreError, open_store

PENDING: Final = 64
"""So many answers, or prepared queries, wait at most to be fetched; the oldest go first."""
PENDING_BYTES: Final = 1 << 30
"""So much do all answers hold at most that wait, and the newest in any case."""
_BEARER: Final = "Bearer "
_LIMITS: Final = SqlLimits()


def token_hash(token: str) -> str:
    """What is kept of a token: SHA-256, as lower-case hex. A token of 32 random bytes needs no more."""
    return hashlib.sha256(token.encode()).hexdigest()


class Certificate(NamedTuple):
    """For TLS, both as PEM."""

    chain: bytes
    key: bytes


class _Held(NamedTuple):
    """What waits for who may have it."""

    holder: str
    content: Any
    size_bytes: int


class _Holder(flight.ServerMiddleware):  # type: ignore[misc]
    """Who calls: the hash of the token, and its grant."""

    def __init__(self, hashed: str, grant: Grant) -> None:
        self.hashed, self.grant = hashed, grant


class _Door(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Lets nobody in without a token that is known."""

    def __init__(self, grants: Mapping[str, Grant]) -> None:
        self._grants = dict(grants)

    def start_call(self, info: Any, headers: Mapping[str, Sequence[str]]) -> _Holder:
        given = next((value for name, values in headers.items() if name.lower() == "authorization" for value in values), "")
        hashed = token_hash(given.removeprefix(_BEARER)) if given.startswith(_BEARER) else ""
        # By the hash of what was given, so that the time it takes tells nothing of the tokens that are known.
        if (grant := self._grants.get(hashed)) is None:
            raise flight.FlightUnauthenticatedError("send a token that is known here: authorization: Bearer <token>")
        return _Holder(hashed, grant)


class GrantedEndpoint(flight.FlightServerBase):  # type: ignore[misc]
    """Statements and prepared statements of Flight SQL; of the rest of it, nothing. `uri`: where clients find it."""

    def __init__(
        self, warehouse: WarehouseSql, grants: Mapping[str, Grant], address: str, certificate: Certificate | None, limits: SqlLimits
    ) -> None:
        self._warehouse, self._limits = warehouse, limits
        self._answers, self._prepared = _Waiting(), _Waiting()
        certificates = [] if certificate is None else [(certificate.chain, certificate.key)]
        super().__init__(address, middleware={"holder": _Door(grants)}, tls_certificates=certificates)
        host = address.partition("://")[2].rpartition(":")[0]
        self.uri = f"{'grpc' if certificate is None else 'grpc+tls'}://{host}:{self.port}"

    def get_flight_info(self, context: Any, descriptor: Any) -> flight.FlightInfo:
        rows = self._asked(context, self._query(context, descriptor.command or b""))
        ticket = encoded("TicketStatementQuery", {1: self._answers.put(_holder(context).hashed, rows, rows.nbytes)})
        return flight.FlightInfo(rows.schema, descriptor, [flight.FlightEndpoint(ticket, [])], len(rows), rows.nbytes)

    def get_schema(self, context: Any, descriptor: Any) -> flight.SchemaResult:
        return flight.SchemaResult(self._asked(context, self._query(context, descriptor.command or b"")).schema)

    def do_get(self, context: Any, ticket: Any) -> flight.RecordBatchStream:
        with _told():
            kind, message = decoded(ticket.ticket)
            if kind != "TicketStatementQuery":
                raise MessageError(f"{kind} is no ticket of this endpoint")
            return flight.RecordBatchStream(self._answers.take(_holder(context).hashed, message.get(1, b"")))

    def do_action(self, context: Any, action: Any) -> Iterator[flight.Result]:
        with _told():
            kind, message = decoded(action.body.to_pybytes())
            if kind == "ActionCreatePreparedStatementRequest":
                query = message.get(1, b"").decode()
                schema = self._asked(context, f"select * from ({query.strip().rstrip(';')}) limit 0").schema
                handle = self._prepared.put(_holder(context).hashed, query, len(query))
                none = pa.schema([]).serialize().to_pybytes()
                yield flight.Result(encoded("ActionCreatePreparedStatementResult", {1: handle, 2: schema.serialize().to_pybytes(), 3: none}))
            elif kind == "ActionClosePreparedStatementRequest":
                self._prepared.drop(message.get(1, b""))
            else:
                raise MessageError(f"{kind} is nothing that this endpoint does")

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        return [("CreatePreparedStatement", "Remember a query."), ("ClosePreparedStatement", "Forget it.")]

    def _query(self, context: Any, command: bytes) -> str:
        with _told():
            kind, message = decoded(command)
            if kind == "CommandStatementQuery":
                return message.get(1, b"").decode()
            if kind == "CommandPreparedStatementQuery":
                return str(self._prepared.see(_holder(context).hashed, message.get(1, b"")))
            raise MessageError(f"{kind} is nothing that this endpoint answers: it takes statements")

    def _asked(self, context: Any, query: str) -> pa.Table:
        with _told():
            return self._warehouse.ask(query, limits=self._limits, grant=_holder(context).grant)


class _Waiting:
    """By random handles, which are good for who got them and for nobody else."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, holder: str, content: Any, size_bytes: int) -> bytes:
        handle = secrets.token_bytes(16)
        with self._lock:
            self._held[handle] = _Held(holder, content, size_bytes)
            while len(self._held) > PENDING or (len(self._held) > 1 and sum(held.size_bytes for held in self._held.values()) > PENDING_BYTES):
                self._held.popitem(last=False)
        return handle

    def take(self, holder: str, handle: bytes) -> Any:
        with self._lock:
            content = self._of(holder, handle)
            del self._held[handle]
            return content

    def see(self, holder: str, handle: bytes) -> Any:
        with self._lock:
            return self._of(holder, handle)

    def drop(self, handle: bytes) -> None:
        with self._lock:
            self._held.pop(handle, None)

    def _of(self, holder: str, handle: bytes) -> Any:
        held = self._held.get(handle)
        if held is None or held.holder != holder:
            raise MessageError("there is no such answer any more: ask again")
        return held.content


@contextmanager
def granted_endpoint(
    warehouse: str,
    grants: Mapping[str, Grant],
    projections: Sequence[Projection] = (),
    *,
    ip: str = "127.0.0.1",
    port: int = 0,
    certificate: Certificate | None = None,
    limits: SqlLimits = _LIMITS,
) -> Iterator[GrantedEndpoint]:
    """Serve the warehouse to who sends a token, until the end of the block. `grants`: by `token_hash`. `port` 0: any that is free.

    SQL is DuckDB's, with the macros and the read models that the grant shows, all of one query at one position. An answer is held in memory until
    it is fetched. Without a `certificate` tokens travel as they are: keep it on the loopback address then, or behind a proxy that speaks TLS.
    PublishError: the address is taken.
    """
    with open_store(warehouse) as store, WarehouseSql(store, warehouse, projections) as asked:
        try:
            server = GrantedEndpoint(asked, grants, f"{'grpc' if certificate is None else 'grpc+tls'}://{ip}:{port}", certificate, limits)
        except (pa.ArrowException, OSError) as error:
            raise PublishError(f"{ip}:{port}", f"nothing can listen there ({error})", "give an address of this machine and a free port") from error
        try:
            yield server
        finally:
            server.shutdown()


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with a query is told to who asked. Of what is wrong with the warehouse only that something is: the words may name places."""
    try:
        yield
    except (MessageError, UnicodeDecodeError, duckdb.Error, QueryRefusedError) as error:
        raise flight.FlightServerError(str(error)) from None
    except (ProjectionError, StoreError) as error:
        logging.getLogger("alluvium").warning("a granted query failed: %s", error)
        raise flight.FlightServerError(f"the warehouse cannot be asked now ({type(error).__name__}): tell whoever keeps it") from None


def _holder(context: Any) -> _Holder:
    holder: _Holder = context.get_middleware("holder")
    return holder
