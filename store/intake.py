"""Events on their way from a caller to the committer: checked by the store's rules and the contract, encoded, what is personal in them sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from store.append import Append
from store.bulk import Bulk, bulk
from store.contract import Contract, check_contract
from store.draft import Draft, draft, drafts
from store.errors import InvalidEventError
from store.event import Event
from store.expected import ExpectedVersion
from store.husk import ERASED, are_husks, begins_as_husk, has_husks, may_begin_as_husk
from store.limits import MAX_EVENT_BYTES
from store.privacy.personal import Personal
from store.privacy.privacy import Privacy, check_privacy
from store.privacy.rules import Rules
from store.privacy.sealing import Plan, Seals, planned, refuse_tokens


class Intake:
    """One for each store. `contract`, `privacy`: see `open_store`. InvalidEventError: they are none."""

    def __init__(self, contract: Contract | None = None, privacy: Privacy | None = None) -> None:
        check_contract(contract)
        check_privacy(privacy)
        rules = Rules() if privacy is None else privacy.rules
        self.contract = contract
        self.seals = Seals(rules.united(getattr(contract, "personal", None) or Rules()), None if privacy is None else privacy.keyring)

    def draft(self, stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion) -> Draft:
        """One part of an append. Keys are made for new subjects, which may take as long as a commit."""
        return self.drafted(stream_id, events, expected_version).carried_out()[0]

    def drafts(self, appends: Sequence[Append]) -> Sequence[Draft]:
        """The parts of one atomic append."""
        return self.drafted_many(appends).carried_out()

    def drafted(self, stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion) -> Plan:
        """The same before anything is sealed: for callers that must not wait."""
        events = _listed(events)
        return planned(self.seals, _own([draft(stream_id, events, expected_version, self.contract)]), [_said(events)])

    def drafted_many(self, appends: Sequence[Append]) -> Plan:
        appends = [_append(append) for append in appends] if isinstance(appends, Iterable) else appends
        return planned(self.seals, _own(drafts(appends, self.contract)), [_said(append.events) for append in appends])

    def bulk(self, events: pa.Table) -> Bulk:
        """A table of events. It may hold husks, as a log does that is moved into another warehouse: nothing is asked of what they say."""
        given = bulk(events, self.contract)
        return replace(given, table=self._sealed(given.table))

    def _sealed(self, table: pa.Table) -> pa.Table:
        refuse_tokens("metadata", table["metadata"])
        if not self.seals.rules:
            refuse_tokens("data", table["data"])
            return table
        shapes = table.select(["type", "schema_version"]).group_by(["type", "schema_version"], use_threads=False).aggregate([])
        personal = [shape for shape in zip(*shapes.to_pydict().values(), strict=True) if self.seals.rules.of(*shape) is not None]
        mine = pa.chunked_array([pa.repeat(False, len(table))])
        for name, version in personal:
            mine = pc.or_(mine, pc.and_(pc.equal(table["type"], name), pc.equal(table["schema_version"], version)))
        mine = pc.and_not(mine, are_husks(table["data"])) if has_husks(table["data"]) else mine
        refuse_tokens("data", table["data"].filter(pc.invert(mine)))
        if not personal:
            return table
        rows = table.filter(mine).select(["stream_id", "type", "schema_version", "data"])
        columns = (rows[name].to_pylist() for name in rows.column_names)
        wanted = [self.seals.wanted(stream_id, (name, version), text) for stream_id, name, version, text in zip(*columns, strict=True)]
        sealed = iter(self.seals.sealed([one for one in wanted if one is not None]))
        texts = pa.array([text if one is None else next(sealed) for one, text in zip(wanted, rows["data"].to_pylist(), strict=True)], pa.string())
        data = pc.replace_with_mask(table["data"].combine_chunks(), mine.combine_chunks(), texts)
        _check_sizes(data)
        return table.set_column(table.schema.get_field_index("data"), "data", data)


def _own(made: Sequence[Draft]) -> Sequence[Draft]:
    """InvalidEventError: an event would pass for an erased one, that nobody erased."""
    for one in made:
        for row in one.rows if may_begin_as_husk("".join([row[8] for row in one.rows])) else ():
            if begins_as_husk(row[8]):
                error = InvalidEventError("data", row[8], f"begins with {ERASED}, as only what an erasure leaves does", "name the field otherwise")
                error.of_stream(one.stream_id).correlation_id = row[5]
                raise error
    return made


def _listed(values: Any) -> Any:
    """They are gone through twice. What is no collection is left to be refused."""
    return values if isinstance(values, list | tuple) or not isinstance(values, Iterable) else list(values)


def _append(append: Append) -> Append:
    events = append.events if isinstance(append, Append) else []
    return append if (listed := _listed(events)) is events else replace(append, events=listed)


def _said(events: Sequence[Event]) -> list[Personal | None]:
    return [event.personal for event in events]


def _check_sizes(data: pa.Array) -> None:
    size = pc.max(pc.binary_length(data)).as_py() or 0
    if size > MAX_EVENT_BYTES:
        too_big = f"is over the limit of {MAX_EVENT_BYTES:,} bytes an event, encrypted"
        raise InvalidEventError("data", f"of {size:,} bytes", too_big, "store it elsewhere and append a reference")
