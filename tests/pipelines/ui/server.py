"""A real `dagster dev`, over a warehouse of its own, and what a test asks of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import orjson

HOUSE: Final = Path(__file__).parents[3]
_PATIENCE_S: Final = 120.0
_LOOK_S: Final = 0.25

T = TypeVar("T")


class Server:
    """Its web server and daemon, until the block ends. All its state lies under `home`."""

    def __init__(self, home: Path, warehouse: Path, domain: str, settings: str = "", **environment: str) -> None:
        """`settings`: of the instance, in the place of dagster.yaml."""
        (home / "dagster.yaml").write_text(settings or (HOUSE / "dagster.yaml").read_text())
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        paths = {"DAGSTER_HOME": str(home), "PYTHONPATH": f"{HOUSE}:{Path(__file__).parent}"}
        self._environment = os.environ | paths | {"ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_DOMAIN": domain} | environment

    def __enter__(self) -> Self:
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", port]
        self._said = (self._home / "said").open("w")
        # Ctrl-C is how it is stopped, so it must not be deaf to it, as what a shell puts in the background is.
        self._process = subprocess.Popen(
            command, cwd=self._home, env=self._environment, stdout=self._said, stderr=subprocess.STDOUT,
            preexec_fn=_hear_ctrl_c, process_group=0,
        )  # fmt: skip
        try:
            self.until(self._is_up)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)  # to the parent alone: told together, its children wait for each other
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._said.close()

    def ask(self, query: str, **variables: Any) -> Any:
        """What GraphQL answers."""
        asked = orjson.dumps({"query": query, "variables": variables})
        request = urllib.request.Request(f"{self.url}/graphql", asked, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            told = orjson.loads(answer.read())
        if told.get("errors"):
            raise AssertionError(told["errors"])
        return told["data"]

    def backfills(self) -> list[str]:
        """What became of each, the newest first."""
        found = self.ask("{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }")
        return [one["status"] for one in found["partitionBackfillsOrError"]["results"]]

    def materializations(self, asset: str) -> int:
        """How many there are of it."""
        query = "query ($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset { assetMaterializations { runId } } } }"
        return len(self.ask(query, key={"path": [asset]})["assetOrError"].get("assetMaterializations", []))

    def pids(self) -> list[int]:
        """Of it and all that it has started: one group."""
        group = self._process.pid
        return [int(place.name) for place in Path("/proc").glob("[0-9]*") if _group_of(place) == group]

    def until(self, look: Callable[[], T | None], patience_s: float = _PATIENCE_S) -> T:
        """The first answer that is true. It fails with what the server said when none comes."""
        ends = time.monotonic() + patience_s
        while not (seen := look()):
            if time.monotonic() > ends or self._process.poll() is not None:
                raise AssertionError(f"waited in vain; dagster dev said:\n{(self._home / 'said').read_text()[-4000:]}")
            threading.Event().wait(_LOOK_S)
        return seen

    def _is_up(self) -> bool:
        try:
            found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        except OSError:
            return False
        return bool(found["repositoriesOrError"].get("nodes"))


def _group_of(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:                                # it has just ended
        return None


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
