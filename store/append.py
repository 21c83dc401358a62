"""An append and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from store.event import Event
from store.expected import ANY, ExpectedVersion


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, as a part of `append_many`. No events: only the expectation is checked."""

    stream_id: str
    events: Sequence[Event] = ()
    expected_version: ExpectedVersion = ANY


class Appended(NamedTuple):
    """Where the events of one append went: versions and positions of the first and the last one.

    Of an append without events the range is empty: it ends just before it begins.
    """

    first_version: int
    version: int
    first_position: int
    position: int


class TableAppended(NamedTuple):
    """Where the rows of one `append_table` went: in row order, at `first_position` to `position`."""

    first_position: int
    position: int
