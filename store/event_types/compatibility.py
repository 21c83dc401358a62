"""May these event types follow those? Asked of two catalogues: the one that a team keeps, and the one that the code makes.

**Backward**: the new code reads what the old code wrote.
- A type and version that was read is still read: by a class of that very version, or by steps. So a version may be raised
  if there are steps, and a type may go if it was renamed or split; none may just vanish, and no version be lowered.
- At the same version: no new required field, none that becomes required, and no kind that holds less (`string | null` to `string`,
  `number` to `integer`, fewer values of an enum). A class that refuses unknown fields may not lose one.

**Forward**: the old code reads what the new code writes.
- No version is raised: the old code cannot read it. A type that the old code never heard of is no matter: it is read raw.
- At the same version: no required field goes or becomes optional, and no kind holds more. If the old class refuses unknown
  fields, none may be new.

**Full**: both. What cannot be shown to fit, such as two different patterns, counts as not fitting. Older versions are read by
steps, which see plain dicts: of their fields nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from store.errors import IncompatibleTypesError, InvalidEventError
from store.event_types.catalogue import Catalogue
from store.event_types.fitting import fits
from store.event_types.shape import Shape

Mode = Literal["backward", "forward", "full"]


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One thing that one of the two codes could not read. `field`: None if it is the version as a whole."""

    type: str
    schema_version: int
    field: str | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        field = "" if self.field is None else f", field {self.field}"
        return f"{self.type} {self.schema_version}{field}: {self.problem}: {self.remedy}"


def check_compatible(old: Catalogue, new: Catalogue, mode: Mode = "backward") -> None:
    """For a test or a CI. IncompatibleTypesError holds all that is not compatible."""
    if found := incompatibilities(old, new, mode):
        raise IncompatibleTypesError(mode, found)


def incompatibilities(old: Catalogue, new: Catalogue, mode: Mode = "backward") -> list[Incompatibility]:
    """All of them, by type and version; none: the new event types may follow the old ones."""
    for name, given in (("old", old), ("new", new)):
        if not isinstance(given, Catalogue):
            raise InvalidEventError(name, given, "is no catalogue", "give types.catalogue(), or Catalogue.read(path)")
    match mode:
        case "backward":
            return list(_backward(old, new))
        case "forward":
            return list(_forward(old, new))
        case "full":
            return [*_backward(old, new), *_forward(old, new)]
        case _:
            raise InvalidEventError("mode", mode, "is no mode", "take 'backward', 'forward' or 'full'")


def _backward(old: Catalogue, new: Catalogue) -> Iterator[Incompatibility]:
    known = {shape.key: shape for shape in new}
    types = {shape.type for shape in new if shape.is_read}
    for shape in old:
        mine = known.get(shape.key)
        if mine is not None and mine.current:
            yield from _misfits(shape, mine, "old data", "the new class", _BACKWARD)
        elif shape.is_read and (mine is None or not mine.is_read):
            gone = "the new code has no way to read it" if shape.type in types else "the type is gone"
            yield Incompatibility(*shape.key, None, gone, "keep it and raise schema_version with steps, or add a Rename or Split for its versions")


def _forward(old: Catalogue, new: Catalogue) -> Iterator[Incompatibility]:
    known = {shape.key: shape for shape in old}
    types = {shape.type for shape in old}
    for shape in new:
        theirs = known.get(shape.key)
        if not shape.current or shape.type not in types:
            continue
        if theirs is None or not theirs.is_read:
            yield Incompatibility(*shape.key, None, "the old code cannot read this version", "replace all readers first, or add optional fields only")
        elif theirs.current:
            yield from _misfits(shape, theirs, "new data", "the old class", _FORWARD)


_BACKWARD = "give it a default or the wider type, or raise schema_version and add a step"
_FORWARD = "keep it as it was until no old code reads; or write a new type"


def _misfits(written: Shape, read: Shape, data: str, reader: str, remedy: str) -> Iterator[Incompatibility]:
    """Fields of the class that reads, which data written by the other does not fit."""
    if written.fields is None or read.fields is None:
        return
    fields = {field.name: field for field in written.fields}
    for wanted in read.fields:
        given = fields.pop(wanted.name, None)
        if given is None:
            if wanted.required:
                yield Incompatibility(*read.key, wanted.name, f"{reader} requires it, {data} does not have it", remedy)
        elif wanted.required and not given.required:
            yield Incompatibility(*read.key, wanted.name, f"{reader} requires it, {data} may leave it out", remedy)
        elif not fits(given.schema, wanted.schema):
            yield Incompatibility(*read.key, wanted.name, f"{data} may hold {given.kind}, {reader} takes {wanted.kind}", remedy)
    for name in fields if read.closed else ():
        yield Incompatibility(*read.key, name, f"{data} may have it, {reader} refuses fields that it does not know", remedy)
