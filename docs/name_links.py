"""Public names that stand in code within a sentence lead to the reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

HOUSE: Final = Path(__file__).parents[1]
PACKAGES: Final = ("store", "projections")
METHODS: Final = ("append_many", "append_table", "position_at", "read_all", "read_stream", "stream_version")
"""Of `EventStore`."""
WORDS: Final = ("as_of", "event_types")
"""Names that stand for something else as often: a parameter, a table."""
CALLED: Final = re.compile(r"(\w+)(\(.*\))?")
APART: Final = ("a", "autoref", "pre", "h1", "h2", "h3", "h4", "h5", "h6")


def names() -> dict[str, str]:
    """Name -> the identifier of its place in the reference; plain words and what two packages call by one name are left out."""
    exported = [(package, name) for package in PACKAGES for name in all_of(HOUSE / package / "__init__.py")]
    often = [name for _, name in exported]
    plain = {name for name in often if often.count(name) > 1 or name in WORDS or re.fullmatch(r"[a-z]+", name)}
    modules = {f"{package}.{file.stem}" for package in PACKAGES for file in (HOUSE / package).iterdir()}
    found = {name: f"{package}.{name}" for package, name in exported if name not in plain and f"{package}.{name}" not in modules}
    return found | {name: f"store.EventStore.{name}" for name in METHODS}


def all_of(file: Path) -> list[str]:
    """Its `__all__`, without importing it."""
    [value] = [node.value for node in ast.parse(file.read_text()).body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    told: list[str] = ast.literal_eval(value)
    return told


class NameLinks(Treeprocessor):
    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self.names = names()

    def run(self, root: Element) -> None:
        for parent, place, code in list(codes(root)):
            called = CALLED.fullmatch(code.text or "")
            if called and called[1] in self.names:
                link = Element("autoref", identifier=self.names[called[1]])
                link.tail, code.tail = code.tail, None
                link.append(code)
                parent[place] = link


def codes(element: Element) -> Iterator[tuple[Element, int, Element]]:
    """(parent, place in it, code) for each in a sentence."""
    for place, child in enumerate(element):
        if child.tag == "code":
            yield element, place, child
        elif child.tag not in APART:
            yield from codes(child)


class NameLinksExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (the name that Markdown calls)
        md.treeprocessors.register(NameLinks(md), "name_links", 14)


def makeExtension(**given: Any) -> NameLinksExtension:  # noqa: N802
    return NameLinksExtension(**given)
