"""A follower stands still in the middle of its commit to an object store: another one goes on, and it does when it wakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import store
from projections import ServingModel, follow, streams, wait_for
from store import Event, open_store
from tests.store.storage.proxy import Proxy, Relay

HOUSE = Path(store.__file__).parents[1]
COMMIT = f"/streams/v{streams.version}/_delta_log/{1:020d}.json"


@pytest.mark.parametrize("arrives", ["then", "at once"])
def test_another_follower_goes_on_and_nothing_is_applied_twice(
    arrives: str, s3_environment: str, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`arrives`: its commit is there before it is stopped, or comes after the other one's."""
    stands, proxy = threading.Event(), Proxy(s3_environment)

    def stop(relay: Relay) -> None:
        if relay.command != "PUT" or not relay.path.endswith(COMMIT) or stands.is_set():
            relay.answer(*relay.upstream())
            return
        answer = relay.upstream() if arrives == "at once" else None
        os.kill(victim.pid, signal.SIGSTOP)
        stands.set()
        proxy.released.wait()
        relay.answer(*answer or relay.upstream())

    proxy.always = stop
    with open_store(s3_warehouse, create=True) as log:
        log.append("a-1", [Event("Happened", {})])
        environment = os.environ | {"AWS_ENDPOINT_URL": proxy.endpoint, "ALLUVIUM_WAREHOUSE": s3_warehouse}
        command = [sys.executable, "-m", "pipelines.follow", "streams"]
        with subprocess.Popen(command, cwd=HOUSE, env=environment, stderr=subprocess.DEVNULL) as victim:
            try:
                model = ServingModel(s3_warehouse, streams)
                wait_for(model, 1, timeout_s=120)
                log.append("a-1", [Event("Happened", {})])
                assert stands.wait(120)
                stop_other = threading.Event()
                other = threading.Thread(target=follow, args=(log, [ServingModel(s3_warehouse, streams)], stop_other, lambda *_: None))
                other.start()
                for _ in range(3):
                    wait_for(model, log.append("a-1", [Event("Happened", {})]).position, timeout_s=120)
                stop_other.set()
                other.join()
                victim.send_signal(signal.SIGCONT)
                proxy.released.set()
                wait_for(model, log.append("a-1", [Event("Happened", {})]).position, timeout_s=120)
                victim.send_signal(signal.SIGTERM)
                assert victim.wait(120) == 0
            finally:
                victim.kill()
                proxy.close()
    [row] = model.rows().to_pylist()
    assert (row["events"], model.checkpoint()) == (6, 6)
