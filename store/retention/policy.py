"""All that `$retention` says: the fold of its events. A value: each change makes a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
import pyarrow as pa

from store.event import Event
from store.retention.rule import Rule
from store.retention.terms import NOTHING, Terms
from store.retention.terms_by_stream import TermsByStream

RETENTION: Final = "$retention"
"""What is to be kept, in the log's own order."""

KEPT: Final = "Kept"
TRUNCATED: Final = "Truncated"
DELETED: Final = "Deleted"
TOMBSTONED: Final = "Tombstoned"
CLOSED: Final = "Closed"
_SAID: Final = (KEPT, TRUNCATED, DELETED, TOMBSTONED, CLOSED)

Said = tuple[int, str, str]
"""Position, type and data of an event of `$retention`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`streams`: those of which something of their own is said. `categories`: rules of all streams of one, and where each was said."""

    streams: TermsByStream = field(default_factory=TermsByStream)
    categories: Mapping[str, tuple[Rule, int]] = field(default_factory=dict)
    ruled: frozenset[str] = frozenset()
    """Streams with a rule of their own, which stands in place of their category's."""

    def __bool__(self) -> bool:
        """Is anything said?"""
        return bool(self.streams) or bool(self.categories)

    def of(self, stream_id: str) -> Terms | None:
        """None: nothing is said of it."""
        own = self.streams.get(stream_id)
        if not self.categories or (general := self.categories.get(category_of(stream_id))) is None:
            return own
        rule, position = general
        own = own or NOTHING
        return own._replace(rule=own.rule if stream_id in self.ruled else rule, position=max(own.position, position))

    def after(self, said: Iterable[Said]) -> Policy:
        """What holds once these events are said, too."""
        streams, categories, ruled = dict[str, Terms](), dict(self.categories), set[str]()

        def so_far(name: str) -> Terms:
            return streams[name] if name in streams else self.streams.get(name, NOTHING)

        for position, type, data in said:
            if type not in _SAID:                  # of newer code's words this code can keep none, and must not stop at them
                continue
            fields = orjson.loads(data)
            if type == KEPT:
                rule = rule_of(fields)
                if is_category(name := fields["of"]):
                    categories[name] = rule, position
                    continue
                ruled.add(name)
                streams[name] = so_far(name)._replace(rule=rule, position=position)
            else:
                name = fields["stream_id"]
                streams[name] = _changed(so_far(name), position, type, fields)
        return Policy(self.streams.updated(streams), categories, self.ruled | ruled)

    def rules(self) -> dict[str, Rule]:
        """By name, of streams and categories."""
        own = {name: self.streams[name].rule for name in sorted(self.ruled)}
        return {name: rule for name, (rule, _) in sorted(self.categories.items())} | own


def settled(data: str, version_of: Callable[[str], int]) -> str:
    """What is said at the end of a stream, with the version at which it comes to the log: who says it could not know that yet."""
    fields = orjson.loads(data)
    if fields.get("version", 0) is not None:
        return data
    return orjson.dumps(fields | {"version": version_of(fields["stream_id"])}).decode()


def said_in(events: pa.Table) -> list[Said]:
    """Of rows of the stream with these columns."""
    return list(zip(*(events[name].to_pylist() for name in ("position", "type", "data")), strict=True))


def is_category(name: str) -> bool:
    """A name without a hyphen is that of a category: of the streams that begin with it and a hyphen, and of the one of just that id."""
    return "-" not in name


def category_of(stream_id: str) -> str:
    return stream_id.partition("-")[0]


def kept(name: str, rule: Rule, by: str, why: str) -> Event:
    age_us = rule.max_age_us
    return Event(KEPT, {"of": name, "max_age_us": age_us, "max_count": rule.max_count, "by": by, "why": why})


def rule_of(fields: Mapping[str, Any]) -> Rule:
    age_us = fields["max_age_us"]
    return Rule(None if age_us is None else timedelta(microseconds=age_us), fields["max_count"])


def _changed(terms: Terms, position: int, type: str, fields: Mapping[str, Any]) -> Terms:
    match type:
        case "Truncated":
            return terms._replace(truncated=max(terms.truncated, fields["before"] - 1), position=position)
        case "Deleted":
            deletions = terms.deletions if fields["version"] <= terms.deleted else (*terms.deletions, fields["version"])
            return terms._replace(deletions=deletions, position=position)
        case "Tombstoned":
            return terms._replace(truncated=max(terms.truncated, fields["version"]), tombstoned=True, position=position)
    return terms._replace(closed=True)             # which hides nothing
