"""The chain of commits: each says by a digest which bytes came before it, so that none can be changed without all that follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from store.finding import RESTORE, Finding
from store.storage.objects import Objects
from store.tables.publishing import commit_id_of, digest_of, log_path, previous_of

AT_ONCE: Final = 16


def check_chain(objects: Objects) -> list[Finding]:
    """Every commit that is there follows the one before it, from the first that says which that is: older versions of this software did not.

    Torn commits, and those of others, are passed over: they are told elsewhere, and of a torn last one nobody was told that it is durable.
    """
    findings: list[Finding] = []
    begun, before, digest = False, -2, ""
    for version, body in _commits(objects):
        if not commit_id_of(body):
            before = -2
            continue
        said = previous_of(body)
        if version == before + 1 and said != digest and (begun or said is not None):
            findings.append(Finding(_problem(said, digest, before), f"commit {version}", RESTORE))
        begun |= said is not None
        before, digest = version, digest_of(body)
    return findings


def _problem(said: str | None, digest: str, before: int) -> str:
    if said is None:
        return f"it does not say which commit it follows, as those before it do: older software wrote it, or commit {before} was changed"
    return f"it follows a commit {before} with the SHA-256 {said[:16]}…, but the one that is there has {digest[:16]}…: one of them was changed"


def _commits(objects: Objects) -> Iterator[tuple[int, bytes]]:
    """All that are listed, oldest first; some may be cleaned up meanwhile."""
    names = [entry.path.removeprefix("_delta_log/") for entry in objects.list("_delta_log")]
    versions = sorted(int(name[:20]) for name in names if name[:20].isdigit() and name[20:] == ".json")
    while versions:
        run, versions = versions[:AT_ONCE], versions[AT_ONCE:]
        bodies = list(objects.get_run([log_path(version) for version in run]))
        yield from zip(run, bodies, strict=False)
        versions = run[len(bodies) + 1 :] + versions
