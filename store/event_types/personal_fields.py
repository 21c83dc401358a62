"""Personal fields held against the classes of their type: do they exist, can the class read what stands for them, can it read a token?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import EventTypesError
from store.event_types.class_schemas import written_name
from store.event_types.codec import is_model
from store.privacy.key import REF_CHARACTERS, KeyId
from store.privacy.personal import Personal
from store.privacy.token import seal

Reads = Callable[[bytes], object]
"""Reads the JSON of one field's value; raises what the class's library raises."""

_A_TOKEN: Final = orjson.dumps(seal(AESGCM(bytes(32)), KeyId("A" * REF_CHARACTERS, 1), orjson.dumps("a value"), ""))


def fitted(name: str, personal: Personal, cls: type) -> Personal:
    """The same, with the paths whose class cannot hold a token. EventTypesError: a field is none, or cannot be read from its redacted value."""
    subject = f"event type {name!r}"
    if personal.subject is not None:
        _reader(subject, cls, personal.subject)
    textless = set()
    for path, stand_in in personal.fields.items():
        reads = _reader(subject, cls, path)
        _check_names(subject, cls, path)
        if (problem := _refused(reads, orjson.dumps(stand_in))) is not None:
            told = f"cannot read {stand_in!r} as its {path} ({problem})"
            raise EventTypesError(subject, told, f"say another redacted value, as in Personal({{{path!r}: …}}), that {cls.__qualname__} takes there")
        if _refused(reads, _A_TOKEN) is not None:
            textless.add(path)
    return Personal(personal.fields, personal.subject, textless=frozenset(textless))


def guessed(personal: Personal) -> Personal:
    """The same for a version without a class: where no text stands for the value, none can be held."""
    textless = frozenset(path for path, stand_in in personal.fields.items() if not isinstance(stand_in, str))
    return Personal(personal.fields, personal.subject, textless=textless)


def _refused(reads: Reads, value: bytes) -> str | None:
    try:
        reads(value)
    except Exception as error:                     # the classes are the user's: their own checks may raise anything
        return " ".join(str(error).split())
    return None


def _reader(subject: str, cls: type, path: str) -> Reads:
    *outer, last = path.split(".")
    for place, name in enumerate(outer):
        inner = _class_in(_annotations(cls).get(name, (name, None))[1])
        if inner is None:
            above = ".".join(outer[: place + 1])
            problem = f"has no class with named fields at {above!r}, for the personal field {path!r}"
            raise EventTypesError(subject, problem, f"name {above!r} as a whole, or give it a class")
        cls = inner
    if last not in (fields := _annotations(cls)):
        problem = f"has no field {path!r}, which is said to be personal or to name the subject"
        raise EventTypesError(subject, problem, f"take one of {', '.join(fields)}, as JSON calls it")
    attribute, annotation = fields[last]
    if is_model(cls):
        model: Any = cls
        return lambda value: model.__pydantic_validator__.validate_assignment(model.model_construct(), attribute, orjson.loads(value))
    return lambda value: msgspec.json.decode(value, type=annotation)


def _check_names(subject: str, cls: Any, path: str) -> None:
    """EventTypesError: a Pydantic model reads the field, or what it lies in, under further names: by those it would pass in plain text."""
    for name in path.split("."):
        attribute, annotation = _annotations(cls)[name]
        others = sorted(set(_read_names(cls, attribute)) - {name}) if is_model(cls) else []
        if others:
            problem = f"reads its personal field {path!r} under {', '.join(map(repr, others))}, too, where it would not be encrypted"
            raise EventTypesError(subject, problem, f"leave populate_by_name, validate_by_name and further aliases of {attribute!r} out")
        cls = _class_in(annotation)


def _read_names(model: Any, attribute: str) -> Iterator[str]:
    """The names in JSON under which a model reads a field; of a path into something else, all of it."""
    info, config = model.model_fields[attribute], model.model_config
    alias = info.validation_alias or info.alias
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        yield attribute
    if alias is not None and config.get("validate_by_alias", True) is not False:
        for choice in getattr(alias, "choices", [alias]):                  # AliasChoices, an AliasPath, or one name
            yield choice if isinstance(choice, str) else ".".join(map(str, choice.path))


def _annotations(cls: Any) -> Mapping[str, tuple[str, Any]]:
    """Name in JSON -> the attribute, and what it is declared as."""
    if is_model(cls):
        return {written_name(name, info): (name, info.annotation) for name, info in cls.model_fields.items()}
    hints = get_type_hints(cls, include_extras=True)
    if issubclass(cls, msgspec.Struct):
        return {field.encode_name: (field.name, hints[field.name]) for field in msgspec.structs.fields(cls)}
    return {name: (name, hints[name]) for name in cls.__dataclass_fields__}


def _class_in(annotation: Any) -> type | None:
    """The class of named fields that is meant, alone or beside None."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not NoneType]
        return _class_in(choices[0]) if len(choices) == 1 else None
    named = isinstance(annotation, type) and (is_model(annotation) or is_dataclass(annotation) or issubclass(annotation, msgspec.Struct))
    return annotation if named else None
