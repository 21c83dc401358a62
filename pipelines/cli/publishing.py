"""`publish` and `serve`: the warehouse for tools that have nothing of ours."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event as Flag
from typing import Annotated

from cyclopts import Parameter

from pipelines.cli.outcome import MisusedError
from pipelines.cli.session import HERE, Session
from projections import Certificate, FlightEndpoint, GrantedEndpoint, flight_endpoint, granted_endpoint, publish_sql


def publish(
    to: Annotated[Path | None, Parameter(help="A file. [warehouse.duckdb in the warehouse]")] = None,
    /,
    *,
    grant: Annotated[str | None, Parameter(help="A grant of ALLUVIUM_GRANTS: the rows that it shows, as they are now, and nothing else.")] = None,
    session: Session = HERE,
) -> None:
    """Write a DuckDB database of views and macros that follow the tables by themselves: for DBeaver, the DuckDB command line, and BI tools.

    It holds no rows. Publish it again after a switch to another build, or when a read model is made that was not there. Directories only.
    With `--grant` it holds rows instead, as they are now: whoever has it keeps them, whatever is erased or hidden later.
    """
    if grant is not None and to is None:
        raise MisusedError("a database for a grant holds rows, so it is no part of the warehouse: name a file")
    done = publish_sql(session.uri, session.the_domain().projections, to, grant=None if grant is None else session.grant(grant))
    session.answer.facts("", {"file": str(done.path), "views": list(done.names), "left_out": dict(done.left_out) or None})


def serve(
    *,
    port: Annotated[int, Parameter(help="0: any that is free. [32010]")] = 32010,
    ip: Annotated[str, Parameter(help="The address to listen on. [127.0.0.1]")] = "127.0.0.1",
    certificate: Annotated[Path | None, Parameter(help="For TLS, with grants: a chain of certificates as PEM.")] = None,
    key: Annotated[Path | None, Parameter(help="Its private key, as PEM.")] = None,
    session: Session = HERE,
) -> None:
    """Answer Flight SQL, which JDBC, ADBC and ODBC drivers speak, until Ctrl-C or SIGTERM.

    With ALLUVIUM_GRANTS set who asks must send a token, and sees what was granted to it, in DuckDB's SQL. Without, nobody is asked who they are, and
    all is shown, in Spark's: that needs the extra `endpoint`.
    """
    stop = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    projections, grants = session.the_domain().projections, session.grants()
    if (certificate is None) != (key is None):
        raise MisusedError("a certificate and its key go together: give both, or neither")
    if grants is None and certificate is not None:
        raise MisusedError("only the endpoint with grants speaks TLS: set ALLUVIUM_GRANTS")
    with ExitStack() as stack:
        endpoint: FlightEndpoint | GrantedEndpoint
        if grants is None:
            endpoint = stack.enter_context(flight_endpoint(session.uri, projections, ip=ip, port=port))
        else:
            tokens = {token: granted.grant for granted in grants.values() for token in granted.tokens}
            tls = None if certificate is None or key is None else Certificate(certificate.read_bytes(), key.read_bytes())
            endpoint = stack.enter_context(granted_endpoint(session.uri, tokens, projections, ip=ip, port=port, certificate=tls))
        session.answer.note(f"serving {session.uri} at {endpoint.uri}; Ctrl-C stops it")
        stop.wait()
