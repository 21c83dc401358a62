"""The store from a terminal: `python -m store verify URI`, `python -m store repair URI [--dry-run] [--by WHO --why REASON]`.

Exit code 0: sound, or mended. 1: damage was found. 2: bad usage, or refused. Notes alone do not make a log unsound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from store.deeds import UNKNOWN
from store.delta.verifying import contents_check
from store.errors import StoreError
from store.verifying import repair, verify

SOUND: Final = 0
DAMAGED: Final = 1
REFUSED: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code. Results go to stdout; progress and errors to stderr."""
    given = _parser().parse_args(arguments)
    told, aside = Console(soft_wrap=True, markup=False, highlight=False), Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    try:
        with _bar(aside) as progress:
            code, lines = _verify(given.uri, progress) if given.command == "verify" else _repair(given, progress)
    except StoreError as error:
        aside.print(str(error))
        return REFUSED
    for line in lines:
        told.print(line)
    return code


def _verify(uri: str, progress: contents_check.Progress) -> tuple[int, list[str]]:
    report = verify(uri, progress)
    rate = report.events / max(report.seconds, 1e-9)
    size = f"{report.events:,} events in {report.files:,} files, {report.data_bytes:,} bytes, at commit {report.version}"
    verdict = "sound" if report.sound else f"damaged, {len(report.damage):,} findings"
    lines = [*map(str, report.findings), f"{verdict}: {size}; {report.seconds:.1f} s, {rate:,.0f} events/s"]
    return (SOUND if report.sound else DAMAGED), lines


def _repair(given: argparse.Namespace, progress: contents_check.Progress) -> tuple[int, list[str]]:
    done = repair(given.uri, given.dry_run, progress, by=given.by, why=given.why)
    place = "would be moved aside" if given.dry_run else f"moved to {done.folder}"
    lines = [*map(str, done.mended), *(f"{path} {place}" for path in done.moved), *map(str, done.left)]
    if done.unrecorded is not None:
        lines.append(f"that this was done could not be recorded in $audit: {done.unrecorded}")
    return SOUND, [*lines, f"{len(done.moved):,} files {place}" if done.moved else "nothing to repair"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m store", description="Look after a warehouse's event log.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("verify", help="read everything and say what is wrong; changes nothing")
    mending = commands.add_parser("repair", help="move aside what a crash left; refuse the rest")
    mending.add_argument("--dry-run", action="store_true", help="only say what would be moved")
    mending.add_argument("--by", default=UNKNOWN, help="who does it, for the audit")
    mending.add_argument("--why", default=UNKNOWN, help="why, for the audit")
    for command in (checking, mending):
        command.add_argument("uri", help="the warehouse: a path, file://, s3://, gs:// or az://")
    return parser


@contextmanager
def _bar(console: Console) -> Iterator[contents_check.Progress]:
    """A bar while events are read; nothing where stderr is no terminal."""
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("events", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
