"""`keys …`, and what commands do with personal data."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import orjson
import pytest

from pipelines.cli.outcome import DONE, FAILED, FOUND, MISUSED
from store import open_store, traces
from store.deeds import deeds
from tests.pipelines.cli.conftest import Alluvium

ADA = orjson.dumps({"customer": "7", "name": "Ada Lovelace", "born": "1815-12-10"}).decode()


@pytest.fixture
def people(alluvium: Alluvium, monkeypatch: pytest.MonkeyPatch) -> Alluvium:
    """A warehouse with one customer."""
    monkeypatch.setenv("ALLUVIUM_DOMAIN", "tests.pipelines.people_domain:domain")
    alluvium("init")
    assert alluvium("append", "customer-7", "Registered", ADA).code == DONE
    return alluvium


def test_what_is_appended_is_sealed_and_what_is_replayed_is_plain(people: Alluvium, tmp_path: Path) -> None:
    assert not traces(str(tmp_path), ["Ada Lovelace"])
    assert people("traces", "Ada Lovelace").code == DONE
    assert "$personal:" in people("stream", "customer-7", "--json").out
    assert "Ada Lovelace" in people("replay", "customer-7", "--json").out
    assert people("sql", "select decrypt(data ->> 'name') as name from events", "--json").facts == {"name": "Ada Lovelace"}


def test_a_file_is_loaded_sealed(people: Alluvium, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("customer,name\n8,Bea Bumblebee\n")
    columns = """[data]\ncustomer = "customer::varchar"\nname = "name"\n"""
    (tmp_path / "people.toml").write_text(f"""stream_id = "'customer-' || customer"\ntype = "'Registered'"\n{columns}""")
    assert people("load", str(tmp_path / "people.csv"), str(tmp_path / "people.toml")).code == DONE
    assert not traces(str(tmp_path / "warehouse"), ["Bea Bumblebee"])


def test_deleting_a_key_forgets_somebody(people: Alluvium, tmp_path: Path) -> None:
    assert people("keys", "status", "--json").facts == {"subjects": 1, "keys": 1, "deleted_subjects": 0, "wrapped_by": {"none": 1}}
    assert people("keys", "rotate", "7", "--json").facts == {"subject": "7", "n": 2}
    assert people("keys", "delete", "7", "--why", "a test").code == MISUSED             # there is nobody to ask
    done = people("keys", "delete", "7", "--by", "Zoe", "--why", "request 4711", "--yes", "--json").facts
    assert (done["subject"], done["keys_deleted"]) == ("7", 2)
    assert "[forgotten]" in people("replay", "customer-7", "--json").out
    assert people("keys", "status", "--json").facts["deleted_subjects"] == 1
    with open_store(tmp_path / "warehouse") as store:
        told = [(deed.type, deed.by, deed.why, deed.what) for _, deed in deeds(store)]
    assert told[1] == ("KeyDeleted", "Zoe", "request 4711", {"ref": done["ref"], "keys": 2})
    assert "@" in told[0][1]


def test_keys_are_wrapped_by_a_master_key(people: Alluvium, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    monkeypatch.setenv("ALLUVIUM_MASTER_KEY", old)
    assert people("keys", "rewrap", "--json").facts["keys_rewrapped"] == 1
    monkeypatch.setenv("ALLUVIUM_MASTER_KEY", f"{new},{old}")
    assert people("keys", "rewrap", "--json").facts["keys_rewrapped"] == 1
    monkeypatch.setenv("ALLUVIUM_MASTER_KEY", new)
    assert "Ada Lovelace" in people("replay", "customer-7", "--json").out
    monkeypatch.setenv("ALLUVIUM_MASTER_KEY", old)
    refused = people("replay", "customer-7")
    assert (refused.code, "give that master key, too (ALLUVIUM_MASTER_KEY" in " ".join(refused.err.split())) == (FAILED, True)
    monkeypatch.setenv("ALLUVIUM_MASTER_KEY", "secret!")
    refused = people("replay", "customer-7")
    assert (refused.code, "secret!" in refused.err) == (MISUSED, False)


def test_without_keys_values_are_redacted_and_nothing_personal_is_taken(people: Alluvium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLUVIUM_KEYS", "none")
    assert "[forgotten]" in people("replay", "customer-7", "--json").out
    assert "has personal fields, and this store has no keys" in people("append", "customer-7", "Registered", ADA).err
    assert "ALLUVIUM_KEYS is none" in people("keys", "delete", "7", "--why", "a test", "--yes").err


def test_keys_may_be_kept_elsewhere(people: Alluvium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLUVIUM_KEYS", "tests.pipelines.people_domain:keys")
    assert people("append", "customer-8", "Registered", ADA.replace("7", "8")).code == DONE
    assert "Ada Lovelace" in people("replay", "customer-8", "--json").out
    assert "kept by MemoryKeys" in people("keys", "status").err
    wrongs = {"nowhere:keys": "there is no module", "tests.pipelines.people_domain:lost": "no function", "what": "package.module:function"}
    for wrong, told in wrongs.items():
        monkeypatch.setenv("ALLUVIUM_KEYS", wrong)
        refused = people("replay", "customer-8")
        assert (refused.code, told in " ".join(refused.err.split())) == (MISUSED, True)


def test_a_trace_is_found_where_nothing_was_declared(people: Alluvium) -> None:
    people("append", "note-1", "Noted", '{"text": "Ada Lovelace called"}')
    assert people("traces", "Ada Lovelace").code == FOUND
