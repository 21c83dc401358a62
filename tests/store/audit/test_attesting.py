"""What is attested is told by digests that anybody can make again, and each link names the one before it."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from store import Event, EventStore, InvalidEventError, MemoryEventStore
from store.audit import attesting, link
from store.audit.head import PublishedHead
from tests.store.facts import at_once, facts, table


def text(value: str | None) -> str:
    return "-" if value is None else f"{len(value.encode())}:{value}"


def micro(row: dict[str, Any], name: str) -> int:
    at = row[name]
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def by_hand(store: EventStore, first: int, last: int) -> tuple[str, str]:
    """The digests of one block, by an outsider."""
    identities, payloads = hashlib.sha256(), hashlib.sha256()
    for row in store.read_all(first - 1, last).read_all().to_pylist():
        numbers = [row["position"], row["version"], row["schema_version"], micro(row, "occurred_at"), micro(row, "recorded_at")]
        texts = [row[name] for name in ("stream_id", "event_id", "type", "correlation_id", "causation_id")]
        identities.update(("".join(f"{number} " for number in numbers) + "".join(map(text, texts)) + "\n").encode())
        tags = f"{len(row['tags'])} " + "".join(map(text, row["tags"]))
        payloads.update(f"{row['position']} {text(row['data'])}{text(row['metadata'])}{tags}\n".encode())
    return identities.hexdigest(), payloads.hexdigest()


def links(store: EventStore) -> list[dict[str, Any]]:
    return [orjson.loads(data) for data in store.read_stream("$chain")["data"].to_pylist()]


def attest(store: EventStore) -> PublishedHead:
    [head] = store.audit.attest(by="ada", why="every day")
    return head


def assert_proved(store: EventStore, *heads: PublishedHead) -> None:
    [proof] = store.audit.check(*heads)
    assert (proof.sound, list(proof.findings), list(proof.changes)) == (True, [], [])


def test_digests_are_those_that_an_outsider_makes(store: EventStore) -> None:
    store.append("ä:1", [Event("Read", {"größe": 1}, tags=["a", "b:c"], metadata={"by": "-"}, correlation_id="c"), *facts(2)])
    store.append_table(table(1_030, data=[f'{{"n":{n}}}' for n in range(1_030)], tags=[["x"] * (n % 3) for n in range(1_030)]))
    attest(store)
    [said] = links(store)
    assert (said["after"], said["until"], said["previous"], said["by"], said["why"]) == (0, 1_033, None, "ada", "every day")
    assert list(zip(said["identities"], said["payloads"], strict=True)) == [by_hand(store, 1, 1_024), by_hand(store, 1_025, 1_033)]


def test_each_link_names_the_one_before_it(store: EventStore) -> None:
    heads = []
    for _ in range(3):
        store.append("a", facts(3))
        heads.append(attest(store))
    digests = [hashlib.sha256(data.encode()).hexdigest() for data in store.read_stream("$chain")["data"].to_pylist()]
    assert [said["previous"] for said in links(store)] == [None, *digests[:2]]
    assert [(said["after"], said["until"]) for said in links(store)] == [(0, 3), (3, 7), (7, 11)]
    assert [(head.link, head.position) for head in heads] == list(zip(digests, (3, 7, 11), strict=True))
    assert_proved(store, *heads)


def test_a_quiet_log_is_not_attested_again(store: EventStore) -> None:
    store.append("a", facts(3))
    assert attest(store) == attest(store)
    assert store.head() == 4


def test_an_empty_log_has_no_head(store: EventStore) -> None:
    assert store.audit.attest(by="ada", why="every day") == store.audit.heads() == []
    [proof] = store.audit.check()
    assert (proof.position, proof.links, proof.events) == (0, 0, 0)


def test_many_events_take_several_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attesting, "REACH", 2_048)
    monkeypatch.setattr(link, "REACH", 2_048)
    store, told = MemoryEventStore(), list[tuple[int, int]]()
    store.append_table(table(5_000))
    [head] = store.audit.attest(by="ada", why="at last", progress=lambda *so_far: told.append(so_far))
    assert [(said["after"], said["until"]) for said in links(store)] == [(0, 2_048), (2_048, 4_096), (4_096, 5_000)]
    assert (head.position, told) == (5_000, [(2_048, 5_000), (4_096, 5_000), (5_000, 5_000)])
    store.append_table(table(3_000))
    assert attest(store).position == 8_003
    assert_proved(store, head)


def test_a_check_of_what_is_new_reads_no_more(store: EventStore) -> None:
    store.append_table(table(3_000))
    attest(store)
    [proof] = store.audit.check(after=2_500)
    assert (proof.sound, proof.position, proof.events) == (True, 3_000, 3_000 - 2_048)


def test_several_at_once_make_one_chain(store: EventStore) -> None:
    def work(number: int) -> PublishedHead:
        store.append("a", facts(5))
        return attest(store)

    heads = at_once(4, work)
    assert [type(head) for head in heads] == [PublishedHead] * 4
    assert_proved(store, *heads)


def test_a_head_is_one_line(store: EventStore) -> None:
    store.append("a", facts(1))
    head = attest(store)
    assert str(head).startswith(f"alluvium-head {head.log} 1 {head.link} ")
    assert PublishedHead.parse(f"  {head}\n") == head
    assert_proved(store, PublishedHead.parse(str(head)))


@pytest.mark.parametrize("line", ["", "alluvium-head", "alluvium-head a 1 b 2 c 2026-01-01T00:00:00Z", None])
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(InvalidEventError, match="is no published head"):
        MemoryEventStore().audit.check(line)


def test_a_head_without_a_zone_is_refused(store: EventStore) -> None:
    store.append("a", facts(1))
    with pytest.raises(InvalidEventError, match="is no published head"):
        PublishedHead.parse(str(attest(store))[:-1])


def test_a_head_of_another_log_is_refused(store: EventStore) -> None:
    other = MemoryEventStore()
    other.append("a", facts(1))
    with pytest.raises(InvalidEventError, match="is of another log"):
        store.audit.check(attest(other))


@pytest.mark.parametrize(("by", "why"), [("", "w"), ("ada", "")])
def test_nobody_attests_nothing(store: EventStore, by: str, why: str) -> None:
    store.append("a", facts(1))
    with pytest.raises(InvalidEventError):
        store.audit.attest(by=by, why=why)
    assert store.head() == 1
