"""How the states of one aggregate become JSON text and come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from store.errors import InvalidEventError
from store.event_types.codec import codec, is_model

S = TypeVar("S")


class StateShape(NamedTuple, Generic[S]):
    """Both raise what the class's library raises."""

    encode: Callable[[S], bytes]
    decode: Callable[[str], S]


def state_shape(state: Any) -> StateShape[Any]:
    """Of a Pydantic model, or of any type that msgspec knows how to hold. InvalidEventError: it is neither."""
    if isinstance(state, type) and is_model(state):
        model = codec(state.__name__, state)
        return StateShape(model.encode, model.decode)
    try:
        decoder = msgspec.json.Decoder(state)
    except TypeError as error:
        problem = f"is no type that JSON can hold ({error})"
        raise InvalidEventError("state", state, problem, "make it a dataclass, Struct or Pydantic model") from error
    return StateShape(msgspec.json.encode, decoder.decode)
