"""What Dagster costs beside the bare runner: a run, the way from an append to fresh read models, the start."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import dagster as dg

from pipelines.definitions import CATCH_UP, definitions
from pipelines.settings import Settings
from projections import BUILT_IN, Projection, ServingModel, fill, wait_for
from store import open_store
from tests.bench.run import Run, seconds
from tests.pipelines.ui import shop
from tests.pipelines.ui.server import HOUSE, Server

DOMAIN: Final = "tests.pipelines.ui.shop:domain"
EVENTS: Final = 1_000
"""That a run catches up with."""
PATIENCE_S: Final = 120.0
LOOK_S: Final = 5.0
"""Between two looks of Dagster's daemon at its sensors, at least."""
INSTANCE: Final = (HOUSE / "dagster.yaml").read_text()
QUEUE: Final = INSTANCE[INSTANCE.index("run_coordinator:") : INSTANCE.index("concurrency:")]
NO_QUEUE: Final = "run_coordinator:\n  module: dagster._core.run_coordinator\n  class: DefaultRunCoordinator\n"
PROJECTIONS: Final[Sequence[Projection]] = (*shop.domain.projections, *BUILT_IN)
VARIANTS: Final[Mapping[str, str]] = {
    "the sensor": INSTANCE,
    "the sensor, runs not queued": INSTANCE.replace(QUEUE, NO_QUEUE),
}
"""By their instances."""


def section(run: Run) -> None:
    _runs(run)
    _freshness(run)


def _runs(run: Run) -> None:
    place, home = run.folder() / "warehouse", run.folder()
    _append(place, EVENTS)
    run.table(f"bring {len(PROJECTIONS)} read models up with {EVENTS:,} new events", "s", "of the bare runner")
    bare_s = _timed(run, place, lambda: _bare(place))
    run.row("the runner alone", f"{bare_s:.3f}", "1.00")
    (home / "dagster.yaml").write_text(INSTANCE.replace(".dagster", f"{home}/.dagster"))
    for name, instance in (("in memory", dg.DagsterInstance.ephemeral()), ("in SQLite", dg.DagsterInstance.from_config(str(home)))):
        with instance:
            took_s = _timed(run, place, _job(place, instance))
        run.row(f"a run in the same process, kept {name}", f"{took_s:.3f}", f"{took_s / bare_s:.2f}")


def _freshness(run: Run) -> None:
    columns = ("p50 s", "at most", "of which until the run is made", "until it begins", "its own")
    run.table("from an append to fresh read models", *columns, "start-up, s", "idle MB")
    place = run.folder() / "warehouse"
    _append(place, EVENTS)
    with _follower(place):
        times = [_fresh(place) for _ in range(1 + 5 * run.sizes.repeats)][1:]
    run.row("`pipelines.follow`", f"{median(times):.2f}", f"{max(times):.2f}", "–", "–", "–", "–", "–")
    for name, instance in VARIANTS.items():
        began_s = time.perf_counter()
        with Server(run.folder(), place, "shop:domain", instance, ALLUVIUM_METRICS_CRON="0 0 1 1 *") as server:
            up_s = time.perf_counter() - began_s
            _fresh(place)                          # what the first run alone does
            looked = [_looked(server, place) for _ in range(run.sizes.repeats)]
            idle_mb = sum(map(_own_bytes, server.pids())) / 2**20
        parts = [f"{median(values):.2f}" for values in list(zip(*looked, strict=True))[1:]]
        times = [times[0] for times in looked]
        run.row(name, f"{median(times):.2f}", f"{max(times):.2f}", *parts, f"{up_s:.1f}", f"{idle_mb:.0f}")


def _looked(server: Server, place: Path) -> tuple[float, float, float, float]:
    """Seconds until the read models are fresh; and until the run was made, from then until it began, and from then until it ended."""
    time.sleep(random.uniform(0, LOOK_S))          # or each append would come at the same time after a look of the daemon
    began_s = time.time()
    took_s = _fresh(place)
    made_s, start_s, end_s = server.until(lambda: _times_of_last(server))
    return took_s, made_s - began_s, start_s - made_s, end_s - start_s


def _times_of_last(server: Server) -> tuple[float, float, float] | None:
    query = "{ runsOrError(limit: 1) { ... on Runs { results { creationTime startTime endTime } } } }"
    [last] = server.ask(query)["runsOrError"]["results"]
    times = (last["creationTime"], last["startTime"], last["endTime"])
    return times if all(times) else None


def _fresh(place: Path) -> float:
    models = [ServingModel(str(place), projection) for projection in PROJECTIONS]
    began_s, position = time.perf_counter(), _append(place, 1)
    for model in models:
        wait_for(model, position, PATIENCE_S)
    return time.perf_counter() - began_s


@contextmanager
def _follower(place: Path) -> Iterator[None]:
    environment = os.environ | {"ALLUVIUM_WAREHOUSE": str(place), "ALLUVIUM_DOMAIN": DOMAIN}
    with subprocess.Popen([sys.executable, "-m", "pipelines.follow"], env=environment, stderr=subprocess.DEVNULL) as follower:
        try:
            yield
        finally:
            follower.terminate()


def _bare(place: Path) -> None:
    with open_store(place) as store:
        for projection in PROJECTIONS:
            fill(store, ServingModel(str(place), projection))


def _job(place: Path, instance: dg.DagsterInstance) -> Callable[[], Any]:
    loaded = definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(place), "ALLUVIUM_DOMAIN": DOMAIN}))
    job = loaded.resolve_job_def(CATCH_UP)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return lambda: job.execute_in_process(instance=instance, run_config=quiet)


def _timed(run: Run, place: Path, work: Callable[[], Any]) -> float:
    """Each time after as many new events; the first time, which loads what it needs, does not count."""
    times = []
    for _ in range(1 + run.sizes.repeats):
        _append(place, EVENTS)
        times.append(seconds(work))
    return median(times[1:])


def _append(place: Path, events: int) -> int:
    """Some sales; the head."""
    with open_store(place, create=True) as store:
        for number in range(min(events, 8)):
            share = range(number, events, 8)
            store.append(f"till-{number}", [shop.types.event(shop.Sold(f"article {sale % 5}", sale)) for sale in share])
        return store.head()


def _own_bytes(pid: int) -> int:
    """Of a process, what it shares with others divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:                                # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
