"""Asking before something is done that cannot be undone."""

from __future__ import annotations

import sys

from rich.prompt import Confirm

from pipelines.cli.answer import aside
from pipelines.cli.outcome import CommandError, MisusedError


def confirm(question: str, sure: bool) -> None:
    """Goes on if the answer is yes, or was given beforehand. CommandError: it is no. MisusedError: there is nobody to ask."""
    if sure:
        return
    if not sys.stdin.isatty():
        raise MisusedError(f"{question} There is nobody to ask: say --yes")
    if not Confirm.ask(question, console=aside(), default=False):
        raise CommandError("nothing was changed")
