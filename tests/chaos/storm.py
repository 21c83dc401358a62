"""Writers, readers, runners and upkeep on one warehouse in an object store, killed, stopped, restarted and cut off by seeded chance.

Each round somebody is disturbed, and lies there until all others have gone on: that is the test of progress. What all of them did together
is for `verdict` to judge.
"""

from __future__ import annotations

import math
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import boto3

from projections import ServingModel
from store import open_store
from tests.chaos.actor import HOUSE, Actor, BrokenError, Lines
from tests.chaos.tallies import CHAINS, COUNTS
from tests.store.storage.weather import Weather

BUCKET: Final = "chaos"
BAD: Final = 0.03
"""The part of requests that meet a fault on a fine day; RAGING on a bad one, of one process alone."""
RAGING: Final = 0.3
LATE_S: Final = 6.0
PATIENCE_S: Final = 240.0
"""Not how long others may take to go on, but when to stop waiting for those that never will."""
LOOK_S: Final = 0.05
LOOK_AT_MODELS_S: Final = 1.0
ACTS: Final = ("kill", "stop", "refuse", "silence", "storm")


@dataclass(slots=True)
class Measured:
    """How long it took each of the others to go on, once these, by their roles, were disturbed."""

    disturbed: list[tuple[str, str]]
    seconds: dict[str, float]


@dataclass(slots=True)
class Storm:
    """What came of it: `actors` have told everything, `uri` is at rest."""

    uri: str
    actors: dict[str, Actor]
    measured: list[Measured] = field(default_factory=list)

    def of_role(self, role: str) -> list[Actor]:
        return [actor for actor in self.actors.values() if actor.role == role]


@contextmanager
def object_store() -> Iterator[str]:
    """The endpoint of an S3 that carries out one request at a time, with a bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "tests.chaos.object_store", str(port)], cwd=HOUSE, stderr=subprocess.DEVNULL) as server:
        try:
            until("the object store", lambda: _answers(port))
            keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "not-a-secret"}
            boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
            yield endpoint
        finally:
            server.kill()


@contextmanager
def storm(
    endpoint: str, folder: Path, seed: int, seconds: float, *, as_shipped: bool = False, without: Sequence[str] = ()
) -> Iterator[Storm]:
    """Rounds for so long, one at least, once everybody has begun; then peace. The environment must lead to the endpoint."""
    uri = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    open_store(uri, create=True).close()
    with ExitStack() as closing:
        actors = {actor.name: actor for actor in cast(uri, endpoint, folder, seed, as_shipped) if actor.name not in without}
        for actor in actors.values():
            closing.callback(actor.close)
            actor.start()
        raging = Storm(uri, actors)
        luck = random.Random(seed)
        watch = Watch(raging)
        until("everybody to begin", lambda: all(watch.done(name) > 0 for name in actors))
        for actor in actors.values():
            actor.weather.bad = BAD
        ends_s = time.monotonic() + seconds
        while not raging.measured or time.monotonic() < ends_s:
            play(raging, watch, luck)
        calm(raging, watch, folder / "stop")
        yield raging


def cast(uri: str, endpoint: str, folder: Path, seed: int, as_shipped: bool) -> list[Actor]:
    """Three kinds of writers, of which some share a machine; a reader; two runners of the same read models, and one who rebuilds one of them."""
    stop = folder / "stop"
    environment = {
        "ALLUVIUM_WAREHOUSE": uri, "ALLUVIUM_DOMAIN": "tests.chaos.tallies:domain", "CHAOS_AS_SHIPPED": str(int(as_shipped)),
    }  # fmt: skip

    def actor(name: str, role: str, machine: str, arguments: Callable[[Lines], Sequence[object]]) -> Actor:
        weather = Weather(f"{seed}/{name}", LATE_S * (5 if as_shipped else 1))
        return Actor(name, role, arguments, folder, folder / machine, endpoint, weather, environment)

    def writing(number: int) -> Callable[[Lines], Sequence[object]]:
        return lambda told: (uri, stop, number, *goes_on(told))

    def reading(told: Lines) -> Sequence[object]:
        return uri, next((line["first"] + len(line["ids"]) - 1 for line in reversed(told) if "first" in line), 0)

    return [
        actor("append-1", "append", "a", writing(1)),
        actor("append-2", "append", "a", writing(2)),
        actor("race-3", "race", "a", writing(3)),
        actor("race-4", "race", "b", writing(4)),
        actor("decide-5", "decide", "b", writing(5)),
        actor("decide-6", "decide", "c", writing(6)),
        actor("read-7", "read", "d", reading),
        actor("follow-8", "follow", "e", lambda told: (uri,)),
        actor("follow-9", "follow", "f", lambda told: (uri,)),
        actor("upkeep-10", "upkeep", "c", lambda told: (uri, stop)),
        actor("rebuild-11", "rebuild", "e", lambda told: (uri, stop)),
    ]


def goes_on(told: Lines) -> Sequence[object]:
    """The number after the last one acknowledged, and where it was about to go."""
    number = next((line["number"] + 1 for line in reversed(told) if "number" in line), 0)
    about = next((line["version"] for line in reversed(told) if line.get("about") == number), None)
    return (number,) if about is None else (number, about)


class Watch:
    """Looks how far each one is, by a handle that nothing disturbs."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._seen, self._looked_s = 0, -math.inf

    def done(self, name: str) -> int:
        """A number that grows as it works. What two runners do at the same read models cannot be told apart."""
        actor = self._storm.actors[name]
        return self._lately() if actor.role == "follow" else actor.steps()

    def checkpoint(self) -> int:
        """By handles of their own: one that is kept would have to hurry as the processes do, which clean what it has not seen after seconds."""
        return min(ServingModel(self._storm.uri, projection).checkpoint() for projection in (COUNTS, CHAINS))

    def _lately(self) -> int:
        if time.monotonic() - self._looked_s > LOOK_AT_MODELS_S:
            self._seen, self._looked_s = self.checkpoint(), time.monotonic()
        return self._seen


def play(raging: Storm, watch: Watch, luck: random.Random) -> None:
    """One round: one of them is disturbed, or two."""
    disturbed = [(raging.actors[name], luck.choice(ACTS)) for name in luck.sample(list(raging.actors), luck.choice((1, 1, 2)))]
    names = {victim.name for victim, _ in disturbed}
    # A rebuild takes as long as it takes.
    others = {name: watch.done(name) for name, actor in raging.actors.items() if name not in names and actor.role != "rebuild"}
    began_s, seconds = time.monotonic(), dict[str, float]()
    for victim, act in disturbed:
        disturb(victim, act)
    try:
        def gone_on() -> bool:
            for name in others.keys() - seconds.keys():
                raging.actors[name].check()
                if watch.done(name) > others[name]:
                    seconds[name] = time.monotonic() - began_s
            return len(seconds) == len(others)

        what = " and ".join(f"{victim.name} meets {act}" for victim, act in disturbed)
        until(f"others to go on while {what}", gone_on, lambda: where(raging, others.keys() - seconds.keys()))
        time.sleep(luck.choice((0.0, 0.0, 1.0, 5.0)))      # how long it is away decides what has passed it by
    finally:
        for victim, act in disturbed:
            restore(victim, act)
    raging.measured.append(Measured([(act, victim.role) for victim, act in disturbed], seconds))


def disturb(victim: Actor, act: str) -> None:
    match act:
        case "kill":
            victim.kill()
        case "stop":
            victim.stop()
        case "refuse" | "silence":
            victim.weather.cut(silently=act == "silence")
        case _:
            victim.weather.bad = RAGING


def restore(victim: Actor, act: str) -> None:
    match act:
        case "kill":
            victim.start()
        case "stop":
            victim.go_on()
        case "refuse" | "silence":
            victim.weather.mend()
        case _:
            victim.weather.bad = BAD


def calm(raging: Storm, watch: Watch, stop: Path) -> None:
    """Everybody is undisturbed, finishes what is under way, and sees the whole log."""
    for actor in raging.actors.values():
        actor.weather.bad = 0.0
        actor.check()
    stop.touch()
    for actor in raging.actors.values():
        if actor.role not in ("read", "follow"):
            actor.end()
    for actor in raging.actors.values():
        actor.weather.settle()
    with open_store(raging.uri) as store:
        head = store.head()
    for actor in raging.of_role("read"):
        until("the reader to see all", lambda: actor.told[-1].get("first", 0) + len(actor.told[-1].get("ids", ())) > head)  # noqa: B023
        actor.kill()
    until(
        f"the read models to come to {head}", lambda: watch.checkpoint() == head,
        lambda: where(raging, [actor.name for actor in raging.of_role("follow")]),
    )  # fmt: skip
    for actor in raging.of_role("follow"):
        actor.end(signal.SIGTERM)


def until(what: str, true: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > ends_s:
            raise BrokenError(f"waited in vain for {what}: {why()}")
        time.sleep(LOOK_S)


def where(raging: Storm, names: Iterable[str]) -> str:
    return "\n".join(raging.actors[name].where() for name in names)


def _answers(port: int) -> bool:
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0
