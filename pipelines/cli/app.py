"""The command line's table of contents. Each command is imported when it is called, so that none waits for what it does not need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from inspect import getdoc
from typing import Final

from cyclopts import App, CycloptsError, Group

from pipelines.cli.arguments import QUIET
from pipelines.cli.outcome import DONE, MISUSED, ending, tell

_HELP: Final = """The event store that is your warehouse.

Events are appended to streams, projected into read models, and asked for in SQL. Every command takes `--warehouse`, `--domain` and `--json`.

Exit codes: 0 done; 1 refused or failed; 2 not understood; 3 done, and something was found that somebody should see to; 4 a conflict."""

_COMMANDS: Final = {
    "Events": {
        "init": ("writing:init", "Make a warehouse."),
        "append": ("writing:append", "Append one event."),
        "load": ("loading:load", "Load a CSV, JSON or Parquet file as events."),
        "read": ("reading:read", "Read the log, or follow it."),
        "stream": ("reading:stream", "Read one stream."),
    },
    "Questions": {
        "replay": ("replaying:replay", "See a stream's state after each of its events."),
        "as-of": ("past:as_of", "See the warehouse, a state or a read model as it was."),
        "sql": ("asking:sql", "Ask in SQL."),
        "types": ("types:types", "See which types of events there are."),
        "publish": ("publishing:publish", "Let other tools ask: write a DuckDB database of views."),
        "serve": ("publishing:serve", "Let others ask over the network, by Flight SQL."),
    },
    "Operations": {
        "status": ("status:status", "See on one screen how everything is."),
        "projections": ("projections:app", "List, run, follow, rebuild, compare and promote projections."),
        "dead-letters": ("dead_letters:app", "See, retry or give up events that could not be applied."),
        "snapshots": ("snapshots:app", "See, take, check or forget saved states."),
        "compact": ("upkeep:compact", "Merge small files of the log."),
        "maintain": ("upkeep:maintain", "Merge, checkpoint, clean and vacuum all tables."),
        "logs": ("splitting:logs", "See which logs the events are in."),
        "split": ("splitting:split", "Let several logs take the place of one."),
        "verify": ("safety:verify", "Read the whole log, and say what is wrong with it."),
        "repair": ("safety:repair", "Move aside what a crash left."),
        "backup": ("safety:backup", "Bring a backup up to date."),
        "restore": ("safety:restore", "Make a warehouse from a backup."),
    },
    "Forgetting and proof": {
        "keys": ("keys:app", "See, delete, rotate and wrap the keys of personal data."),
        "erase": ("erasing:erase", "Erase what events say, and all that was made of it."),
        "reapply": ("erasing:reapply", "Erase again in an older copy what was erased."),
        "traces": ("tracing:traces", "Search every file of the warehouse for values that should be gone."),
        "retention": ("retention:app", "Say what is to be kept of streams, and end them."),
        "audit": ("auditing:app", "See what was done to the store, attest what it holds, and check it."),
        "access": ("access:app", "See what these credentials can do, and what is granted to others."),
    },
    "Trying it": {
        "demo": ("trying:demo", "Load a year of flights, project them, and ask a few questions."),
        "bench": ("trying:bench", "Measure how quick it is on this disk."),
    },
}


def make_app() -> App:
    app = App("alluvium", help=_HELP, version=lambda: version("alluvium"), help_format="markdown", default_parameter=QUIET)
    for number, (title, commands) in enumerate(_COMMANDS.items()):
        group = Group(title, sort_key=number)
        for place_in_group, (name, (place, told)) in enumerate(commands.items()):
            app.command(f"pipelines.cli.{place}", name=name, group=group, help=told, sort_key=place_in_group)
    rest = Group("Beside them", sort_key=9)
    app.register_install_completion_command(group=rest)
    app["--help"].group = app["--version"].group = rest
    return app


def _explaining(app: App, given: Sequence[str]) -> App:
    """The list of commands has a line of each, and imports none; one that is asked for help says all that its docstring does."""
    groups = [name for commands in _COMMANDS.values() for name, (place, _) in commands.items() if place.endswith(":app")]
    if {"--help", "-h"} & set(given) and given[0] in app and given[0] not in groups and not given[0].startswith("-"):
        app[given[0]].help = getdoc(app[given[0]].default_command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code, one of `pipelines/cli/outcome.py`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _explaining(make_app(), given)(given, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return MISUSED
    except BrokenPipeError:                        # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (Exception, KeyboardInterrupt) as error:
        if (ended := ending(error)) is None:
            raise
        return tell(ended, "--json" in given)
    return code if isinstance(code, int) else DONE
