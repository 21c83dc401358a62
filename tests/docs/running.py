"""Runs the blocks of a page as a reader would: in their order, in one folder, the Python of all of them in one module."""

from __future__ import annotations

import ast
import asyncio
import csv
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import duckdb
import yaml

from tests.docs.console import follow
from tests.docs.pages import Block
from tests.docs.promises import CHECK, Promises, literal
from tests.projections.duckdb_cli import answers


class Page:
    """A page that is being run, in the current folder."""

    def __init__(self, name: str) -> None:
        self.module = ModuleType(name)
        sys.modules[name] = self.module                # where classes that are pickled or read back look for their module

    def run(self, block: Block) -> None:
        """AssertionError, or what the block raises."""
        if block.not_run is None:
            assert block.language in RUNS, f"{block}: nobody runs {block.language!r}: take one of {', '.join(RUNS)}, or say above it why not"
            RUNS[block.language](self, block)
        if block.title:
            Path(block.title).write_text(block.text)

    def python(self, block: Block) -> None:
        source = "\n" * (block.line - 1) + block.text       # so that errors name the line of the page
        promises = Promises(source)
        tree = ast.fix_missing_locations(promises.visit(ast.parse(source)))
        assert not promises.stray, f"{block}: nothing gives what lines {sorted(promises.stray)} promise"
        code = compile(tree, block.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        vars(self.module)[CHECK] = promises
        running = eval(code, vars(self.module))
        if inspect.iscoroutine(running):
            asyncio.run(running)
        assert promises.kept == set(promises.made), f"{block}: never reached: {sorted(set(promises.made) - promises.kept)}"

    def sql(self, block: Block) -> None:
        """By the page's `warehouse` or `store`, if there is one; else by DuckDB alone. `--> rows` below is what it answers.

        On a page that has `published` a warehouse, by DuckDB's command line on that file: `-- ` below each query is what it answers.
        """
        if "published" in vars(self.module):
            asked = re.findall(r"^([^-].*?);\n((?:-- .*\n)+)", block.text, re.MULTILINE)
            promised = [answer.replace("-- ", "").splitlines() for _, answer in asked]
            assert promised, f"{block} promises nothing"
            assert answers(vars(self.module)["published"].path, [query for query, _ in asked]) == promised, block
            return
        ask: Callable[[str], Any] = next((vars(self.module)[name].sql for name in ("warehouse", "store") if name in vars(self.module)), duckdb.sql)
        query, _, promised = block.text.partition("\n-->")
        rows = ask(query).fetchall()
        assert not promised or rows == literal(promised.strip()), f"{block} gives {rows}"

    def console(self, block: Block) -> None:
        commands = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
        assert commands, f"{block} has no line that begins with '$ '"
        for command in commands:
            follow(command)

    def close(self) -> None:
        for value in vars(self.module).values():
            if type(value).__module__.split(".")[0] in ("store", "projections") and hasattr(value, "close"):
                value.close()
        del sys.modules[self.module.__name__]


RUNS: Final[dict[str, Callable[[Page, Block], object]]] = {
    "python": Page.python,
    "sql": Page.sql,
    "console": Page.console,
    "csv": lambda _, block: list(csv.DictReader(block.text.splitlines(), strict=True)),
    "json": lambda _, block: json.loads(block.text),
    "toml": lambda _, block: tomllib.loads(block.text),
    "yaml": lambda _, block: yaml.safe_load(block.text),
}
