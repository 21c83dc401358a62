"""The parent's side of one process: it is killed, stopped, started again and cut off, and is heard meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from tests.store.storage.proxy import Proxy
from tests.store.storage.weather import Weather

HOUSE: Final = Path(__file__).parents[2]

Lines = list[dict[str, Any]]


class BrokenError(AssertionError):
    """A process ended that nobody ended, or did not go on."""


class Actor:
    """`arguments`: of its role, by what it has told so far. `machine`: a folder for temporary files, which those on one machine share.

    It talks to the object store through a proxy of its own.
    """

    def __init__(
        self, name: str, role: str, arguments: Callable[[Lines], Sequence[object]], folder: Path, machine: Path, endpoint: str, weather: Weather,
        environment: dict[str, str],
    ) -> None:
        self.name, self.role, self.weather = name, role, weather
        self._arguments, self._said, self._moaned = arguments, folder / f"{name}.jsonl", folder / f"{name}.err"
        self._proxy = Proxy(endpoint)
        self._proxy.always = weather
        machine.mkdir(exist_ok=True)
        self._environment = os.environ | environment | {"AWS_ENDPOINT_URL": self._proxy.endpoint, "TMPDIR": str(machine)}
        self._process: subprocess.Popen[bytes] | None = None
        self._told: Lines = []
        self._heard_bytes = self._steps = 0
        self.starts = 0

    @property
    def told(self) -> Lines:
        """All that it has told, whichever of its lives it was in. Whole lines only: the last one may be on its way."""
        if self._said.exists():
            with self._said.open("rb") as said:
                said.seek(self._heard_bytes)
                whole, newline, _ = said.read().rpartition(b"\n")
            self._heard_bytes += len(whole + newline)
            for line in map(orjson.loads, whole.splitlines()):
                self._told.append(line)
                self._steps += bool(line.keys() & {"number", "ids", "kept"})
        return self._told

    def steps(self) -> int:
        """How often it has told of something done."""
        return self._steps if self.told else 0

    def acks(self) -> Lines:
        return [line for line in self.told if "number" in line]

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.roles", self.role, *map(str, self._arguments(self.told))]
        with self._said.open("ab") as said, self._moaned.open("ab") as moaned:
            self._process = subprocess.Popen(command, stdout=said, stderr=moaned, cwd=HOUSE, env=self._environment)
        self.starts += 1

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._running().wait()

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self, how: int | None = None) -> None:
        """It must end well, by itself or at a signal that asks it to."""
        if how is not None:
            self._signal(how)
        if code := self._running().wait(240):
            raise BrokenError(f"{self.name} ended with {code}: {self.moaned()}")

    def check(self) -> None:
        """Nobody has ended it, so it must not have ended."""
        if (code := self._running().poll()) is not None:
            raise BrokenError(f"{self.name} has ended with {code}: {self.moaned()}")

    def where(self) -> str:
        """What its threads are doing."""
        if self._running().poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGUSR1)
            time.sleep(0.5)
        asked = self._proxy.asked
        return f"{self.name}, after {len(asked)} requests, of late {asked[-20:]}: {self.moaned()}"

    def moaned(self) -> str:
        return self._moaned.read_text()[-3000:]

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.weather.mend()
        self._proxy.close()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _signal(self, number: int) -> None:
        self._running().send_signal(number)
