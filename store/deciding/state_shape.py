"""How the states of one aggregate become JSON text and come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from store.deciding.likeness import alike
from store.errors import EventTypesError, InvalidEventError
from store.event_types.codec import codec, is_model

S = TypeVar("S")

_SHOWN: Final = 200
"""Characters of a state that an error shows: it may have millions."""


class StateShape(NamedTuple, Generic[S]):
    """Both raise what the class's library raises."""

    encode: Callable[[S], bytes]
    decode: Callable[[str], S]

    def text(self, field: str, state: S) -> str:
        """JSON text that is read back as the very state. InvalidEventError, about `field`: there is none."""
        try:
            text = self.encode(state).decode()
            read = self.decode(text)
            same = alike(read, state)
        except Exception as error:                 # whatever the class's library raises, or its comparison
            problem, remedy = f"cannot be saved ({error!r})", "give a state that JSON can hold, or no snapshots="
            raise InvalidEventError(field, state, problem, remedy) from error
        if not same:
            problem, remedy = f"is read back as {repr(read)[:_SHOWN]}", "say the state's type with state=, or give it fields that JSON can hold"
            raise InvalidEventError(field, state, problem, remedy)
        return text


def state_shape(state: Any) -> StateShape[Any]:
    """Of a Pydantic model, or of any type that msgspec knows how to hold. InvalidEventError: it is neither."""
    try:
        if isinstance(state, type) and is_model(state):
            model = codec(state.__name__, state)
            return StateShape(model.encode, model.decode)
        return StateShape(msgspec.json.encode, msgspec.json.Decoder(state).decode)
    except (TypeError, NameError, AttributeError, KeyError, EventTypesError) as error:     # KeyError: two classes of one full name
        problem = f"is no type that JSON can hold ({error})"
        raise InvalidEventError("state", state, problem, "make it a dataclass, Struct or Pydantic model, or give no snapshots=") from error
