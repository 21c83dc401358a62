"""The keys of subjects, from where the settings say they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pipelines.domain import Domain
from pipelines.settings import IN_THE_WAREHOUSE, NO_KEYS, Settings, SettingsError
from store import Keys, KeyTable, Privacy


def keys_of(settings: Settings) -> Keys | None:
    """None: this process is to have none. SettingsError: what should make them cannot be had."""
    match settings.keys:
        case keys if keys == NO_KEYS:
            return None
        case keys if keys == IN_THE_WAREHOUSE:
            return KeyTable(settings.warehouse, settings.master_key)
        case place:
            return _function(place)(settings.warehouse)


def privacy_of(domain: Domain, settings: Settings) -> Privacy | None:
    """What stores of this domain are opened with; None: nothing in it is personal, or this process has no keys."""
    if not domain.event_types.has_personal:
        return None
    return None if (keys := keys_of(settings)) is None else domain.event_types.privacy(keys)


def _function(place: str) -> Callable[[str], Keys]:
    module, colon, attribute = place.partition(":")
    remedy = f"write {IN_THE_WAREHOUSE}, {NO_KEYS}, or package.module:function of a function that is given the warehouse"
    if not (module and colon and attribute):
        raise SettingsError(f"ALLUVIUM_KEYS is {place!r}: {remedy}")
    try:
        found = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise                                  # that code lacks something: this message says it better
        raise SettingsError(f"ALLUVIUM_KEYS is {place!r}: there is no module {error.name!r}; is its directory on PYTHONPATH?") from error
    if not callable(found):
        raise SettingsError(f"ALLUVIUM_KEYS is {place!r}: there is no function {attribute!r}: {remedy}")
    function: Callable[[str], Keys] = found
    return function
