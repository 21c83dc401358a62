"""Whatever the store does, every head that was published on the way holds; whatever else is done to it, the last one does not."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from store import Erasure, PublishedHead, backup, open_store, restore, verify
from store.audit import block, erasures
from store.delta.part import encoded
from tests.store.delta.verifying.damage import data_file, live, with_values
from tests.store.facts import facts, table
from tests.store.test_laws import everybody_sleeps, small_numbers  # noqa: F401

COLUMNS: dict[str, Any] = {
    "stream_id": "zz", "version": 99, "event_id": "01a22a50-b7d7-799a-a1eb-1a19ecf37631", "type": "Other", "schema_version": 7, "tags": ["other"],
    "correlation_id": "other", "causation_id": "other", "data": '{"other":1}', "metadata": '{"other":1}',
}  # fmt: skip


class Proving(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.place = Path(self.folder.name, "0")
        self.store = open_store(self.place, create=True)
        self.heads: list[PublishedHead] = []
        self.restored = self.tampered = 0

    @precondition(lambda self: not self.tampered)
    @rule(stream=st.integers(0, 4), count=st.integers(1, 30), as_table=st.booleans())
    def append(self, stream: int, count: int, as_table: bool) -> None:
        if as_table:
            self.store.append_table(table(count, stream_id=[f"s-{(stream + number) % 5}" for number in range(count)]))
        else:
            self.store.append(f"s-{stream}", facts(count))

    @precondition(lambda self: not self.tampered)
    @rule(verb=st.sampled_from(["compact", "checkpoint", "clean_log", "vacuum", "maintain"]))
    def look_after(self, verb: str) -> None:
        getattr(self.store, verb)(**{"clean_log": {"older_than_s": 0}, "vacuum": {"retention_s": 0}}.get(verb, {}))

    @precondition(lambda self: not self.tampered)
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.place)

    @precondition(lambda self: not self.tampered)
    @rule(stream=st.integers(0, 4), fields=st.sampled_from([None, {"number": 0}]))
    def erase(self, stream: int, fields: dict[str, Any] | None) -> None:
        self.store.erase(Erasure(streams=[f"s-{stream}"], fields=fields), by="ada", why="asked for")

    @precondition(lambda self: not self.tampered)
    @rule()
    def attest(self) -> None:
        self.heads = [*self.heads, *self.store.audit.attest(by="ada", why="every day")]

    @precondition(lambda self: not self.tampered and self.restored < 2)
    @rule()
    def restore(self) -> None:
        self.store.close()
        self.restored += 1
        there, kept = Path(self.folder.name, str(self.restored)), f"{self.folder.name}/kept-{self.restored}"
        backup(str(self.place), kept)
        restore(kept, str(there), by="ada", why="a drill")
        self.place, self.store = there, open_store(there)

    @precondition(lambda self: not self.tampered)
    @rule()
    def check(self) -> None:
        assert [finding for proof in self.store.audit.check(*self.heads) for finding in proof.findings if finding.damage] == []

    @precondition(lambda self: not self.tampered and self.heads)
    @rule(data=st.data())
    def tamper(self, data: st.DataObject) -> None:
        """Of one event that is attested one value is changed, in its file, where nothing else reads it differently."""
        position, column = data.draw(st.integers(1, self.heads[-1].position)), data.draw(st.sampled_from(sorted(COLUMNS)))
        segment = next(s for s in live(self.place) if position in self.positions(s.path))
        path, row = data_file(self.place, segment), self.positions(segment.path).index(position)
        events = pq.read_table(pa.BufferReader(path.read_bytes()))
        if events["stream_id"][row].as_py() in ("$audit", "$chain") or (self.is_void(position) and column in ("tags", "data", "metadata")):
            return                                 # whoever changes these is found, too, in other ways; what is void is not proved
        _, body = encoded(with_values(events, column, {row: COLUMNS[column]}), segment.shard, segment.run)
        self.store.close()
        path.write_bytes(body)
        self.tampered = 1
        self.store = open_store(self.place)
        assert not self.store.audit.check(self.heads[-1])[0].sound, (position, column)
        assert not verify(str(self.place)).sound

    @precondition(lambda self: self.tampered)
    @rule()
    def rest(self) -> None:
        """There is nothing left to prove."""

    def positions(self, path: str) -> list[int]:
        return list(pq.read_table(pa.BufferReader(Path(self.place, "events", path).read_bytes()), columns=["position"])["position"].to_pylist())

    def is_void(self, position: int) -> bool:
        return any(one.first <= position <= one.last and one.since is None for proof in self.store.audit.check() for one in proof.changes)

    def teardown(self) -> None:
        if not self.tampered:
            self.check()
            found = verify(str(self.place))
            assert [str(one) for one in found.damage] == []
        self.store.close()
        self.folder.cleanup()


@pytest.mark.usefixtures("small_numbers")
def test_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (block, erasures):
        monkeypatch.setattr(module, "ROWS", 8)
    few = settings(
        max_examples=15, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
    )
    run_state_machine_as_test(Proving, settings=few)  # type: ignore[no-untyped-call]
