"""`python -m tests.chaos [--minutes 10] [--seed 1] [--as-shipped] [--without NAME …]`: a storm, and how long others took to go on in it."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from tests.chaos.storm import Storm, object_store, storm
from tests.chaos.verdict import judge


def main() -> None:
    given = _parser().parse_args()
    for name in [name for name in os.environ if name.startswith(("AWS_", "ALLUVIUM_"))]:
        del os.environ[name]
    folder = Path(mkdtemp(prefix="alluvium-chaos-"))
    print(f"seed {given.seed}, {given.minutes:g} minutes, what processes say lies in {folder}", flush=True)  # noqa: T201
    with object_store() as endpoint:
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": "us-east-1",
        }  # fmt: skip
        with storm(endpoint, folder, given.seed, 60 * given.minutes, as_shipped=given.as_shipped, without=given.without) as raged:
            events = judge(raged)
            told(raged, events)


def told(raged: Storm, events: int) -> None:
    acks = sum(len(actor.acks()) for actor in raged.actors.values())
    faults: dict[str, int] = defaultdict(int)
    for actor in raged.actors.values():
        for name, count in actor.weather.met.items():
            faults[name] += count
    troubles = sum("trouble" in line for actor in raged.actors.values() for line in actor.told)
    print(f"{len(raged.measured)} rounds, {events:,} events, {acks:,} acknowledgements; all laws hold")  # noqa: T201
    print(f"faults of single requests: {dict(faults)}; errors that callers met and passed by: {troubles}")  # noqa: T201
    print("seconds until others had gone on, by what happened to whom: median, most, and who that was")  # noqa: T201
    by: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for one in raged.measured:
        for met in one.disturbed:
            by[met] += [(seconds, name) for name, seconds in one.seconds.items()]
    for (act, role), seconds in sorted(by.items()):
        most, who = max(seconds)
        print(f"  {act:8} {role:8} {median(second for second, _ in seconds):6.2f} {most:6.2f} {who:10}  of {len(seconds)}")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Disturb everybody who works on a warehouse; see that all laws hold.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-shipped", action="store_true", help="with the waits of production: less happens in the same time")
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME", help="leave processes out, such as rebuild-11, on a slow machine")
    return parser


if __name__ == "__main__":
    main()
