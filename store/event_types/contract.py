"""Event types as a contract: what is appended can be read by its class, and tables pass their type's own schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from store.draft import encode_json
from store.errors import InvalidEventError
from store.event import Event
from store.event_types.codec import Codec
from store.event_types.decoder import Decoder
from store.event_types.event_type import EventType
from store.event_types.ladder import Ladder
from store.event_types.step import ShapeName
from store.event_types.table_contract import check_rows
from store.privacy.opening import redact_data
from store.privacy.rules import Rules

Unknown = Literal["refuse", "pass"]


class TypesContract:
    """A `Contract`. `unknown`: what becomes of types and versions that are not known here: refused, or let pass unchecked."""

    def __init__(
        self,
        event_types: Sequence[EventType[Any]],
        codecs: Mapping[ShapeName, Codec],
        ladder: Ladder,
        decoder: Decoder,
        unknown: Unknown,
        personal: Rules,
    ) -> None:
        """`personal`: a store that is opened with this contract and without keys refuses these."""
        if unknown not in ("refuse", "pass"):
            raise InvalidEventError("unknown", unknown, "is no choice", "take 'refuse' or 'pass'")
        self._event_types, self._codecs, self._unknown = event_types, codecs, unknown
        self._ladder, self._decoder, self.personal = ladder, decoder, personal

    def check_event(self, stream_id: str, event: Event) -> None:
        """An older version must come through its steps to an object too."""
        shape = (event.type, event.schema_version)
        if not self._is_known(shape):
            self._refuse_unknown(shape, f"of stream {stream_id!r}")
            return
        text = event.data.decode() if isinstance(event.data, bytes) else encode_json("data", event.data)
        self._decoder.decode_fresh(shape, text, f"of stream {stream_id!r} ")

    def check_table(self, events: pa.Table) -> None:
        """All failures of the first type that has some are found; the first few are named."""
        shapes = events.select(["type", "schema_version"]).group_by(["type", "schema_version"], use_threads=False).aggregate([])
        for name, version in zip(*shapes.to_pydict().values(), strict=True):
            if not self._is_known((name, version)):
                row = pc.index(pc.and_(pc.equal(events["type"], name), pc.equal(events["schema_version"], version)), True).as_py()
                self._refuse_unknown((name, version), f"in row {row}, stream {events['stream_id'][row].as_py()!r},")
        check_rows(self._event_types, self._codecs, self._ladder, redact_data(events) if self.personal else events)

    def _is_known(self, shape: ShapeName) -> bool:
        return shape in self._codecs or self._ladder.lifts(shape)

    def _refuse_unknown(self, shape: ShapeName, place: str) -> None:
        name, version = shape
        newest = self._ladder.newest.get(name)
        if self._unknown == "refuse" and newest is None:
            raise InvalidEventError("type", name, f"{place} is not registered", "register it as an EventType")
        if self._unknown == "refuse":
            remedy = "append the version that is known, or run newer code"
            raise InvalidEventError("schema_version", version, f"{place} is newer than {name} is known here", remedy)
