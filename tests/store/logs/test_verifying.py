"""A warehouse of several logs is sound if each log is, and goes on from the one that it was split from."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import Logs, open_logs, repair, verify
from store.errors import TableRefusedError
from tests.store.facts import facts


@pytest.fixture
def place(tmp_path: Path) -> str:
    with open_logs(tmp_path / "warehouse", create=True) as store:
        for number in range(12):
            store.append(f"a-{number}", facts(2))
        store.split("h", 2)
        for number in range(18):
            store.append(f"a-{number}", facts(1))
        store.split("h0-7", 2)
        for number in range(12):
            store.append(f"a-{number}", facts(1))
    return str(tmp_path / "warehouse")


def part_of(place: str, number: int) -> Path:
    with open_logs(place) as store:
        assert isinstance(store, Logs)
        return Path(store.each()[number].uri)


def test_all_logs_are_looked_at(place: str) -> None:
    found = verify(place)
    assert found.sound
    assert (found.events, found.notes) == (24 + 18 + 12, [])


def test_damage_in_a_part_is_found_and_named(place: str) -> None:
    path = next(part_of(place, -1).glob("shard=*/*.parquet"))
    path.unlink()
    (found,) = verify(place).damage
    assert (found.where, found.problem) == (f"log h4-7, shard=h/{path.name}", "the log names it, but it is not there")


def test_a_version_that_does_not_follow_from_the_earlier_log_is_found(place: str) -> None:
    """As if the earlier log had lost its end: it is sound by itself, and what comes after it is not."""
    with open_logs(place) as store:
        streams = {row["stream_id"] for row in store.each()[-1].read_all().read_all().to_pylist()}
    log = part_of(place, 0) / "_delta_log"
    bodies = [path.read_bytes() for path in sorted(log.glob("*.json"))]
    for number, path in enumerate(sorted(log.glob("*.json"))):
        if number >= 7:
            path.unlink()
    (log / f"{7:020}.json").write_bytes(bodies[13].replace(b'"head":24', b'"head":12'))
    damage = verify(place).damage
    assert damage
    assert any("does not follow" in found.problem and any(stream in found.problem for stream in streams) for found in damage)


def test_what_a_crash_left_in_a_part_is_moved_aside(place: str) -> None:
    newest = max(part_of(place, -1).glob("_delta_log/*.json"))
    torn = newest.with_name(f"{int(newest.stem) + 1:020}.json")
    torn.write_bytes(b"")
    assert not verify(place).sound
    done = repair(place)
    assert done.moved == [f"logs/h4-7/events/_delta_log/{torn.name}"]
    assert verify(place).sound
    assert repair(place).moved == []


def test_events_after_a_log_has_ended_are_damage(place: str) -> None:
    root = part_of(place, 0) / "_delta_log"
    *_, append, seal = sorted(root.glob("*.json"))
    append_body, seal_body = append.read_bytes(), seal.read_bytes()
    append.write_bytes(seal_body.replace(b'"head":24', b'"head":22'))
    seal.write_bytes(append_body)
    assert any("after the log has ended" in found.problem for found in verify(place).damage)
    with pytest.raises(TableRefusedError):
        repair(place)
