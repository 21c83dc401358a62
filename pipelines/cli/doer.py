"""Who does something to the store, and why: what its deeds say."""

from __future__ import annotations

import getpass
import socket
from typing import Annotated

from cyclopts import Parameter

from store import UNKNOWN

By = Annotated[str | None, Parameter(help="Who does it. [the user, at this machine]")]
Why = Annotated[str, Parameter(help="Why; with a reference to the request or the incident, say. [unknown]")]
Reason = Annotated[str, Parameter(help="Why; with a reference to the request, say. It stays in the audit for good.")]
"""Of what cannot be taken back: nobody is spared to say it."""


def named(by: str | None) -> str:
    """Whoever is named, or the user of this process."""
    return by if by is not None else f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):                    # as in a container whose user has no name
        return UNKNOWN
