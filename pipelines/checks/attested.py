"""Is the log what it was when it was attested?"""

from __future__ import annotations

from typing import Any

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from store import Proof


def as_attested() -> Check:
    """Incremental: what was attested since the last verdict; in full, from the first event."""
    return Check(name="attested", holds="Events are what they were when they were attested, but for erasures that deeds tell of.", look=_look)


def _look(look: Look) -> Verdict:
    after = {} if look.most is None else dict(look.last.get("good_until", {}))
    proofs = look.store.audit.check(after=after, most=look.most)
    rows = [row for proof in proofs for row in _rows(proof)]
    told = {
        "events_checked": sum(proof.events for proof in proofs),
        "attested": {proof.log: proof.position for proof in proofs},
        "erased_since": sum(len(proof.changes) for proof in proofs),
        "good_until": {proof.log: proof.checked_until if proof.sound else after.get(proof.log, 0) for proof in proofs},
    }
    if not rows:
        return Verdict(told=told)
    problem = f"{rows[0]['where']}: {rows[0]['problem']}; `alluvium audit check` says more"
    return Verdict(problem=problem, rows=rows[:SHOWN_ROWS], failing=len(rows), told=told)


def _rows(proof: Proof) -> list[dict[str, Any]]:
    return [{"log": proof.log, "where": one.where, "problem": one.problem, "remedy": one.remedy} for one in proof.findings if one.damage]
