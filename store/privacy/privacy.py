"""What a store is opened with to keep personal data: what is personal, and the keys."""

from __future__ import annotations

from typing import Final

from store.errors import InvalidEventError
from store.observer import Observer
from store.privacy.key import Keys
from store.privacy.keyring import MAX_AGE_S, MAX_KEYS, Keyring
from store.privacy.rules import Rules

_METHODS: Final = ("ref", "newest", "find", "rotate", "delete")


class Privacy:
    """For `open_store(privacy=…)`; `EventTypes.privacy` makes one of what the types say is personal.

    `keys`: where they are kept. `max_age_s`, `max_keys`: of those that this process remembers. A deletion elsewhere counts here after `max_age_s`
    at most. Several stores may share one.
    """

    def __init__(
        self,
        keys: Keys,
        personal: Rules | None = None,
        *,
        max_age_s: float = MAX_AGE_S,
        max_keys: int = MAX_KEYS,
        observer: Observer | None = None,
    ) -> None:
        """InvalidEventError: `keys` are none."""
        if any(not callable(getattr(keys, name, None)) for name in _METHODS):
            remedy = "give KeyTable(uri), MemoryKeys(), or an object with these methods"
            raise InvalidEventError("keys", type(keys).__name__, f"lacks some of {', '.join(_METHODS)}", remedy)
        self.rules: Final = Rules() if personal is None else personal
        self.keyring: Final = Keyring(keys, max_age_s=max_age_s, max_keys=max_keys, observer=observer)


def check_privacy(privacy: object) -> None:
    """InvalidEventError: it is none, such as keys alone."""
    if privacy is not None and not isinstance(privacy, Privacy):
        raise InvalidEventError("privacy", privacy, "is no Privacy", "give types.privacy(keys), or Privacy(keys) where no type has personal fields")
