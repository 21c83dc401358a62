"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

HOUSE: Final = Path(__file__).parents[2]
NOT_RUN: Final = re.compile(r"<!-- not run: (.+?) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """`line`: of the page, where `text` begins. `not_run`: the reason that a comment right above it gives; else it is to be run or validated.

    `title`: the file which readers make of it.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    title: str | None = None

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def pages() -> list[str]:
    """All of them, README.md first."""
    return ["README.md", *sorted(str(page.relative_to(HOUSE)) for page in (HOUSE / "docs").rglob("*.md"))]


def blocks(page: str, text: str | None = None) -> list[Block]:
    """Fenced and indented ones, also in lists and quotations, in the order of the page."""
    tokens = MarkdownIt().parse((HOUSE / page).read_text() if text is None else text)
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type in ("fence", "code_block") and token.map:
            reason = NOT_RUN.search(before.content) if before and before.type == "html_block" else None
            first = token.map[0] + (2 if token.type == "fence" else 1)
            title = re.search(r'title="([\w.-]+)"', token.info)
            language = (token.info.split() or [""])[0]
            found.append(Block(page, first, language, token.content, reason and reason[1], title and title[1]))
    return found
