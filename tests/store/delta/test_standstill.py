"""A writer stands still in the middle of a commit to an object store, and holds its machine's turn: the others go on, and it does when it wakes."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store import open_store
from store.storage import turnstile
from tests.store.delta.test_processes import assert_dense, assert_kept, started, told
from tests.store.facts import everything, facts
from tests.store.storage.proxy import Proxy, Relay

OTHERS = 5


@pytest.fixture
def victims_proxy(s3_environment: str) -> Iterator[Proxy]:
    """Its alone."""
    proxy = Proxy(s3_environment)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("what", ["PUT events/shard", "PUT _delta_log/00000000000000000001.json"], ids=["data", "commit"])
@pytest.mark.parametrize("arrives", ["then", "at once"])
def test_others_append_while_a_writer_of_their_machine_stands_still(
    what: str, arrives: str, victims_proxy: Proxy, s3_environment: str, s3_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`arrives`: what it was putting is there before it is stopped, or comes after the others have gone on."""
    monkeypatch.setattr(turnstile, "PATIENCE_S", 0.2)
    monkeypatch.setenv("TMPDIR", str(tmp_path))    # where their machine's turns are
    monkeypatch.setattr(tempfile, "tempdir", None)
    open_store(s3_warehouse, create=True).close()
    stands = threading.Event()

    def stop(relay: Relay) -> None:
        method, _, path = what.partition(" ")
        if relay.command != method or path.rpartition("/")[2] not in relay.path.replace("%3D", "=") or stands.is_set():
            relay.answer(*relay.upstream())
            return
        answer = relay.upstream() if arrives == "at once" else None
        os.kill(victim.pid, signal.SIGSTOP)
        stands.set()
        victims_proxy.released.wait()
        relay.answer(*answer or relay.upstream())

    victims_proxy.always = stop
    with ExitStack() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", victims_proxy.endpoint)
        victim = running.enter_context(started("alone", s3_warehouse, 1, 2))
        running.callback(victim.kill)
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_environment)
        assert stands.wait(120)
        with open_store(s3_warehouse) as store:
            for number in range(OTHERS):
                store.append("other", facts(1), number)
            victim.send_signal(signal.SIGCONT)
            victims_proxy.released.set()
            acks = told(victim)
            rows = everything(store)
    assert_dense(rows)
    assert_kept(rows, acks)
    assert (len(acks), len(rows)) == (2, OTHERS + 6)
