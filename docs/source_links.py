"""Links of the pages into the sources: right in a checkout, where they are relative; in the site they lead to a repository, if one is known.

Without one (REPOSITORY is empty) their text stays, as text. The address is that of a folder: https://…/blob/main.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

DOCS: Final = Path(__file__).parent


class SourceLinks(Treeprocessor):
    def __init__(self, md: Markdown, repository: str) -> None:
        super().__init__(md)
        self.repository = repository.rstrip("/")

    def run(self, root: Element) -> None:
        for link in root.iter("a"):
            path = link.get("href", "").partition("#")[0]
            if path.startswith("../") and not path.endswith((".md", "/")):
                self.point(link, path)

    def point(self, link: Element, path: str) -> None:
        outside = path.lstrip("./")
        if not (DOCS.parent / outside).exists():
            raise ValueError(f"a page links to {path}: there is no {outside}")
        if self.repository:
            link.set("href", f"{self.repository}/{outside}")
        else:
            link.tag = "span"
            del link.attrib["href"]


class SourceLinksExtension(Extension):
    def __init__(self, **given: Any) -> None:
        self.config = {"repository": ["", "where the sources are shown, as https://forge.example/alluvium/blob/main"]}
        super().__init__(**given)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (the name that Markdown calls)
        md.treeprocessors.register(SourceLinks(md, self.getConfig("repository")), "source_links", 15)


def makeExtension(**given: Any) -> SourceLinksExtension:  # noqa: N802
    return SourceLinksExtension(**given)
