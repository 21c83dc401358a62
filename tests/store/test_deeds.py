from __future__ import annotations

import pytest

from store import EventStore, InvalidEventError, correlated
from store.deeds import Deed, deeds, record


def test_deeds_are_told_in_the_order_in_which_they_were_done(store: EventStore) -> None:
    done = [Deed("Repaired", "ada", "a torn commit", {"commit": 7}), Deed("Restored", "backup job", "a lost disk")]
    for deed in done:
        record(store, deed)
    assert [deed for _, deed in deeds(store)] == done
    assert [(event.stream_id, event.version) for event, _ in deeds(store, after=1)] == [("$audit", 2)]


def test_a_deed_belongs_to_the_undertaking_around_it(store: EventStore) -> None:
    with correlated("ticket-7"):
        record(store, Deed("Repaired", "ada", "a torn commit"))
    assert [event.correlation_id for event, _ in deeds(store)] == ["ticket-7"]


NONE = [Deed("Repaired", "", "why"), Deed("Repaired", "ada", ""), Deed("", "ada", "why"), Deed("Repaired", "ada", "why", {"a": object()})]


@pytest.mark.parametrize("deed", NONE)
def test_a_deed_of_nobody_is_none(store: EventStore, deed: Deed) -> None:
    with pytest.raises(InvalidEventError):
        record(store, deed)
    assert store.head() == 0
