"""`publish` and `serve`: the warehouse for tools that have nothing of ours."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event as Flag
from typing import Annotated

from cyclopts import Parameter

from pipelines.cli.session import HERE, Session
from projections import flight_endpoint, publish_sql


def publish(
    to: Annotated[Path | None, Parameter(help="A file. [warehouse.duckdb in the warehouse]")] = None, /, *, session: Session = HERE
) -> None:
    """Write a DuckDB database of views and macros that follow the tables by themselves: for DBeaver, the DuckDB command line, and BI tools.

    It holds no rows. Publish it again after a switch to another build, or when a read model is made that was not there. Directories only.
    """
    done = publish_sql(session.uri, session.the_domain().projections, to)
    session.answer.facts("", {"file": str(done.path), "views": list(done.names), "left_out": dict(done.left_out) or None})


def serve(
    *,
    port: Annotated[int, Parameter(help="0: any that is free. [32010]")] = 32010,
    ip: Annotated[str, Parameter(help="The address to listen on. Nobody is asked who they are. [127.0.0.1]")] = "127.0.0.1",
    session: Session = HERE,
) -> None:
    """Answer Flight SQL, which JDBC, ADBC and ODBC drivers speak, until Ctrl-C or SIGTERM. It needs the extra `endpoint`."""
    stop = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with flight_endpoint(session.uri, session.the_domain().projections, ip=ip, port=port) as endpoint:
        session.answer.note(f"serving {session.uri} at {endpoint.uri}; Ctrl-C stops it")
        stop.wait()
