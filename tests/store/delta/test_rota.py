"""Who waits for whom, as the log tells it: those that are busy take turns, nobody waits for one that is gone, and a claim goes first."""

from __future__ import annotations

import pytest

from store.delta.commits import Commit, Writer
from store.delta.rota import MOST_S, SLACK, STALE_US, Rota

TAKES_S = 0.1


class Log:
    """Hands commits to one machine's rota, at a clock that stands still between them."""

    def __init__(self, machine: str = "a") -> None:
        self.now_s = 100.0
        self.version = 0
        self.rota = Rota(machine, lambda: self.now_s)
        self.rota.won(TAKES_S)

    def commit(self, machine: str, after_s: float = TAKES_S, claims: bool = False, takes_s: float = TAKES_S) -> None:
        self.now_s += after_s
        self.version += 1
        writer = Writer(machine, int(takes_s * 1000))
        recorded_at = int(self.now_s * 1e6)
        self.rota.applied(Commit(self.version, f"{self.version}", recorded_at, self.version, appends=not claims, writer=writer, claims=claims))

    def commits(self, machines: str, after_s: float = TAKES_S) -> None:
        for machine in machines:
            self.commit(machine, after_s)

    def waits(self) -> int:
        """For so many commits of others; 0: it is our turn."""
        return self.rota.wait_s()[1]


@pytest.fixture
def log() -> Log:
    return Log()


def test_machine_alone_never_waits(log: Log) -> None:
    log.commits("aaaa")
    assert log.rota.wait_s() == (0.0, 0)
    assert not log.rota.may_have_moved()
    assert not log.rota.leaves_no_room()


def test_who_has_committed_waits_for_all_others_that_are_busy(log: Log) -> None:
    log.commits("abcabca")
    assert log.waits() == 2
    log.commit("b")
    assert log.waits() == 1
    log.commit("c")
    assert log.waits() == 0


def test_the_first_look_comes_when_those_in_front_can_have_committed(log: Log) -> None:
    log.commits("abcabca")
    wait_s, _ = log.rota.wait_s()
    assert TAKES_S < wait_s < 2 * 2 * TAKES_S


def test_one_that_was_seen_once_is_not_waited_for(log: Log) -> None:
    log.commits("aaba")
    assert log.waits() == 0


def test_one_that_commits_now_and_then_is_not_waited_for(log: Log) -> None:
    log.commits("b" + "a" * 20 + "b" + "a")
    assert log.waits() == 0


def test_patience_ends_after_some_tries_of_those_in_front(log: Log) -> None:
    log.commits("abcabca")
    log.now_s += 2 * SLACK * TAKES_S - 0.01
    assert log.waits() == 2
    log.now_s += 0.02
    assert log.waits() == 0


def test_no_machine_is_waited_for_longer_than_a_bound(log: Log) -> None:
    log.commit("a")
    log.commit("b", claims=True, takes_s=1e6)
    log.now_s += MOST_S + 0.01
    assert log.waits() == 0


def test_one_that_let_its_turn_pass_is_not_waited_for_again(log: Log) -> None:
    log.commits("ababa")
    assert log.waits() == 1
    log.commit("a", SLACK * TAKES_S)
    assert log.waits() == 0
    log.commits("baba")
    assert log.waits() == 1, "it has come back"


def test_one_that_is_not_heard_of_for_long_is_gone(log: Log) -> None:
    log.commits("ababa")
    log.commit("c", STALE_US / 1e6 + TAKES_S)
    log.commit("a")
    assert log.waits() == 0


def test_claim_lets_its_machine_be_the_next_one(log: Log) -> None:
    log.commits("aaa")
    log.commit("b", claims=True)
    assert log.rota.others_claim()
    assert log.waits() == 1
    log.commit("b")
    assert not log.rota.others_claim()
    assert log.waits() == 0


def test_claim_is_void_after_anybodys_append(log: Log) -> None:
    log.commit("b", claims=True)
    log.commit("c")
    assert not log.rota.others_claim()


def test_claim_of_one_that_takes_long_is_waited_for_as_long(log: Log) -> None:
    log.commits("aaa")
    log.commit("b", claims=True, takes_s=2.0)
    log.now_s += 2.0
    assert log.waits() == 1


def test_who_claims_waits_for_nobody(log: Log) -> None:
    log.commits("ababa")
    log.commit("a", claims=True)
    assert log.waits() == 0
    assert not log.rota.leaves_no_room()


def test_back_to_back_commits_of_one_that_does_not_expect_us_leave_no_room(log: Log) -> None:
    log.commits("bbb")
    assert log.rota.leaves_no_room()
    log.commit("b", 10 * TAKES_S)
    assert not log.rota.leaves_no_room()


def test_those_that_take_turns_with_us_leave_room(log: Log) -> None:
    log.commits("babab")
    assert not log.rota.leaves_no_room()


def test_after_a_pause_others_may_have_moved(log: Log) -> None:
    log.commits("ab")
    assert not log.rota.may_have_moved()
    log.now_s += SLACK * TAKES_S + 0.01
    assert log.rota.may_have_moved()


def test_after_a_restart_nothing_is_known_of_others(log: Log) -> None:
    log.commits("babab")
    log.commit("b", claims=True)
    log.rota.restarted(9)
    assert (log.waits(), log.rota.others_claim(), log.rota.leaves_no_room()) == (0, False, False)


def test_commits_without_a_writer_count_for_nothing(log: Log) -> None:
    """Merges, vacuums, and what versions before this one wrote."""
    log.commits("ababa")
    log.rota.applied(Commit(9, "9", 10**9, 9, appends=True))
    assert log.waits() == 1


def test_where_writers_need_no_rota_commits_name_nobody() -> None:
    assert Rota("").writer() is None
