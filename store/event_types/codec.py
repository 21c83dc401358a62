"""How the values of one class become JSON and come back: by msgspec, or by Pydantic if the class is a model of its.

Pydantic itself is never imported: its models carry all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Final

import msgspec

from store.draft import encode_json
from store.errors import EventTypesError, InvalidEventError
from store.event_types.class_schemas import model_schema, msgspec_schema, written_name
from store.event_types.misfit import misfit
from store.event_types.schemas import Schema

_ENCODER: Final = msgspec.json.Encoder()
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_REMEDY: Final = "give values of the types that its fields declare"


@dataclass(frozen=True, slots=True)
class Codec:
    """`encode` gives the UTF-8 JSON of an object; InvalidEventError: the value has none. `decode` raises what the class's library raises.

    `schema`: the JSON schema of what is written, without references. `attributes`: the attribute behind each of its properties.
    """

    encode: Callable[[Any], bytes]
    decode: Callable[[str | bytes], Any]
    schema: Schema
    attributes: Mapping[str, str]

    def encode_readable(self, value: Any) -> bytes:
        """The JSON of an object that its class takes back. InvalidEventError: it would not, as a field holds a value of another type."""
        encoded = self.encode(value)
        try:
            self.decode(encoded)
        except Exception as error:                 # the classes are the user's: their own checks may raise anything
            found = misfit(error, encoded)
            raise InvalidEventError(found.field, found.value, f"does not fit {type(value).__qualname__} ({found.reason})", _REMEDY) from error
        return encoded


def codec(name: str, cls: type) -> Codec:
    """EventTypesError: the class is no dataclass, Struct or Pydantic model, or its values are no JSON objects."""
    if not isinstance(cls, type):
        raise EventTypesError(f"event type {name!r}", f"has {cls!r}, which is not a class", "give a dataclass, msgspec Struct or Pydantic model")
    if is_model(cls):
        return _of_model(name, cls)
    if not (is_dataclass(cls) or issubclass(cls, msgspec.Struct)):
        raise EventTypesError(f"event type {name!r}", f"has the class {cls.__qualname__}", "make it a dataclass, msgspec Struct or Pydantic model")
    return _of_msgspec(name, cls)


def is_model(cls: type) -> bool:
    """Is it a Pydantic model?"""
    return hasattr(cls, "model_validate_json") and hasattr(cls, "__pydantic_serializer__")


def plain(value: Any) -> Any:
    """The value as JSON knows it: dicts, lists, strings, numbers."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_plain_model)


def encode_any(value: Any, remedy: str) -> bytes:
    """Its JSON: NaN and infinity as null, integers of any length. InvalidEventError: it has none."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidEventError("data", value, f"is not JSON ({error})", remedy) from error


def _of_msgspec(name: str, cls: type) -> Codec:
    try:
        schema = msgspec_schema(cls)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(cls)
        fields = msgspec.inspect.type_info(cls).fields  # type: ignore[attr-defined]
    except (TypeError, NameError, AttributeError, KeyError) as error:     # KeyError: two classes of one full name
        reason = " ".join(str(error).split())
        raise EventTypesError(f"event type {name!r}", f"has the class {cls.__qualname__}, which JSON cannot hold ({reason})", _FIELDS) from error
    return Codec(_encode, decoder.decode, _checked(name, cls, schema), {field.encode_name: field.name for field in fields})


def _of_model(name: str, cls: Any) -> Codec:
    try:
        schema = model_schema(cls)
    except Exception as error:                     # Pydantic's errors cannot be named without importing it
        raise EventTypesError(f"event type {name!r}", f"has the model {cls.__qualname__}, which has no JSON schema ({error})", _FIELDS) from error
    checked = _checked(name, cls, schema)
    attributes = {written_name(field, info): field for field, info in cls.model_fields.items()}
    return Codec(_encode_model, cls.model_validate_json, checked, {written: attributes[written] for written in checked["properties"]})


_FIELDS: Final = "give its fields types that JSON can hold: numbers, strings, times, enums, lists, dicts, classes of such fields"


def _checked(name: str, cls: type, schema: Schema) -> Schema:
    if schema.get("type") != "object" or "properties" not in schema:
        raise EventTypesError(f"event type {name!r}", f"has the class {cls.__qualname__}, whose values are no JSON objects", "give it named fields")
    return schema


def _encode(value: Any) -> bytes:
    encoded = encode_any(value, _REMEDY)
    if _is_doubtful(encoded):
        encode_json("data", plain(value))
    return encoded


def _encode_model(value: Any) -> bytes:
    """Without warnings of wrong types: `encode_readable` raises, and a state is compared with what is read again."""
    try:
        encoded: bytes = value.model_dump_json(by_alias=True, warnings=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEventError("data", value, f"is not JSON ({error})", _REMEDY) from error
    if _is_doubtful(encoded):
        encode_json("data", plain(value))
    return encoded


def _is_doubtful(encoded: bytes) -> bool:
    """Both encoders write NaN and infinity as null, and integers of any length: no reader could tell the one, or hold the other."""
    return b"null" in encoded or b"0" * 19 in encoded.translate(_DIGITS)


def _plain_model(value: Any) -> Any:
    if is_model(type(value)):
        return value.model_dump(by_alias=True, warnings=False)
    return str(value)                              # a type of Pydantic's own, such as a URL
