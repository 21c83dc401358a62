"""A link: an event of the store's own that says by digests what the log held, and which link came before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from store.audit.block import Block, spans
from store.event import Event, RecordedEvent

CHAIN: Final = "$chain"
"""The stream of all links, those of all logs of a warehouse."""
ATTESTED: Final = "Attested"
REACH: Final = 1 << 20
"""Positions that one link speaks of at most: so many digests fit into an event."""
_HEX: Final = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a later link says of the payloads of a block that these erasures have changed since."""

    first: int
    last: int
    payloads: str
    erasures: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Of the log with that id, the positions (after, until] by blocks. `erasures`: those whose husks were there already.

    `previous`: the digest of the log's link before; None for its first one. `rewrites`: see `Ledger`.
    `digest`: the SHA-256 of the event's `data`, in hex, once it is recorded.
    """

    log: str
    after: int
    until: int
    previous: str | None
    identities: Sequence[str]
    payloads: Sequence[str]
    erasures: frozenset[str]
    renewed: Sequence[Renewal]
    rewrites: str
    by: str
    why: str
    digest: str = ""
    version: int = 0
    recorded_at: datetime | None = field(default=None)

    def event(self) -> Event:
        renewed = [{"first": one.first, "last": one.last, "payloads": one.payloads, "erasures": sorted(one.erasures)} for one in self.renewed]
        told = {"log": self.log, "after": self.after, "until": self.until, "previous": self.previous, "by": self.by, "why": self.why}
        digests = {"identities": list(self.identities), "payloads": list(self.payloads)}
        return Event(ATTESTED, {**told, **digests, "erasures": sorted(self.erasures), "renewed": renewed, "rewrites": self.rewrites})

    @classmethod
    def of(cls, event: RecordedEvent) -> Self:
        """ValueError: it is none that this store would write."""
        try:
            return cls._read(event, event.payload())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no link ({error!r})") from error

    @classmethod
    def _read(cls, event: RecordedEvent, said: dict[str, Any]) -> Self:
        link = cls(
            log=str(said["log"]),
            after=int(said["after"]),
            until=int(said["until"]),
            previous=None if said["previous"] is None else _digest(said["previous"]),
            identities=[_digest(one) for one in said["identities"]],
            payloads=[_digest(one) for one in said["payloads"]],
            erasures=frozenset(map(str, said["erasures"])),
            renewed=[Renewal(int(one["first"]), int(one["last"]), _digest(one["payloads"]), frozenset(one["erasures"])) for one in said["renewed"]],
            rewrites=str(said["rewrites"]),
            by=str(said["by"]),
            why=str(said["why"]),
            digest=hashlib.sha256(event.data.encode()).hexdigest(),
            version=event.version,
            recorded_at=event.recorded_at,
        )
        if event.type != ATTESTED or not 0 <= link.after <= link.until <= link.after + REACH:
            raise ValueError(f"it is no link, of type {event.type!r} and over positions {link.after + 1:,} to {link.until:,}")
        if not len(link.spans()) == len(link.identities) == len(link.payloads):
            raise ValueError(f"it says {len(link.identities):,} and {len(link.payloads):,} digests of {len(link.spans()):,} blocks")
        return link

    def spans(self) -> list[tuple[int, int]]:
        return list(spans(self.after + 1, self.until))

    def blocks(self) -> list[Block]:
        places = zip(self.spans(), self.identities, self.payloads, strict=True)
        return [Block(first, last, identities, payloads, self.erasures) for (first, last), identities, payloads in places]


def _digest(said: Any) -> str:
    if not _HEX(said):
        raise ValueError(f"{said!r} is no SHA-256")
    return str(said)
