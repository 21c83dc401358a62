"""Snapshots against the events that they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from store import Aggregate, Disagreement, EventStore, verify_snapshots

_SAMPLE: Final = """
    with saved as (select stream_id, max(version) as version from snapshots where aggregate = $aggregate group by all),
         drawn as (select stream_id, sum(version) over (order by md5(stream_id || $seed), stream_id) - version as before from saved)
    select stream_id from drawn where before < coalesce($most, before + 1)
"""


def snapshots_as_folded(aggregate: Aggregate[Any]) -> Check:
    """Of so many streams as have `most` events together, others as the log grows; in full, of all."""
    holds = "The newest snapshot of a stream says what its events say when they are folded in full."
    return Check(name="equals_fold", holds=holds, look=lambda look: _look(look, aggregate))


def _look(look: Look, aggregate: Aggregate[Any]) -> Verdict:
    ids = _ids(look.store, aggregate, look.most)
    wrong = list(verify_snapshots(look.store, aggregate, ids)) if ids else []
    told = {"streams_checked": len(ids)}
    if not wrong:
        return Verdict(told=told)
    problem = f"{len(wrong):,} snapshots differ from the events: raise schema_version, as `evolve` has changed, and run `rebuild_snapshots`"
    row = _row if look.store.privacy.keyring is None else _row_without_values
    return Verdict(problem=problem, rows=[row(one) for one in wrong[:SHOWN_ROWS]], failing=len(wrong), told=told)


def _ids(store: EventStore, aggregate: Aggregate[Any], most: int | None) -> Sequence[str]:
    given = {"aggregate": aggregate.name, "seed": str(store.head()), "most": most}
    return [stream_id.removeprefix(f"{aggregate.category}-") for (stream_id,) in store.sql(_SAMPLE, given).fetchall()]


def _row(wrong: Disagreement) -> dict[str, Any]:
    saved, folded = _plain(wrong.saved), _plain(wrong.folded)
    if isinstance(saved, dict) and isinstance(folded, dict):
        differing = [name for name in saved.keys() | folded.keys() if saved.get(name) != folded.get(name)]
        saved, folded = ({name: state.get(name) for name in sorted(differing)} for state in (saved, folded))
    return {"stream_id": wrong.snapshot.stream_id, "version": wrong.snapshot.version, "saved": saved, "folded": folded}


def _row_without_values(wrong: Disagreement) -> dict[str, Any]:
    """States may hold what is personal, which Dagster would keep for longer than its keys. So may the names in a mapping; those of fields do not."""
    place = {"stream_id": wrong.snapshot.stream_id, "version": wrong.snapshot.version}
    saved, folded = _plain(wrong.saved), _plain(wrong.folded)
    if type(wrong.saved) is not type(wrong.folded) or isinstance(wrong.saved, Mapping) or not isinstance(saved, dict):
        return {**place, "differs": "the state"}
    return {**place, "differs": ", ".join(sorted(name for name in saved.keys() | folded.keys() if saved.get(name) != folded.get(name)))}


def _plain(state: Any) -> Any:
    return msgspec.to_builtins(state, enc_hook=str, str_keys=True)
