from __future__ import annotations

import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from projections import Leases, UnderWayError
from projections.models import leases as module

HOLDER = """
import sys, time
from projections import Leases
with Leases(sys.argv[1]).held("fleet"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_maker_is_told_who_the_first_is(tmp_path: Path) -> None:
    leases = Leases(str(tmp_path))
    with leases.held("fleet") as first:
        named = rf"'fleet' is being rebuilt by process \d+ on {socket.gethostname()} since"
        with pytest.raises(UnderWayError, match=named) as told, leases.held("fleet"):
            pass
        assert (told.value.owner, told.value.since) == (first.owner, first.since)


def test_projections_are_made_independently(tmp_path: Path) -> None:
    leases = Leases(str(tmp_path))
    with leases.held("fleet"), leases.held("routes"):
        assert leases.of("fleet") is not None
        assert leases.of("routes") is not None


def test_it_is_free_when_the_first_is_done_or_has_failed(tmp_path: Path) -> None:
    leases = Leases(str(tmp_path))
    with pytest.raises(ZeroDivisionError), leases.held("fleet"):
        raise ZeroDivisionError
    assert leases.of("fleet") is None
    with leases.held("fleet"):
        pass


def test_a_killed_process_of_this_machine_keeps_nobody_waiting(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UnderWayError, match=f"process {holder.pid} "), Leases(str(tmp_path)).held("fleet"):
            pass
        holder.send_signal(signal.SIGKILL)
    with Leases(str(tmp_path)).held("fleet") as taken:
        assert taken.process != holder.pid


def test_what_another_machine_left_behind_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2013, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(module.socket, "gethostname", lambda: "elsewhere")
    forsaken = Leases(str(tmp_path), lambda: now).held("fleet")
    forsaken.__enter__()
    monkeypatch.undo()
    with pytest.raises(UnderWayError, match="elsewhere"), Leases(str(tmp_path), lambda: now + module.LEASE - timedelta(seconds=1)).held("fleet"):
        pass
    later = Leases(str(tmp_path), lambda: now + module.LEASE)
    with later.held("fleet") as taken:
        forsaken.__exit__(None, None, None)        # who has lost it takes nothing away from the next one
        assert later.of("fleet") == taken


def test_it_is_renewed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    times = iter(datetime(2013, 1, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(1_000_000))
    leases = Leases(str(tmp_path), lambda: next(times))
    with leases.held("fleet") as held:
        waited = Leases(str(tmp_path), lambda: held.since)
        while (seen := waited.of("fleet")) is not None and seen.until < held.until + timedelta(minutes=3):
            pass
        assert seen is not None
