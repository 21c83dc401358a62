"""What was personal is known again in whatever form it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from store import Event, EventStore
from store.privacy.values import HIDDEN, hidden, stand_in, texts_of
from tests.store.privacy.people import SECRETS, people, registered

NAMES = ("Ada Lovelace", 'Ada "Countess" Lovelace', "Ada O'Lovelace", "Ada \"Countess\" O'Lovelace", "Žofie Nováková", "Ada\\Lovelace\n", "Bo")
WRITTEN: tuple[Callable[[str], str], ...] = (
    str,
    repr,
    ascii,
    json.dumps,
    lambda name: json.dumps(name, ensure_ascii=False),
    lambda name: repr({"name": name, "other": "it's \"so\""}),
    lambda name: repr(KeyError(name)),
    lambda name: repr(ValueError(f"it's nobody's \"name\": {name}")),
    lambda name: repr(json.dumps({"name": name})),
    lambda name: json.dumps(json.dumps(name)),
    lambda name: repr(name.encode()),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", range(len(WRITTEN)))
def test_a_value_is_hidden_in_each_form_in_which_it_is_written(name: str, number: int) -> None:
    text = f"nobody knows {WRITTEN[number](name)} here"
    assert stand_in({name}, [text])
    shown = hidden(text, {name})
    assert not any(part in shown for part in ("Ada", "Lovelace", "Nov", "ofie", "Bo"))
    assert HIDDEN in shown
    assert shown.startswith("nobody knows ")
    assert shown.endswith(" here")


def test_texts_and_numbers_of_a_value_count_by_themselves() -> None:
    value = {"street": "St James's Square", "doors": [{"number": 12, "phone": 4412345678}], "kept": True, "none": None, "height": 1.655}
    assert sorted(texts_of(value)) == ["1.655", "4412345678", "St James's Square"]


def test_a_short_value_is_a_word_of_its_own() -> None:
    """Else nobody could say "nobody" beside somebody called No."""
    assert not stand_in({"no"}, ["nobody knows", "piano"])
    assert stand_in({"no"}, ["Dear no,"])
    assert hidden("no, nobody", {"no"}) == f"{HIDDEN}, nobody"
    assert not stand_in({"n"}, ["n"])
    assert hidden("as it was", set()) == "as it was"


@pytest.mark.parametrize(
    "event",
    [
        Event("Mailed", {"to": {"street": "St James's Square"}}),
        Event("Mailed", {"lines": ["Dear", "Ada Lovelace"]}),
        Event("Mailed", b'{"to": "Ada\\u0020Lovelace"}'),
        Event("Mailed", {"Ada Lovelace": 1}),
        Event("Mailed", {"log": repr({"name": "Ada Lovelace", "born": "1815-12-10"})}),
        Event("Mailed", {}, metadata={"to": ["Ada Lovelace"]}),
        Event("Mailed", {}, tags=["to:Ada Lovelace"]),
    ],
)
def test_what_stands_in_another_event_is_told(private: EventStore, event: Event) -> None:
    private.append("customer-7", [people.event(registered())])
    values = private.privacy.values(private.read_stream("customer-7"))
    assert values == {1: set(SECRETS)}
    assert private.privacy.tells(event, values[1])
    assert not private.privacy.tells(Event("Mailed", {"to": "7", "city": "London"}), values[1])


def test_what_stands_for_a_forgotten_value_is_not_personal(private: EventStore) -> None:
    private.append("customer-7", [people.event(registered())])
    private.privacy.forget("7", by="me", why="a test")
    assert private.privacy.values(private.read_stream("customer-7")) == {1: set[Any]()}
