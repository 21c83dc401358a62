"""To erase again what was erased already, where an older copy of the log was put in its place."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa

from store.deeds import Deed, check_named, record
from store.erasing.choice import Choice, Several
from store.erasing.erasable import Log, erasable
from store.erasing.erasure_deed import REAPPLIED, Told, begin, completed, dated
from store.erasing.erasure_report import ErasureReport, RewrittenLog
from store.erasing.past_erasures import meant
from store.erasing.remnants import settled
from store.errors import InvalidEventError
from store.event_store import EventStore
from store.rewrite import TOUCHED, Rewritten, counted, types_in
from store.submits import Submits


def reapply(warehouse: EventStore, source: EventStore | None = None, *, by: str, why: str, now: bool = False) -> ErasureReport:
    """Erase again whatever was ever erased from this warehouse, as the deeds in `$audit` tell: of `source`, or its own.

    To be done after a restore from a backup that was made before an erasure, and after an erasure that was killed on its way. Each event is
    known by its place and its id, so one that came to a place anew is not touched. An erasure of which no deed is left is not known.

    `by`, `why`: stand in `$audit`, by the deed `ErasuresReapplied`. `now`: remove the files at once that hold what was erased, as `erase` does.

    InvalidEventError: `source` is another warehouse.
    """
    began_s, store = time.monotonic(), erasable(warehouse)
    check_named(by, why)
    logs, told = store.erasable(), [told for _, told in dated(store if source is None else source)]
    finished = completed(store)
    if strange := [one.log_id for one in told if one.log in logs and one.log_id != logs[one.log].log_id]:
        raise InvalidEventError("source", strange[0], "is the id of another log", "take the deeds of the warehouse that this one was copied from")
    here = {name: [one for one in told if one.log == name] for name in logs}
    # Of another warehouse's erasures a deed comes first: a husk of which no deed here told would be taken for a forgery.
    done = {
        name: erased_again(logs[name], those, partial(_begin_all, store, () if source is None else those, by, why))
        for name, those in here.items()
        if those
    }
    # What was killed on its way may have erased already, but not what follows from it: so what it meant counts, too.
    touched = [rewritten.touched for rewritten in done.values()]
    begun = [meant(logs[name], one) for name, those in here.items() for one in those if one.erasure_id not in finished]
    touched = [pa.concat_tables([*touched, *begun]).group_by(TOUCHED.names).aggregate([])] if begun else touched
    streams = counted(touched)
    if streams:
        store.announce()
        record(store, Deed(REAPPLIED, by, why, {"erasures": sorted({one.erasure_id for one in told}), "events": sum(streams.values())}))
    gone, remains = settled(store, streams, list(done.values()), now)
    rows = [RewrittenLog.of(name, rewritten) for name, rewritten in done.items()]
    what = f"what {len({one.erasure_id for one in told}):,} erasures had erased"
    return ErasureReport(str(uuid.uuid4()), what, by, why, False, streams, types_in(touched), rows, gone, remains, time.monotonic() - began_s)


def erased_again(log: Log, told: Sequence[Told], about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
    head = log.head()
    return log.events.rewrite(Several([Choice(one.erasure, one.erasure_id, head, one.positions, one.ends) for one in told]), about)


def _begin_all(store: Submits, told: Sequence[Told], by: str, why: str, touched: pa.Table) -> None:
    for one in told:
        begin(store, one, by, why)
