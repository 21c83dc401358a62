"""A rewrite changes what events say and nothing else, beside whatever else happens to the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from store import Event, open_store
from store.delta import rewriting
from store.delta.delta_store import DeltaEventStore
from store.delta.log import Log, Nobody
from store.husk import husk_data, husked
from store.rewrite import TOUCHED, Extent, Rewritten
from tests.store.delta.layout import fill, small_layout

__all__ = ["small_layout"]


@dataclass(frozen=True)
class Emptying:
    """Empties the events of one stream."""

    stream_id: str
    until: int = 2**62
    rewrite_id: str = field(default_factory=lambda: str(uuid4()))
    columns: Sequence[str] = ("stream_id", "position", "data")
    told: pa.Schema = TOUCHED

    def meets(self, extent: Extent) -> bool:
        return extent.first <= self.until and extent.lowest_stream <= self.stream_id <= extent.highest_stream

    def chosen(self, events: pa.Table) -> pa.Array:
        there = pc.and_(pc.equal(events["stream_id"], self.stream_id), pc.less_equal(events["position"], self.until))
        return pc.and_not(there, pc.starts_with(events["data"], '{"$erased"')).combine_chunks()

    def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
        return husked(events, chosen, self.rewrite_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


def everything(store: DeltaEventStore) -> pa.Table:
    return store.read_all().read_all()


def rewrite(store: DeltaEventStore, what: Emptying, about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
    return rewriting.rewrite(store._objects, store._log, store._files, what, about)


def expected(before: pa.Table, what: Emptying) -> list[dict[str, object]]:
    return [
        row | {"data": husk_data(what.rewrite_id), "metadata": None} if row["stream_id"] == what.stream_id and row["position"] <= what.until else row
        for row in before.to_pylist()
    ]


@pytest.mark.usefixtures("small_layout")
@pytest.mark.parametrize("sizes", [[1] * 20, [3, 50, 1], [150], [300, 40, 7, 1, 1]])
def test_rewrite_changes_what_was_chosen_and_nothing_else(store: DeltaEventStore, sizes: list[int]) -> None:
    fill(store, sizes)
    before, what = everything(store), Emptying("s-3")
    done = rewrite(store, what)
    assert everything(store).to_pylist() == expected(before, what)
    assert sorted(done.touched["position"].to_pylist()) == before.filter(pc.equal(before["stream_id"], "s-3"))["position"].to_pylist()


@pytest.mark.usefixtures("small_layout")
def test_rewritten_files_keep_run_shard_row_groups_and_order(store: DeltaEventStore) -> None:
    fill(store, [3, 150, 40, 1])

    def shapes() -> list[object]:
        told = []
        for s in sorted(store._log.segments(), key=lambda s: (s.first, s.shard)):
            with pq.ParquetFile(store._objects.open(s.path)) as file:
                groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                compression = file.metadata.row_group(0).column(0).compression
                told.append((s.run, s.shard, s.first, s.last, s.rows, compression, groups, file.read(["position"])["position"].to_pylist()))
        return told

    before, paths = shapes(), {s.path for s in store._log.segments()}
    rewrite(store, Emptying("s-3"))
    assert shapes() == before
    assert paths - {s.path for s in store._log.segments()}


def test_rewrite_touches_no_file_without_chosen_events(store: DeltaEventStore) -> None:
    for number in range(5):
        store.append(f"s-{number}", [Event("T", {})])
    paths = {s.path for s in store._log.segments()}
    done = rewrite(store, Emptying("s-2"))
    assert len(paths - {s.path for s in store._log.segments()}) == done.files_after == len(done.replaced) == 1


def test_same_rewrite_again_changes_nothing(store: DeltaEventStore) -> None:
    fill(store, [5] * 5)
    rewrite(store, Emptying("s-3"))
    version = store.size().delta_version
    again = rewrite(store, Emptying("s-3"))
    assert (again.delta_version, len(again.touched)) == (None, 0)
    assert store.size().delta_version == version


@pytest.mark.usefixtures("small_layout")
def test_compacting_what_was_rewritten_brings_nothing_back(store: DeltaEventStore) -> None:
    fill(store, [3] * 30)
    what = Emptying("s-3", until=60)
    rewrite(store, what)
    after = everything(store)
    assert store.compact() != []
    fill(store, [64] * 4)
    store.compact()
    assert everything(store).slice(0, 90).equals(after)


class Meddling(Emptying):
    """Something happens to the log each time that rows have been changed, a few times."""

    def meddle(self, *works: Callable[[], object]) -> Meddling:
        object.__setattr__(self, "works", list(works))
        return self

    def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
        if works := self.works:  # type: ignore[attr-defined]
            works.pop(0)()
        return super().changed(events, chosen)


@pytest.mark.usefixtures("small_layout")
def test_files_compacted_meanwhile_are_chosen_anew(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [3] * 20)
    before = everything(store)
    with open_store(str(tmp_path)) as other:
        what = Meddling("s-3", until=60).meddle(other.compact, lambda: fill(other, [1] * 9), other.compact)
        rewrite(store, what)
    assert everything(store).slice(0, 60).to_pylist() == expected(before, what)


@pytest.mark.usefixtures("small_layout")
def test_only_what_was_compacted_meanwhile_is_rewritten_again(store: DeltaEventStore) -> None:
    fill(store, [64, 64])                          # two sealed ranges, and one that fills
    fill(store, [1] * 12)
    formed: list[tuple[int, int]] = []

    class Counting(Meddling):
        def changed(self, events: pa.Table, chosen: pa.Array) -> pa.Table:
            formed.append((pc.min(events["position"]).as_py(), len(events)))
            return super().changed(events, chosen)

    paths = len(store._log.segments())
    rewrite(store, Counting("s-3").meddle(*[lambda: None] * (paths // 2), store.compact))
    assert len([first for first, rows in formed if first <= 64 and rows > 1]) == len({one for one in formed if one[0] <= 64 and one[1] > 1})


def test_appends_go_on_and_are_not_touched(store: DeltaEventStore) -> None:
    fill(store, [5] * 5)
    what = Meddling("s-3", until=25).meddle(lambda: store.append("s-3", [Event("T", {"new": True})]))
    rewrite(store, what)
    assert store.read_stream("s-3")["data"].to_pylist()[-1] == '{"new":true}'
    assert Log(store._objects, Nobody()).head == 26


def test_file_that_a_vacuum_may_have_taken_is_not_committed(store: DeltaEventStore) -> None:
    fill(store, [5] * 5)
    before = everything(store)
    what = Meddling("s-3").meddle(lambda: None, lambda: store.vacuum(0))
    rewrite(store, what)
    store.vacuum(0)
    assert everything(store).to_pylist() == expected(before, what)


def test_what_a_rewrite_replaced_is_gone_after_a_vacuum(store: DeltaEventStore, tmp_path: Path) -> None:
    store.append("s-1", [Event("T", {"name": "planted-value"})])
    rewrite(store, Emptying("s-1"))
    store.vacuum(0)
    assert len(list((tmp_path / "events").rglob("*.parquet"))) == 1
    assert not any(b"planted-value" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_told_before_the_commit_can_end_it(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [5] * 5)
    before, paths = everything(store), sorted(tmp_path.rglob("*.parquet"))

    def about(touched: pa.Table) -> None:
        assert set(touched["stream_id"].to_pylist()) == {"s-3"}
        raise KeyError("no")

    with pytest.raises(KeyError):
        rewrite(store, Emptying("s-3"), about)
    assert everything(store).equals(before)
    assert sorted(tmp_path.rglob("*.parquet")) == paths


def test_other_processes_and_checkpoints_know_what_was_rewritten(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [5] * 5)
    with open_store(str(tmp_path)) as other:
        assert other.head() == 25
        rewrite(store, Emptying("s-3"))
        assert everything(other).equals(everything(store))
        marks = {s.path: s.rewritten for s in store._log.segments()}
        assert {s.path: s.rewritten for s in other._log.segments()} == marks
    store.checkpoint()
    assert {s.path: s.rewritten for s in Log(store._objects, Nobody()).segments()} == marks
