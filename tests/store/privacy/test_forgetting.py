"""With the keys everything is as it was; without them nobody is in it any more, wherever it was kept."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pydantic
import pytest

from store import (
    Boundary,
    EventStore,
    InvalidEventError,
    KeyTable,
    MemoryEventStore,
    MemoryKeys,
    Query,
    SnapshotIgnored,
    SnapshotPolicy,
    backup,
    given,
    history,
    load,
    load_all,
    load_as_of,
    load_at,
    load_many,
    load_query,
    open_store,
    rebuild_snapshots,
    snapshot,
    traces,
    transact,
    transact_query,
    verify_snapshots,
)
from store.deeds import deeds
from tests.store.privacy.people import BORN, SECRETS, Customer, Registered, Renamed, Upgraded, customers, evolve, people, registered, saved_customers

ADA = Customer("Ada Lovelace", BORN, "pro", ("Ada Lovelace",))
NOBODY = Customer("[forgotten]", None, "pro", ("[forgotten]",))
everybody = Boundary(initial=Customer(), evolve=evolve, types=people)
REGISTERED = Query(types=["Registered"])


def forget(store: EventStore, subject: str = "7") -> int:
    return store.privacy.forget(subject, by="the officer", why="they asked for it")


def states(store: EventStore) -> list[Customer]:
    """Of customer 7, by every way to it."""
    return [
        load(store, customers, "7").state,
        load(store, customers, "7", stale_s=1e9).state,
        load_at(store, customers, "7", 1).state,
        load_as_of(store, customers, "7", 1).state,
        load_many(store, customers, ["7"])["7"].state,
        next(load_all(store, customers)).state,
        load_query(store, everybody, REGISTERED).state,
        history(store, customers, "7")[0].state,
        asyncio.run(store.aio.load(customers, "7")).state,
    ]


def test_every_way_to_a_state_opens_it_and_forgets_it(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    assert states(private) == [ADA] * 9
    assert history(private, customers, "7")[0].event.payload()["name"] == "Ada Lovelace"
    assert forget(private) == 1
    assert states(private) == [NOBODY] * 9
    assert history(private, customers, "7")[0].event.payload()["name"] == "[forgotten]"


def test_decisions_stand_on_what_is_there(private: EventStore) -> None:
    """A decision sees plain values, those just decided, too; and nobody after they were forgotten."""
    seen: list[Customer] = []

    def rename(customer: Customer) -> Renamed:
        seen.append(customer)
        return Renamed(f"{customer.name}!")

    private.append("customer-7", [people.event(registered())])
    assert transact(private, customers, "7", rename).state.name == "Ada Lovelace!"
    assert transact(private, customers, "7", rename).state.name == "Ada Lovelace!!"
    assert transact_query(private, everybody, REGISTERED, lambda one: {"customer-8": [registered("8", one.name)]}).state.name == "Ada Lovelace"
    forget(private)
    forget(private, "customer-7")                  # a renaming tells of its stream
    transact(private, customers, "7", rename)
    assert [one.name for one in seen] == ["Ada Lovelace", "Ada Lovelace!", "[redacted]"]
    assert load_query(private, everybody, REGISTERED).state.names == ("[forgotten]", "Ada Lovelace")


def test_without_keys_states_are_of_redacted_values() -> None:
    keys = MemoryKeys()
    with MemoryEventStore(privacy=people.privacy(keys)) as store, MemoryEventStore() as keyless:
        store.append("customer-7", [people.event(registered())])
        events = store.read_stream("customer-7")
        plain = people.decode(keyless.privacy.open(events))
        assert plain[0] == Registered("7", "[forgotten]", None, plain[0].address, "pro")
        # Who does not even ask gets the token where there can be one, so that it can go on into a row.
        [token] = people.decode(events)
        assert token.name.startswith("$personal:")
        assert token.born is None


def test_a_forgotten_subject_may_come_again(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    forget(private)
    private.append("customer-7", [people.event(registered(name="Bea Bee"))])
    assert load(private, customers, "7").state.names == ("[forgotten]", "Bea Bee")


def test_keys_are_rotated_without_losing_anything(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    assert private.privacy.rotate("7", by="the officer", why="every year") == 2
    private.append("customer-7", [people.event(registered())])
    assert ".2:" in private.read_stream("customer-7")["data"][1].as_py()
    assert load(private, customers, "7").state.names == ("Ada Lovelace", "Ada Lovelace")
    assert forget(private) == 2
    assert load(private, customers, "7").state.names == ("[forgotten]", "[forgotten]")


def test_it_is_recorded_who_did_it_and_why(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    private.privacy.rotate("7", by="the officer", why="every year")
    forget(private)
    told = [(deed.type, deed.by, deed.why, dict(deed.what)) for _, deed in deeds(private)]
    ref = private.privacy.ref("7")
    assert told == [
        ("KeyRotated", "the officer", "every year", {"ref": ref, "n": 2}),
        ("KeyDeleted", "the officer", "they asked for it", {"ref": ref, "keys": 2}),
    ]


def test_nobody_is_forgotten_by_nobody_or_without_keys(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    for by, why in (("", "because"), ("me", "")):
        with pytest.raises(InvalidEventError, match="is empty"):
            private.privacy.forget("7", by=by, why=why)
    with pytest.raises(InvalidEventError, match="subject"):
        private.privacy.forget("", by="me", why="because")
    assert load(private, customers, "7").state == ADA
    with MemoryEventStore() as keyless:
        for verb in (lambda: forget(keyless), lambda: keyless.privacy.decrypt(pa.table({"a": ["b"]})), lambda: keyless.privacy.ref("7")):
            with pytest.raises(InvalidEventError, match="open the store with privacy="):
                verb()


# Snapshots -------------------------------------------------------------------------------------------------------


def saved(store: EventStore) -> list[str]:
    store.deciding.snapshotter.flush()
    return [one.state for one in store.snapshots.newest("saved", "customer-7")]


def test_a_snapshot_with_personal_data_is_sealed(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered()), people.event(Renamed("Ada King"))])
    expected = load(private, saved_customers, "7").state
    [text] = saved(private)
    assert text.startswith('{"$sealed":')
    assert "Ada" not in text
    assert len(orjson.loads(text)["$sealed"]["keys"]) == 2           # of the customer, and of the stream
    assert list(verify_snapshots(private, saved_customers, ["7"])) == []
    assert load_many(private, saved_customers, ["7"])["7"].state == expected
    assert rebuild_snapshots(private, saved_customers) == 1
    assert list(verify_snapshots(private, saved_customers, ["7"])) == []


@pytest.mark.parametrize("subject", ["7", "customer-7"])
def test_a_snapshot_is_unreadable_without_any_one_of_its_subjects(private: EventStore, subject: str) -> None:
    private.append("customer-7", [people.event(registered()), people.event(Renamed("Ada King"))])
    load(private, saved_customers, "7")
    [before] = saved(private)
    forget(private, subject)
    state = load(private, saved_customers, "7").state
    assert state == load(private, customers, "7").state
    assert before not in saved(private)
    assert state.names == (("[forgotten]", "Ada King") if subject == "7" else ("Ada Lovelace", "[redacted]"))
    private.append("customer-7", [people.event(Upgraded("gold"))])
    load(private, saved_customers, "7")
    assert before not in saved(private)


def test_a_snapshot_without_personal_data_is_plain(private: EventStore) -> None:
    private.append("customer-7", [people.event(Upgraded("pro")), people.event(Upgraded("gold"))])
    load(private, saved_customers, "7")
    assert saved(private) == ['{"name":"","born":null,"plan":"gold","names":[]}']


def test_a_state_goes_on_from_a_sealed_snapshot(tmp_path: Path) -> None:
    """Another process loads snapshot and tail; what it saves is sealed by the keys of both."""
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered()), people.event(Upgraded("gold"))])
        snapshot(store, saved_customers, "7")
    with open_store(tmp_path, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(Renamed("Ada King")), people.event(Upgraded("lead"))])
        assert load(store, saved_customers, "7").state.names == ("Ada Lovelace", "Ada King")
        assert {len(orjson.loads(text)["$sealed"]["keys"]) for text in saved(store)} == {1, 2}
        assert not traces(str(tmp_path), [*SECRETS, "Ada King"])


def test_without_keys_no_snapshot_is_taken_and_none_is_spoilt(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Seen:
        def record(self, measurement: object) -> None:
            seen.append(measurement)

    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered()), people.event(Upgraded("gold"))])
        snapshot(store, saved_customers, "7")
        sealed = saved(store)
    with open_store(tmp_path, observer=Seen()) as keyless:
        assert load(keyless, saved_customers, "7").state.names == ("[forgotten]",)
        assert any(isinstance(one, SnapshotIgnored) and "the store has no keys" in one.reason for one in seen)
        keyless.append("customer-7", [people.event(Upgraded("lead")), people.event(Upgraded("iron"))])
        load(keyless, saved_customers, "7")
        assert saved(keyless) == sealed
        with pytest.raises(InvalidEventError, match="holds personal data, and the store has no keys"):
            snapshot(keyless, saved_customers, "7")
        with pytest.raises(InvalidEventError, match="cannot be saved"):
            rebuild_snapshots(keyless, saved_customers)


class Grumpy(pydantic.BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def nobody(cls, name: str) -> str:
        if name:
            raise ValueError(f"no {name}")
        return name


def test_what_is_logged_of_a_state_with_personal_data_shows_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That its class cannot be written, cannot be read any more, or fails the policy: classes and policies show what they were given."""

    def grumble(due: object) -> bool:
        raise ValueError(f"no policy for {due}")

    first, asked = SnapshotPolicy(every_events=1), SnapshotPolicy(when=grumble)
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered())])
        load(store, replace(saved_customers, evolve=lambda state, event: (event.name, object()), snapshots=first, name="no JSON"), "7")
        store.deciding.snapshotter.flush()
        load(store, replace(saved_customers, snapshots=asked, name="no policy"), "7")
        snapshot(store, saved_customers, "7")
    with open_store(tmp_path, privacy=people.privacy(KeyTable(tmp_path))) as store:
        load(store, replace(saved_customers, state=Grumpy, initial=Grumpy(name=""), evolve=lambda state, event: state), "7")
    for told in ("cannot be saved (InvalidEventError)", "'no policy' failed (ValueError)", "cannot be read (ValidationError)"):
        assert told in caplog.text
    assert not [secret for secret in (*SECRETS, "Ada") if secret in caplog.text]


def test_what_waits_to_be_saved_is_forgotten_too(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered()), people.event(Upgraded("gold"))])
    load(private, saved_customers, "7")
    forget(private)
    assert saved(private) == []


def test_a_snapshot_of_a_forgotten_subject_is_plain_again(private: EventStore) -> None:
    """What is left holds nothing personal."""
    private.append("customer-7", [people.event(registered()), people.event(Upgraded("gold"))])
    forget(private)
    load(private, saved_customers, "7")
    assert saved(private) == ['{"name":"[forgotten]","born":null,"plan":"gold","names":["[forgotten]"]}']


# Elsewhere -------------------------------------------------------------------------------------------------------

_ELSEWHERE = """
import sys
from store import open_store, KeyTable
from tests.store.privacy.people import people
with open_store(sys.argv[1], privacy=people.privacy(KeyTable(sys.argv[1]))) as store:
    print(store.privacy.forget("7", by="another", why="they asked for it"))
"""


def test_another_process_reads_no_longer_than_it_remembers_keys(tmp_path: Path) -> None:
    """Its states in memory end with the keys."""
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path), max_age_s=0.0)) as store:
        store.append("customer-7", [people.event(registered())])
        assert load(store, customers, "7").state == ADA
        assert load_query(store, everybody, REGISTERED).state == ADA
        assert subprocess.run([sys.executable, "-c", _ELSEWHERE, str(tmp_path)], capture_output=True, text=True, check=True).stdout == "1\n"
        assert load(store, customers, "7", stale_s=1e9).state == NOBODY
        assert load_query(store, everybody, REGISTERED).state == NOBODY


def test_copies_of_everything_but_the_keys_tell_nothing(tmp_path: Path) -> None:
    """Of the warehouse and of a backup, made while they could be read: nothing in them opens with the key table as it is now."""
    warehouse = tmp_path / "warehouse"
    with open_store(warehouse, create=True, privacy=people.privacy(KeyTable(warehouse))) as store:
        store.append("customer-7", [people.event(registered()), people.event(Upgraded("gold"))])
        snapshot(store, saved_customers, "7")
        shutil.copytree(warehouse, tmp_path / "copy")
        backup(str(warehouse), str(tmp_path / "backup"))
        assert not (tmp_path / "backup" / "keys").exists()
        forget(store)
    for copy in ("copy", "backup"):
        with open_store(tmp_path / copy, privacy=people.privacy(KeyTable(warehouse))) as store:
            assert load(store, saved_customers, "7").state.names == ("[forgotten]",)
        assert not traces(str(tmp_path / copy / "events"), SECRETS)


def test_rows_of_anything_can_be_opened(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    token = orjson.loads(private.read_stream("customer-7")["data"][0].as_py())["name"]
    rows = pa.table({"n": [1, 2, 3], "name": [token, None, "nobody"], "letter": [f"Dear {token}, hello", "", token]})
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        cast = rows.set_column(1, "name", rows["name"].cast(kind))
        opened = private.privacy.decrypt(cast)
        assert opened.schema == cast.schema
        assert opened["name"].to_pylist() == ["Ada Lovelace", None, "nobody"]
        assert opened["letter"].to_pylist() == ["Dear Ada Lovelace, hello", "", "Ada Lovelace"]
    forget(private)
    assert private.privacy.decrypt(rows)["letter"].to_pylist() == ["Dear [forgotten], hello", "", "[forgotten]"]


def test_a_changed_token_reads_as_redacted_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keys = MemoryKeys()
    with MemoryEventStore(privacy=people.privacy(keys)) as store:
        store.append("customer-7", [people.event(registered())])
        token = orjson.loads(store.read_stream("customer-7")["data"][0].as_py())["name"]
        head, _, sealed = token.partition(".1:")
        changed = f"{head}.1:{'B' if sealed[0] == 'A' else 'A'}{sealed[1:]}"
        assert store.privacy.decrypt(pa.table({"name": [changed]}))["name"].to_pylist() == ["[forgotten]"]
        assert "is not authentic" in caplog.text
        without = token.rpartition(":")[0]         # what stands for the value is bound to it
        assert store.privacy.decrypt(pa.table({"name": [without]}))["name"].to_pylist() == ["[redacted]"]


def test_decisions_can_be_tried_without_any_keys() -> None:
    given(customers, registered()).when(lambda one: Renamed(f"{one.name}!")).then(Renamed("Ada Lovelace!"))
