"""`decrypt` in SQL: with the keys plain, without them redacted, and for others not at all."""

from __future__ import annotations

import duckdb
import pytest

from store import EventStore, InvalidEventError, MemoryEventStore, decrypt_sql
from tests.store.privacy.people import people, registered

NAMES = "select decrypt(data ->> 'name') as name, decrypt(data ->> 'born') as born, decrypt(data) as data from events where type = 'Registered'"


def test_a_query_opens_what_it_asks_to_be_opened(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    private.append("customer-8", [people.event(registered("8", "Bea Bee"))])
    [(name, born, data), _] = private.sql(f"{NAMES} order by position").fetchall()
    assert (name, born) == ("Ada Lovelace", "1815-12-10")
    assert '"name":"Ada Lovelace"' in data
    assert private.sql(f"select count(*) from ({NAMES}) where name = 'Bea Bee'").fetchall() == [(1,)]
    assert private.sql("select count(*) from events where data like '%Ada%'").fetchall() == [(0,)]
    private.privacy.forget("7", by="me", why="a test")
    assert private.sql(f"{NAMES} order by position").fetchall()[0][:2] == ("[forgotten]", "null")


def test_without_keys_it_gives_redacted_values(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    token = private.sql("select data ->> 'name' from events where type = 'Registered'").fetchall()[0][0]
    with MemoryEventStore() as keyless:
        assert keyless.sql("select decrypt($token)", {"token": token}).fetchall() == [("[forgotten]",)]
        assert keyless.sql("select decrypt(null), decrypt('x')").fetchall() == [(None, "x")]


def test_queries_of_others_cannot_open_anything(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    private.sql(NAMES).fetchall()
    with pytest.raises(duckdb.CatalogException, match="decrypt"):
        private.ask(NAMES)


def test_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decrypt_sql, "find_spec", lambda name: None)
    with MemoryEventStore() as store, pytest.raises(InvalidEventError, match=r"alluvium\[privacy\]"):
        store.sql("select decrypt('x')")
