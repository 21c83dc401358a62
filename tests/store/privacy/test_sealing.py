"""On its way into the log: what is personal becomes tokens, everything else stays as it is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from store import (
    NO_STREAM,
    Append,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    KeyTable,
    MemoryEventStore,
    MemoryKeys,
    Personal,
    Rename,
    Upcast,
    open_store,
    traces,
)
from tests.store.privacy.people import SECRETS, Registered, Renamed, Upgraded, people, registered

RAW = {"customer": "7", "name": "Ada Lovelace", "born": "1815-12-10", "address": {"street": "St James's Square", "city": "London"}, "plan": "pro"}
TOKEN = re.compile(r"\$personal:[A-Za-z0-9_-]{22}\.1:[A-Za-z0-9_-]+(:!?[A-Za-z0-9_-]+)?")


def stored(store: EventStore, stream_id: str = "customer-7") -> list[str]:
    texts: list[str] = store.read_stream(stream_id)["data"].to_pylist()
    return texts


def tabled(event: Event) -> pa.Table:
    """The event as a table of one row, of a stream of customer 7."""
    row = {"stream_id": "customer-7", "type": event.type, "schema_version": event.schema_version, "data": orjson.dumps(event.data).decode()}
    return pa.Table.from_pylist([row])


def test_however_an_event_comes_it_is_sealed(private: EventStore) -> None:
    """Typed and raw, alone and with others, in tables, and from an event loop."""
    table = tabled(Event("Registered", RAW))
    private.append("customer-7", [people.event(registered()), Event("Registered", RAW)])
    private.append_many([Append("customer-7", iter([Event("Registered", orjson.dumps(RAW))]))])  # type: ignore[arg-type]
    private.append_table(table)
    asyncio.run(private.aio.append("customer-7", [Event("Registered", RAW)]))
    asyncio.run(private.aio.append_many([Append("customer-7", [Event("Registered", RAW | {"customer": 8})])]))
    texts = stored(private)
    assert len(texts) == 6
    for text in texts:
        assert not any(secret in text for secret in SECRETS)
        data = orjson.loads(text)
        assert all(TOKEN.fullmatch(value) for value in (data["name"], data["born"], data["address"]["street"]))
        assert (data["address"]["city"], data["plan"]) == ("London", "pro")
    assert people.decode(private.privacy.open(private.read_stream("customer-7").slice(0, 5))) == [registered()] * 5


def test_a_repeat_is_recognised(private: EventStore) -> None:
    """By the ids: the tokens differ each time."""
    event = people.event(registered())
    first = private.append("customer-7", [event], NO_STREAM)
    assert private.append("customer-7", [event], NO_STREAM) == first
    assert len(stored(private)) == 1


def test_values_around_tokens_stay_as_they_were_written() -> None:
    """Numbers of any length and form, escapes, and the order of members."""
    text = b'{ "big" : 123456789012345678901234567890, "e": 1e5, "f": 1.50, "customer": "7", "name": "Ada", "u": "\\u00e9" , "in": [ 1, 2 ] }'
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        store.append("customer-7", [Event("Registered", text)])
        [data] = stored(store)
        expected = '{"big":123456789012345678901234567890,"e":1e5,"f":1.50,"customer":"7","name":"*","u":"\\u00e9","in":[ 1, 2 ]}'
        assert TOKEN.sub("*", data) == expected
        assert store.privacy.open(store.read_stream("customer-7"))["data"][0].as_py() == TOKEN.sub("Ada", data)


@pytest.mark.parametrize("value", ["text", 'with "quotes" and \\ é', "", 5, 1.5, True, [1, "a"], {"deep": {"er": [None]}}])
def test_whatever_json_stands_there_comes_back(value: Any) -> None:
    with MemoryEventStore() as plain, MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        for one in (plain, store):
            one.append("customer-7", [Event("Renamed" if one is store else "Other", {"name": value, "x": [value]})])
        assert stored(store) != stored(plain)
        assert store.privacy.open(store.read_stream("customer-7"))["data"] == plain.read_stream("customer-7")["data"]


def test_null_and_what_is_not_there_stay_so(private: EventStore) -> None:
    private.append("customer-7", [Event("Registered", {"customer": "7", "name": None, "address": None})])
    assert stored(private) == ['{"customer":"7","name":null,"address":null}']


def test_a_member_that_stands_twice_is_no_way_around(private: EventStore) -> None:
    private.append("customer-7", [Event("Renamed", b'{"name": "Ada Lovelace", "n\\u0061me": "Bea Bee"}')])
    [data] = stored(private)
    assert TOKEN.sub("*", data) == '{"name":"*"}'


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"name": "Ada"}, "data.customer .* names no subject"),
        ({"name": "Ada", "customer": ""}, "names no subject"),
        ({"name": "Ada", "customer": None}, "names no subject"),
        ({"name": "Ada", "customer": True}, "names no subject"),
        ({"name": "Ada", "customer": 1.5}, "names no subject"),
        ({"name": "Ada", "customer": ["7"]}, "names no subject"),
        ({"name": "Ada", "customer": "7\n"}, "control characters"),
        ({"name": "Ada", "customer": "7", "address": "12 Main Street"}, "is no object, and street in it is personal"),
    ],
)
def test_an_event_that_cannot_be_sealed_is_refused_whole(data: Any, problem: str) -> None:
    table = tabled(Event("Registered", data))
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        for append in (lambda: store.append("customer-7", [Event("Registered", data)]), lambda: store.append_table(table)):
            with pytest.raises(InvalidEventError, match=problem):
                append()
        assert store.head() == 0


def test_the_stream_is_the_subject_where_none_is_named() -> None:
    keys = MemoryKeys()
    with MemoryEventStore(privacy=people.privacy(keys)) as store:
        store.append("customer-7", [people.event(Renamed("Ada Lovelace"))])
        assert keys.ref("customer-7") in stored(store)[0]


def test_a_number_names_the_same_subject_as_its_digits() -> None:
    keys = MemoryKeys()
    with MemoryEventStore(privacy=people.privacy(keys)) as store:
        store.append("customer-7", [Event("Registered", RAW | {"customer": customer}) for customer in (7, "7")])
        assert all(keys.ref("7") in text for text in stored(store))


# Nothing goes wrong silently -------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", [None, people.contract()])
def test_without_keys_nothing_personal_is_taken(contract: Any) -> None:
    """An event that was made of its class knows it; of a raw one, and of a table, the contract does."""
    with MemoryEventStore(contract=contract) as store:
        tries = [lambda: store.append("customer-7", [people.event(registered())])]
        if contract is not None:
            tries.append(lambda: store.append("customer-7", [Event("Registered", RAW)]))
            tries.append(lambda: store.append_table(tabled(Event("Registered", RAW))))
        for attempt in tries:
            with pytest.raises(InvalidEventError, match="has personal fields, and this store has no keys: open the store with privacy="):
                attempt()
        store.append("customer-7", [people.event(Upgraded("pro"))])
        assert store.head() == 1


def test_a_version_of_which_nothing_was_said_is_refused() -> None:
    """An older one, a newer one, and the old name of the type."""
    steps = [Upcast("Registered", 1, dict), Rename("SignedUp", 1, to="Registered", to_version=2)]
    types = EventTypes(EventType("Registered", Registered, schema_version=2, personal=Personal(["name"], "customer")), steps=steps)
    with MemoryEventStore(privacy=types.privacy(MemoryKeys())) as store:
        for event in (Event("Registered", RAW), Event("Registered", RAW, schema_version=3), Event("SignedUp", RAW)):
            with pytest.raises(InvalidEventError, match="nobody said what is personal"):
                store.append("customer-7", [event])
            table = tabled(event)
            with pytest.raises(InvalidEventError, match="nobody said what is personal"):
                store.append_table(table)


def test_an_earlier_version_is_sealed_by_its_own_declaration() -> None:
    def lifted(old: dict[str, Any]) -> dict[str, Any]:
        return {"customer": old["id"], "name": old["nick"].upper(), "born": old.get("day")}

    personal = Personal({"name": "[forgotten]", "born": None}, "customer")
    earlier = {1: Personal({"nick": "nobody", "day": None}, "id")}
    kind = EventType("Registered", Registered, schema_version=2, personal=personal, earlier_personal=earlier)
    types = EventTypes(kind, steps=[Upcast("Registered", 1, lifted)])
    with MemoryEventStore(privacy=types.privacy(MemoryKeys()), contract=types.contract()) as store:
        store.append("customer-7", [Event("Registered", {"id": "7", "nick": "Ada Lovelace", "day": "1815-12-10"})])
        assert not any(secret in stored(store)[0] for secret in SECRETS)
        assert types.decode(store.privacy.open(store.read_stream("customer-7")))[0].name == "ADA LOVELACE"
        store.privacy.forget("7", by="me", why="a test")
        [forgotten] = types.decode(store.privacy.open(store.read_stream("customer-7")))
        assert (forgotten.name, forgotten.born) == ("NOBODY", None)


def test_an_event_may_say_itself_what_is_personal() -> None:
    """Where no type is registered."""
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        store.append("note-1", [Event("Noted", {"of": "7", "text": "Ada Lovelace called"}, personal=Personal(["text"], "of"))])
        assert "Ada" not in stored(store, "note-1")[0]
        assert store.privacy.open(store.read_stream("note-1"))["data"].to_pylist() == ['{"of":"7","text":"Ada Lovelace called"}']


# Tokens are nobody else's ----------------------------------------------------------------------------------------


def test_a_token_of_the_same_subject_may_go_on_to_another_event_of_theirs() -> None:
    with MemoryEventStore(privacy=people.privacy(MemoryKeys()), contract=people.contract()) as store:
        store.append("customer-7", [people.event(registered())])
        token = orjson.loads(stored(store)[0])["name"]
        store.append("customer-7", [Event("Registered", {"customer": "7", "name": token})])
        assert orjson.loads(stored(store)[1])["name"] == token
        assert people.decode(store.privacy.open(store.read_stream("customer-7")))[1].name == "Ada Lovelace"


@pytest.mark.parametrize("keys", [True, False])
def test_a_token_cannot_be_smuggled_where_it_would_be_read_for_somebody_else(keys: bool) -> None:
    """Who has only seen a token, in a read model, must not get it opened by putting it into an event of their own."""
    with MemoryEventStore(privacy=people.privacy(MemoryKeys())) as store:
        store.append("customer-7", [people.event(registered())])
        token = orjson.loads(stored(store)[0])["name"]
        events = [
            Event("Registered", {"customer": "8", "name": token}),
            Event("Registered", {"customer": "8", "name": f"see {token}"}),
            Event("Registered", {"customer": "8", "name": {"in": [token]}}),
            Event("Registered", {"customer": "7", "name": f"see {token}"}),
            Event("Registered", {"customer": "7", "name": "Ada", "plan": token}),
            Event("Registered", {"customer": "7", "name": "Ada", "address": {"street": "x", "city": token}}),
            Event("Upgraded", {"plan": token}),
            Event("Whatever", {"text": f"see {token}"}),
        ]
        other = store if keys else MemoryEventStore()
        for event in events if keys else events[-2:]:
            with pytest.raises(InvalidEventError, match=r"holds? a token"):
                other.append("customer-8", [event])
            table = tabled(event)
            with pytest.raises(InvalidEventError, match=r"holds? a token"):
                other.append_table(table)


def test_what_only_looks_like_a_token_is_text(private: EventStore) -> None:
    for text in ("$personal:", "it costs $personal:5", "$personal:abc.1:def"):
        private.append("note-1", [Event("Noted", {"text": text})])
        private.append("customer-7", [Event("Renamed", {"name": text})])
    assert orjson.loads(stored(private, "note-1")[0])["text"] == "$personal:"
    assert people.decode(private.privacy.open(private.read_stream("customer-7")))[2] == Renamed("$personal:abc.1:def")


def test_keys_of_many_new_subjects_are_one_commit(tmp_path: Path) -> None:
    """Of a table, and of all parts of one append."""
    table = pa.concat_tables(tabled(Event("Registered", RAW | {"customer": n})) for n in range(50))
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        commits = len(list(tmp_path.glob("keys/_delta_log/*.json")))
        store.append_table(table)
        store.append_many([Append(f"customer-{n}", [people.event(registered(f"new {n}"))]) for n in range(20)])
        assert len(list(tmp_path.glob("keys/_delta_log/*.json"))) - commits == 3       # the first is what refs are hashed by
        assert not traces(str(tmp_path), SECRETS)


# Tokens of others -----------------------------------------------------------------------------------------------


def smuggled(token: str) -> dict[str, Event]:
    """Ways to put somebody's token where a reader with keys would open it for somebody else."""
    escaped = token.replace("$", "\\u0024")
    personal = '{{"customer":"9","name":"x","note":"{}"}}'
    return {
        "name of a member": Event("Noted", {token: 1}),
        "name of a member of a personal event": Event("Registered", {"customer": "9", "name": "x", token: 1}),
        "escape": Event("Noted", f'{{"note":"{escaped}"}}'.encode()),
        "escape in a name": Event("Noted", f'{{"{escaped}":1}}'.encode()),
        "escape in a personal event": Event("Registered", personal.format(escaped).encode()),
        "escape in a personal field": Event("Registered", f'{{"customer":"9","name":"{escaped}"}}'.encode()),
        "metadata": Event("Noted", {}, metadata={"m": token}),
        "escape in metadata": Event("Noted", {}, metadata=f'{{"m":"{escaped}"}}'.encode()),
        "tag": Event("Noted", {}, tags=[token[:200]]),
        "type": Event(token[:200], {}),
    }


def test_a_token_of_somebody_else_comes_in_nowhere(private: EventStore) -> None:
    private.append("customer-7", [Event("Registered", RAW)])
    found = TOKEN.search(stored(private)[0])
    assert found is not None
    for way, event in smuggled(found[0]).items():
        for append in (lambda event=event: private.append("customer-9", [event]), lambda event=event: private.append_table(whole(event))):
            with pytest.raises(InvalidEventError, match="personal data") as refused:
                append()
            assert "Lovelace" not in str(refused.value), way
    assert private.stream_version("customer-9") == 0


def whole(event: Event) -> pa.Table:
    """The event as a table of one row, with all that is said of it."""

    def text(value: object) -> str | None:
        return None if value is None else value.decode() if isinstance(value, bytes) else orjson.dumps(value).decode()

    row = {"stream_id": "customer-9", "type": event.type, "data": text(event.data), "metadata": text(event.metadata), "tags": list(event.tags)}
    kinds = {"metadata": pa.string(), "tags": pa.list_(pa.string())}
    return pa.table({name: pa.array([value], kinds.get(name, pa.string())) for name, value in row.items()})


def test_escapes_that_hide_no_token_pass(private: EventStore) -> None:
    private.append("customer-7", [Event("Noted", b'{"price":"\\u0024 7","who":"J\\u00fcrgen"}')])
    assert orjson.loads(stored(private)[0]) == {"price": "$ 7", "who": "Jürgen"}
