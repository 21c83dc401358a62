"""The check of docs/audit.md, which knows nothing of ours."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.docs.pages import blocks

PAGE = "docs/audit.md"
NAME = "outsider.py"


@cache
def source() -> str:
    [text] = [block.text for block in blocks(PAGE) if block.title == NAME]
    return text


def outsiders_problems(head: str, *tables: str) -> list[str]:
    """What it finds, or what it fails at: an outsider believes neither."""
    known: dict[str, Any] = {"__name__": "outsider"}
    exec(compile(source(), NAME, "exec"), known)
    try:
        problems, _ = known["check"](head, *tables)
    except (KeyError, ValueError) as error:
        return [repr(error)]
    return list(problems)
