"""What is personal is declared, and held against the class when it is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from store import EventType, EventTypes, EventTypesError, Personal, Rename, Upcast
from tests.store.privacy.people import Address, Registered, people


def textless(cls: type, *fields: str) -> frozenset[str]:
    """Which of these fields, with null for their redacted value, the class reads no text of."""
    types = EventTypes(EventType("It", cls, personal=Personal(dict.fromkeys(fields))))
    found = types.event(cls()).personal
    assert found is not None
    return found.textless


@dataclass(frozen=True)
class OfDataclass:
    text: str | None = None
    number: int | None = None
    short: Annotated[str, msgspec.Meta(max_length=5)] | None = None
    thing: Any = None


class OfStruct(msgspec.Struct, rename="camel"):
    some_text: str | None = None
    some_day: dt.date | None = None


class OfModel(pydantic.BaseModel):
    text: str | None = None
    number: int | None = None
    aliased: dt.date | None = pydantic.Field(None, alias="theDay")


def test_it_is_found_out_which_fields_can_hold_a_token() -> None:
    assert textless(OfDataclass, "text", "number", "short", "thing") == {"number", "short"}
    assert textless(OfStruct, "someText", "someDay") == {"someDay"}
    assert textless(OfModel, "text", "number", "theDay") == {"number", "theDay"}


class ByName(pydantic.BaseModel, populate_by_name=True):
    full_name: str = pydantic.Field(alias="fullName")
    plan: str = pydantic.Field("free", alias="thePlan")
    same: str = ""


class ByEither(pydantic.BaseModel, validate_by_name=True, validate_by_alias=True):
    full_name: str = pydantic.Field(alias="fullName")


class ByChoice(pydantic.BaseModel):
    name: str = pydantic.Field(validation_alias=pydantic.AliasChoices("name", "called", pydantic.AliasPath("names", 0)))


class Around(pydantic.BaseModel):
    inner: ByName | None = None


@pytest.mark.parametrize(
    ("cls", "path", "names"),
    [
        (ByName, "fullName", "'full_name'"),
        (ByEither, "fullName", "'full_name'"),
        (ByChoice, "name", "'called', 'names.0'"),
        (Around, "inner.fullName", "'full_name'"),
    ],
)
def test_a_personal_field_has_one_name(cls: type, path: str, names: str) -> None:
    """By another one that the model takes its value would pass in plain text."""
    with pytest.raises(EventTypesError, match=f"reads its personal field '{path}' under {names}, too, where it would not be encrypted"):
        EventTypes(EventType("It", cls, personal=Personal([path])))


def test_what_is_not_personal_may_have_several_names() -> None:
    EventTypes(EventType("It", ByName, personal=Personal(["same"])))
    EventTypes(EventType("It", OfModel, personal=Personal({"theDay": None})))


@pytest.mark.parametrize(
    ("personal", "problem"),
    [
        (Personal(["nickname"]), "has no field 'nickname'.*take one of customer, name, born, address, plan"),
        (Personal(["address.zip"]), "has no field 'address.zip'"),
        (Personal(["name.first"]), "has no class with named fields at 'name'"),
        (Personal(["name"], subject="id"), "has no field 'id'"),
        (Personal({"born": "[forgotten]"}), "cannot read '\\[forgotten\\]' as its born"),
        (Personal({"name": None}), "cannot read None as its name"),
        (Personal({"name": 5}), "say another redacted value"),
    ],
)
def test_what_does_not_fit_the_class_is_refused(personal: Personal, problem: str) -> None:
    with pytest.raises(EventTypesError, match=problem):
        EventTypes(EventType("Registered", Registered, personal=personal))


@pytest.mark.parametrize(
    ("fields", "subject", "problem"),
    [
        ("name", None, "are no paths"),
        (["a..b"], None, "is no path"),
        ([5], None, "is no path"),
        (["address", "address.street"], None, "lies within another one"),
        (["address.street", "address"], None, "lies within another one"),
        (["customer"], "customer", "is or holds the subject"),
        (["customer"], "customer.id", "is or holds the subject"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: Any, subject: str | None, problem: str) -> None:
    with pytest.raises(EventTypesError, match=problem):
        Personal(fields, subject)


def test_a_whole_object_may_be_personal() -> None:
    EventTypes(EventType("Registered", Registered, personal=Personal({"address": None})))
    with pytest.raises(EventTypesError, match="has personal"):
        EventType("Address", Address, personal=["street"])  # type: ignore[arg-type]


def test_an_earlier_version_is_declared_apart() -> None:
    steps = [Upcast("Registered", 1, lambda old: {**old, "customer": "0"})]
    with pytest.raises(EventTypesError, match="earlier version 2"):
        EventTypes(EventType("Registered", Registered, schema_version=2, earlier_personal={2: Personal(["name"])}), steps=steps)
    types = EventTypes(EventType("Registered", Registered, schema_version=2, earlier_personal={1: Personal(["nick"])}), steps=steps)
    assert types.personal_names("Registered") == frozenset()


def test_types_with_what_is_personal_can_be_sent_to_other_processes() -> None:
    import pickle

    assert pickle.loads(pickle.dumps(people)).personal_names("Registered") == {"name", "born", "address"}


def test_an_old_name_of_a_personal_type_is_no_way_around_it() -> None:
    types = EventTypes(EventType("Registered", Registered, personal=Personal(["name"])), steps=[Rename("SignedUp", 1, to="Registered")])
    assert types.contract().personal.of("Other", 1) is None  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="nobody said what is personal"):
        types.contract().personal.of("SignedUp", 1)  # type: ignore[attr-defined]
