"""What a copy of a log lacks: ranges of positions that it can take over one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from store.delta.actions import Segment

Likeness = tuple[object, ...]


class Piece(NamedTuple):
    """A file to copy: as it is, or, of a run that reaches beyond the copy's end, without what lies there."""

    segment: Segment
    cut: bool


class Stretch(NamedTuple):
    """Files that change place together: with `missing` instead of `superseded` the copy is complete up to position `last`."""

    last: int
    missing: Sequence[Piece]
    superseded: Sequence[Segment]

    @property
    def size_bytes(self) -> int:
        return sum(piece.segment.size_bytes for piece in self.missing)


def lacking(source: Sequence[Segment], copy: Sequence[Segment], until: int) -> list[Stretch]:
    """What separates the copy from the source up to position `until`, low positions first. Each stretch needs those before it.

    A run is cut as a whole: its files are named by its positions, so those that end early get a new name, too.
    """
    reach: dict[tuple[int, int], int] = {}
    for segment in source:
        reach[segment.run] = max(reach.get(segment.run, 0), segment.last)
    wanted = [Piece(segment, reach[segment.run] > until) for segment in source if segment.first <= until]
    same = {likeness(piece.segment) for piece in wanted if not piece.cut} & {likeness(segment) for segment in copy}
    stretches = []
    for last, files in _ranges([*wanted, *copy], until):
        missing = [file for file in files if isinstance(file, Piece) and (file.cut or likeness(file.segment) not in same)]
        superseded = [file for file in files if isinstance(file, Segment) and likeness(file) not in same]
        if missing or superseded:
            stretches.append(Stretch(last, missing, superseded))
    return stretches


def joined(stretches: Sequence[Stretch], size_bytes: int) -> Stretch:
    """The first stretches as one, until they hold so many bytes to copy."""
    sizes = accumulate((stretch.size_bytes for stretch in stretches), initial=0)
    taken = [stretch for stretch, before in zip(stretches, sizes, strict=False) if before < size_bytes]
    missing = [piece for stretch in taken for piece in stretch.missing]
    return Stretch(taken[-1].last, missing, [segment for stretch in taken for segment in stretch.superseded])


def likeness(segment: Segment) -> Likeness:
    """The same for a file and its copy: all that is known of it but the part of its name that nobody else has.

    Two files of one log that are alike hold the same events: of one shard, from the same first to the same last position.
    """
    s = segment
    place = s.path.rpartition("-")[0]
    return place, s.size_bytes, s.rows, s.first, s.last, s.lowest_stream, s.highest_stream, s.lowest_type, s.highest_type, s.rewritten


def _ranges(files: Sequence[Piece | Segment], until: int) -> Iterator[tuple[int, list[Piece | Segment]]]:
    """(last position, files) of disjoint ranges of positions, here and there: what overlaps is together."""
    together: list[Piece | Segment] = []
    last = 0
    for file in sorted(files, key=lambda file: _segment(file).first):
        if together and _segment(file).first > last:
            yield last, together
            together = []
        together.append(file)
        last = max(last, min(until, _segment(file).last))
    if together:
        yield last, together


def _segment(file: Piece | Segment) -> Segment:
    return file.segment if isinstance(file, Piece) else file
