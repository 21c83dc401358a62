"""Event types, registered as one value: events made of objects, objects made of events, old shapes lifted on the way."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from store.contract import Contract
from store.errors import EventTypesError, InvalidEventError
from store.event import Event, Json, new_event_id
from store.event_types.catalogue import Catalogue
from store.event_types.codec import Codec, codec
from store.event_types.columns import tokened, typed
from store.event_types.contract import TypesContract, Unknown
from store.event_types.decoder import Decoder
from store.event_types.event_type import EventType
from store.event_types.ladder import Ladder, Rungs
from store.event_types.personal_fields import fitted, guessed
from store.event_types.shape import Shape, fields_of
from store.event_types.step import ShapeName, Step
from store.event_types.unreadable import unreadable
from store.event_types.upcasting import upcast
from store.observer import Observer
from store.privacy.key import Keys
from store.privacy.keyring import MAX_AGE_S, MAX_KEYS
from store.privacy.personal import Personal
from store.privacy.privacy import Privacy
from store.privacy.rules import Rules

_NEEDED: Final = ("type", "schema_version", "data")


class EventTypes:
    """What an application knows of the events in its log. Values of it are fixed once made, and safe to use from many threads.

    EventTypesError, with the remedy: a name or class stands twice, a class is none that JSON can hold, or the steps do not
    lead from every older version of every type to a newest one.
    """

    def __init__(self, *event_types: EventType[Any], steps: Sequence[Step] = ()) -> None:
        self._types: dict[str, EventType[Any]] = {}
        self._classes: dict[type, EventType[Any]] = {}
        self._codecs: dict[str, Codec] = {}
        self._earlier: dict[ShapeName, Codec] = {}
        for event_type in event_types:
            self._register(event_type)
        self._ladder = Ladder({t.name: Rungs(t.first_version, t.schema_version) for t in event_types}, steps)
        self._personal = self._rules()
        self._decoder = Decoder(self._ladder, {shape: codec.decode for shape, codec in self._newest().items()}, bool(self._personal))

    # Making events --------------------------------------------------------------------------------------------

    def event(
        self,
        value: object,
        *,
        event_id: str | uuid.UUID | None = None,
        tags: Sequence[str] = (),
        occurred_at: datetime | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        metadata: Json | None = None,
    ) -> Event:
        """The event to append for this object: its data as JSON bytes, of its type's current version.

        `tags` are added to those that the type says of the object; `occurred_at` goes before the type's.
        InvalidEventError: the class is not registered, the object is not JSON (NaN, over-long integers, other types), or the class
        would not read it again. That what is read equals the object is not checked: text that tells a time reads as a time.
        """
        event_type = self._classes.get(value.__class__)
        if event_type is None:
            known = ", ".join(cls.__qualname__ for cls in self._classes) or "none"
            problem = f"is of the class {type(value).__qualname__}, which no event type has"
            raise InvalidEventError("event", value, problem, f"register it as an EventType (registered: {known})")
        own = () if event_type.tags is None else event_type.tags(value)
        if occurred_at is None and event_type.occurred_at is not None:
            occurred_at = event_type.occurred_at(value)
        return Event(
            event_type.name,
            self._codecs[event_type.name].encode_readable(value),
            event_id=new_event_id() if event_id is None else event_id,
            schema_version=event_type.schema_version,
            occurred_at=occurred_at,
            correlation_id=correlation_id,
            causation_id=causation_id,
            tags=_united(own, tags),
            metadata=metadata,
            personal=None if event_type.personal is None else self._personal.said[event_type.name, event_type.schema_version],
        )

    # Reading events -------------------------------------------------------------------------------------------

    def decode(self, events: pa.Table | pa.RecordBatch) -> list[Any]:
        """The objects of these rows, in their order, of the newest shapes; a split event gives several.

        A RawEvent for an unknown type or a newer schema_version, an ErasedEvent for one whose payload was erased. Needs the columns type,
        schema_version and data; the others make the error tell more. UnreadableEventError: some data does not fit its class, or a step failed.
        """
        decoded: list[Any] = []
        for batch in _batches(events):
            decoded += self._decoder.decode(batch)
        return decoded

    def decode_text(self, type: str, schema_version: int, data: str) -> list[Any]:
        """The same of one event that is not in the log yet, given by its JSON text. InvalidEventError: it could not be read from there."""
        return self._decoder.decode_fresh((type, schema_version), data)

    def upcast(self, events: pa.Table | pa.RecordBatch) -> pa.Table:
        """The same columns with every row of a known type in its newest shape: type, schema_version and data replaced.

        Rows of a split event repeat its position, version and event_id, in order. Rows that are new enough, and unknown
        types, stay as they are. UnreadableEventError: a step failed, or an event is older than its type's first version.
        """
        return pa.Table.from_batches([upcast(self._ladder, batch) for batch in _batches(events)])

    def columns(self, events: pa.Table | pa.RecordBatch, type_name: str) -> pa.Table:
        """The events of one type (lifted, where they are old) as typed columns, in their order.

        position, stream_id, version and occurred_at, as far as given, then a column for each field by its name in JSON
        (`data_<name>` for one of those four names), of the Arrow type that the class asks for: see `arrow_type`. A field that is personal, or
        holds such a field, is a string: a token, or a text or other JSON as it is in the log. All are null of an erased event.
        UnreadableEventError: a value does not fit, or an event is newer than this code.
        """
        names = self.personal_names(type_name)
        return self._typed(events, type_name, lambda batch, values: tokened(typed(self.codec(type_name), batch, values), batch, names))

    def plain_columns(self, events: pa.Table | pa.RecordBatch, type_name: str) -> pa.Table:
        """The same of events whose personal fields were opened (`store.privacy.open`): these have columns of their own types, too.

        Where there are tokens the redacted values stand.
        """
        return self._typed(events, type_name, lambda batch, values: typed(self.codec(type_name), batch, values))

    # Knowing them ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> EventType[Any]:
        if name not in self._types:
            known = ", ".join(self._types) or "none"
            raise InvalidEventError("type", name, "is not registered", f"take one of the registered types: {known}")
        return self._types[name]

    def __contains__(self, name_or_class: object) -> bool:
        return name_or_class in self._types or name_or_class in self._classes

    def __reduce__(self) -> tuple[Any, ...]:
        """From what it was made of: decoders cannot be pickled. Classes and functions are sent by their names."""
        return partial(type(self), steps=self.steps), tuple(self)

    def __iter__(self) -> Iterator[EventType[Any]]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"EventTypes({', '.join(f'{t.name} {t.schema_version}' for t in self)})"

    def __str__(self) -> str:
        return str(self.catalogue())

    def stored_names(self, name: str) -> frozenset[str]:
        """The types in the log whose events are read as this one: itself, and those that a Rename or Split leads here from."""
        return self._ladder.stored_names(name)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._ladder.steps

    def catalogue(self) -> Catalogue:
        """Every type and version that is read, with the fields that a class tells of (`cls`, and `earlier` ones)."""
        older = ((name, version) for name, version in self._ladder.older() if (name, version) not in self._earlier)
        shapes = [_shape(shape, codec, current=True) for shape, codec in self._newest().items()]
        shapes += [_shape(shape, codec, reads_as=self._ladder.ends(shape)) for shape, codec in self._earlier.items()]
        return Catalogue((*shapes, *(Shape(*shape, current=False, reads_as=self._ladder.ends(shape)) for shape in older)))

    def codec(self, name: str) -> Codec:
        """How the values of a registered type become JSON and come back."""
        return self._codecs[self[name].name]

    def contract(self, unknown: Unknown = "refuse") -> Contract:
        """For `open_store(contract=…)`: only events that these types can read are appended.

        Single events are decoded by their class, older versions through their steps. Tables too, and then each type's columns
        pass its `contract=`, if it has one. Types and versions that are not known here are refused, or let pass.
        """
        return TypesContract(tuple(self), self._newest(), self._ladder, self._decoder, unknown, self._personal)

    @property
    def has_personal(self) -> bool:
        """Do they say of any field that it is personal?"""
        return bool(self._personal)

    def personal_names(self, type_name: str) -> frozenset[str]:
        """The fields of a type, by their names in JSON, that are personal or hold a field that is."""
        personal = self[type_name].personal
        return frozenset() if personal is None else frozenset(personal.parts)

    def privacy(self, keys: Keys, *, max_age_s: float = MAX_AGE_S, max_keys: int = MAX_KEYS, observer: Observer | None = None) -> Privacy:
        """For `open_store(privacy=…)`: what these types say is personal is sealed by these keys. See `Privacy`."""
        return Privacy(keys, self._personal, max_age_s=max_age_s, max_keys=max_keys, observer=observer)

    # Below ----------------------------------------------------------------------------------------------------

    def _rules(self) -> Rules:
        """EventTypesError: what is said to be personal does not fit a class."""
        said: dict[ShapeName, Personal] = {}
        for event_type in (one for one in self if one.personal is not None or one.earlier_personal):
            newest = Personal(()) if event_type.personal is None else fitted(event_type.name, event_type.personal, event_type.cls)
            said[event_type.name, event_type.schema_version] = newest
            for version, personal in event_type.earlier_personal.items():
                cls = event_type.earlier.get(version)
                said[event_type.name, version] = guessed(personal) if cls is None else fitted(f"{event_type.name} {version}", personal, cls)
        of = {name for name, _ in said}
        unsaid = {shape[0] for shape in self._ladder.older() if any(name in of for name, _ in self._ladder.ends(shape))}
        return Rules(said, unsaid)

    def _typed(
        self, events: pa.Table | pa.RecordBatch, type_name: str, columns: Callable[[pa.RecordBatch, Sequence[Any]], pa.Table]
    ) -> pa.Table:
        batches = [self._of_type(batch, type_name) for batch in _batches(events)]
        return pa.concat_tables(columns(batch, self._decoder.decode(batch)) for batch in batches)

    def _register(self, event_type: EventType[Any]) -> None:
        if not isinstance(event_type, EventType):
            raise EventTypesError(f"event type {event_type!r}", "is not an EventType", "give EventType(name, class) objects")
        if event_type.name in self._types:
            raise EventTypesError(f"event type {event_type.name!r}", "stands twice", "give every type a name of its own")
        self._codecs[event_type.name] = codec(event_type.name, event_type.cls)
        if (other := self._classes.get(event_type.cls)) is not None:
            problem = f"has the class {event_type.cls.__qualname__}, as {other.name!r} has"
            raise EventTypesError(f"event type {event_type.name!r}", problem, "give every type a class of its own: the class tells the type")
        self._types[event_type.name] = event_type
        self._classes[event_type.cls] = event_type
        for version, cls in event_type.earlier.items():
            self._earlier[event_type.name, version] = codec(event_type.name, cls)

    def _newest(self) -> dict[ShapeName, Codec]:
        return {(t.name, t.schema_version): self._codecs[t.name] for t in self}

    def _of_type(self, batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
        """The batch's events of this type, in its newest shape."""
        events = upcast(self._ladder, batch)
        events = events.filter(pc.equal(events.column("type"), name))
        newer = pc.index(pc.greater(events.column("schema_version"), self[name].schema_version), True).as_py()
        if newer >= 0:
            raise unreadable(events, newer, f"this code knows version {self[name].schema_version} at most", "run the code that wrote it, or newer")
        return events


def _shape(shape: ShapeName, codec: Codec, *, current: bool = False, reads_as: tuple[ShapeName, ...] = ()) -> Shape:
    closed = codec.schema.get("additionalProperties") is False
    return Shape(*shape, current, reads_as, tuple(fields_of(codec.schema)), closed)


def _united(own: Iterable[str], given: Sequence[str]) -> Sequence[str]:
    if own == () and given == ():                  # most have none, and this is asked of every event
        return ()
    for tags in (own, given):
        if isinstance(tags, str) or not isinstance(tags, Iterable):     # the letters of a str would be taken for tags
            raise InvalidEventError("tags", tags, "are not a list", "give a list of str")
    united = list(own)
    return united + [tag for tag in given if tag not in united]


def _batches(events: pa.Table | pa.RecordBatch) -> list[pa.RecordBatch]:
    if not isinstance(events, pa.Table | pa.RecordBatch):
        raise InvalidEventError("events", events, "are no Arrow table", "give what the store reads: a pyarrow Table or RecordBatch")
    for name in _NEEDED:
        if name not in events.schema.names:
            raise InvalidEventError("events", events.schema.names, f"lack the column {name}", f"select at least {', '.join(_NEEDED)}")
    for name in ("type", "data"):                  # Polars and DuckDB have other ways to hold strings
        index = events.schema.get_field_index(name)
        if events.schema.types[index] != pa.string():
            events = events.set_column(index, name, events.column(name).cast(pa.string()))
    if isinstance(events, pa.RecordBatch):
        return [events]
    return events.to_batches() or [pa.RecordBatch.from_pylist([], events.schema)]
