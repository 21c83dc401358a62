"""The file that names grants, and the tokens that each is given to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from store import Grant, InvalidEventError

_HASH: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_FIELDS: Final = ("categories", "streams", "types", "columns", "data", "tables")


class GrantsError(Exception):
    """The file of grants makes no sense. The message says where, and what to write."""


class Granted(NamedTuple):
    """`tokens`: the SHA-256 of each token that it is given to."""

    grant: Grant
    tokens: tuple[str, ...]


def read_grants(path: Path) -> Mapping[str, Granted]:
    """By name, in the order of the file: TOML, with a table for each. GrantsError: it is not there, or one of them is no grant, which refuses all."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GrantsError(f"the file of grants {path} cannot be read ({error.strerror}): set ALLUVIUM_GRANTS to one that can") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GrantsError(f"{path} is no TOML ({error}): write [sales], below it categories = [\"order\"], and so on") from error
    grants = {name: _granted(f"{path}, grant {name!r}", fields) for name, fields in told.items()}
    owners: dict[str, str] = {}
    for name, granted in grants.items():
        for token in granted.tokens:
            if (other := owners.setdefault(token, name)) != name:
                raise GrantsError(f"{path}: grants {other!r} and {name!r} have a token in common: give each its own")
    return grants


def grant_named(path: Path, name: str) -> Grant:
    """GrantsError: none is called so."""
    grants = read_grants(path)
    if name not in grants:
        raise GrantsError(f"{path} has no grant {name!r}: it has {', '.join(grants) or 'none'}")
    return grants[name].grant


def _granted(place: str, fields: Any) -> Granted:
    if not isinstance(fields, dict):
        raise GrantsError(f"{place}: {fields!r} is no table: write [name] on a line of its own, and the fields below it")
    for name in fields:
        if name not in (*_FIELDS, "tokens"):
            raise GrantsError(f"{place}: {name!r} is no field of a grant: write one of {', '.join((*_FIELDS, 'tokens'))}")
    tokens = fields.get("tokens", [])
    if not isinstance(tokens, list) or not all(isinstance(token, str) and _HASH(token) for token in tokens):
        remedy = "`alluvium access token` makes a token and what to write of it"
        raise GrantsError(f"{place}: tokens must be a list of SHA-256, each 64 lower-case hex digits, and never of tokens: {remedy}")
    try:
        return Granted(Grant(**{name: value for name, value in fields.items() if name != "tokens"}), tuple(tokens))
    except InvalidEventError as error:
        raise GrantsError(f"{place}: {error}") from error
