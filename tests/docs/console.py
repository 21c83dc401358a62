"""Follows a command of a page: runs it where that is quick, else sees that it, its target, module and options are there."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import takewhile
from typing import Final
from unittest.mock import patch

from pipelines.settings import Settings
from tests.docs.pages import HOUSE

Main = Callable[[Sequence[str]], object]
PROJECT: Final = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
RUN: Final = ("store",)
"""Modules whose commands end by themselves, and soon; so do all of `alluvium` but these:"""
ENDLESS: Final = ("bench", "demo", "follow", "serve", "--follow", "--watch")


def follow(command: str) -> None:
    """AssertionError: that would not work."""
    words = shlex.split(command, comments=True)
    environment = dict(word.split("=", 1) for word in takewhile(re.compile("[A-Z_]+=").match, words))
    for variable in environment:
        known(variable)
    with patch.dict(os.environ, environment):
        try_out(command, words[len(environment) :])


def try_out(command: str, words: Sequence[str]) -> None:
    match words:
        case ["make", *rest]:
            made(rest)
        case [(".venv/bin/python" | "python"), "-m", "pip", *rest] | ["pip", *rest]:
            installed(rest)
        case [(".venv/bin/python" | "python"), "-m", module, *rest]:
            assert importlib.util.find_spec(module), f"{command}: there is no module {module}"
            done(main_of(module), rest, run=module in RUN)
        case [str(script), *rest] if script.removeprefix(".venv/bin/") in PROJECT.get("scripts", {}):
            module, _, function = PROJECT["scripts"][script.removeprefix(".venv/bin/")].partition(":")
            done(getattr(importlib.import_module(module), function), rest, run=not set(rest) & set(ENDLESS))
        case _:
            raise AssertionError(f"nobody knows whether this works: {command}")


def known(variable: str) -> None:
    assert variable.startswith("AWS_") or variable.removeprefix("ALLUVIUM_").lower() in SETTINGS, f"there is no setting {variable}"


SETTINGS: Final = {field.name for field in fields(Settings)} - {"home", "rebuild_all"} | {"rebuild"}


def made(words: Sequence[str]) -> None:
    makefile = (HOUSE / "Makefile").read_text()
    for word in words:
        variable, given, _ = word.partition("=")
        assert re.search(rf"\$\({variable}\)" if given else rf"^{re.escape(word)}:", makefile, re.MULTILINE), f"make knows no {word}"


def installed(words: Sequence[str]) -> None:
    """That its extras are there."""
    assert words[0] == "install", words
    for extras in re.findall(r"\[(.*?)\]", " ".join(words)):
        assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys(), f"there is no extra {extras}"


def main_of(module: str) -> Main:
    """What `python -m` runs, in all of ours."""
    package = importlib.util.find_spec(f"{module}.__main__") if importlib.import_module(module).__spec__.submodule_search_locations else None
    main: Main = importlib.import_module(f"{module}.__main__" if package else module).main
    return main


def done(main: Main, words: Sequence[str], *, run: bool) -> None:
    """That it ends well; if it is not to be run, that its help, which knows of its commands, knows of its options, too."""
    if not run and not words:
        return
    code, told = called(main, words if run else [*words, "--help"])
    assert code in (None, 0), f"{' '.join(words)}: {code}, {told}"
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert run or all(re.search(rf"(?<!\S){re.escape(option)}\b", told) for option in options), f"{sorted(options)} are not all among {told}"


def called(main: Main, words: Sequence[str]) -> tuple[object, str]:
    """The exit code, and what was told."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            return main(words), told.getvalue()
        except SystemExit as ended:
            return ended.code, told.getvalue()
