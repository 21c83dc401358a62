"""Reads open what they must, put every order right, and outlive the files that they began with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from hashlib import md5
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from store import Event, TableRefusedError, open_store
from store.delta import reader, segment, segment_files
from store.delta.actions import Segment
from store.delta.delta_store import DeltaEventStore
from store.schema import EVENTS
from store.selection import Selection
from tests.store.delta.layout import RUN_ROWS, fill, small_layout

__all__ = ["small_layout"]

pytestmark = pytest.mark.usefixtures("small_layout")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    """Two sealed runs in leaves, and landing files; nothing of it in memory."""
    with open_store(str(tmp_path), create=True) as store:
        fill(store, [3] * (2 * RUN_ROWS // 3 + 1))
        store.compact()
        fill(store, [1] * 8)
    with open_store(str(tmp_path)) as store:
        yield store


@pytest.fixture
def opened(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened from now on."""
    paths: list[str] = []
    real = store._objects.open
    monkeypatch.setattr(store._objects, "open", lambda path: (paths.append(path), real(path))[1])
    return paths


def vacuum(store: DeltaEventStore, tmp_path: Path) -> None:
    """Merge, and remove what was merged, by another handle."""
    with open_store(str(tmp_path)) as other:
        other.compact()
        live = {segment.path for segment in other._log.segments()}
    for file in (tmp_path / "events").rglob("*.parquet"):
        if "_delta_log" not in file.parts and str(file.relative_to(tmp_path / "events")) not in live:
            file.unlink()


def positions(batches: Iterator[object]) -> list[int]:
    return [position for batch in batches for position in batch["position"].to_pylist()]  # type: ignore[index]


def live(store: DeltaEventStore) -> list[Segment]:
    return store._log.segments()


def test_stream_that_goes_through_every_section_comes_in_order_of_version(store: DeltaEventStore) -> None:
    events = store.read_stream("s-3")
    assert events["version"].to_pylist() == list(range(1, len(events) + 1))
    assert events["position"].to_pylist() == sorted(events["position"].to_pylist())
    assert events.schema.equals(EVENTS)


@pytest.mark.parametrize("columns", [["position"], ["event_id", "version"], ["stream_id"]])
def test_stream_is_read_in_the_columns_that_are_asked_for(store: DeltaEventStore, columns: list[str]) -> None:
    events = reader.read_stream(store._files, live(store), "s-3", 2, 9, columns)
    assert events.equals(store.read_stream("s-3", after=2, limit=7).select(columns))


def test_files_outside_of_the_spans_stay_closed(store: DeltaEventStore, opened: list[str]) -> None:
    places = store.read_stream("s-3")["position"].to_pylist()
    opened.clear()
    spans = [(RUN_ROWS + 1, 2 * RUN_ROWS)]
    events = reader.read_stream(store._files, live(store), "s-3", 0, None, spans=spans)
    assert events["position"].to_pylist() == [place for place in places if RUN_ROWS < place <= 2 * RUN_ROWS]
    assert {segment.run for segment in live(store) if segment.path in opened} == {(RUN_ROWS + 1, 2 * RUN_ROWS)}


def test_end_of_a_stream_is_read_newest_first_and_older_files_stay_closed(store: DeltaEventStore, opened: list[str]) -> None:
    last = store.stream_version("s-3")
    opened.clear()
    last_two = reader.read_stream(store._files, live(store), "s-3", last - 2, None)
    holding = [s for s in live(store) if s.lowest_stream <= "s-3" <= s.highest_stream]
    assert last_two["version"].to_pylist() == [last - 1, last]
    assert set(opened) == {s.path for s in holding if s.last >= last_two["position"][0].as_py()} < {s.path for s in holding}


def test_row_groups_outside_of_the_spans_stay_closed(store: DeltaEventStore) -> None:
    places = store.read_stream("s-3")["position"].to_pylist()
    events = reader.read_stream(store._files, live(store), "s-3", 0, None, spans=[(1, 16)])
    assert events["position"].to_pylist() == [place for place in places if place <= 16]


def test_every_span_that_holds_the_stream_is_enough_to_read_it(store: DeltaEventStore) -> None:
    whole = store.read_stream("s-3")
    first, last = whole["position"][0].as_py(), whole["position"][-1].as_py()
    cut = (first + last) // 2
    for spans in [[(first, last)], [(first, cut), (cut + 1, last)], [(p, p) for p in whole["position"].to_pylist()]]:
        assert reader.read_stream(store._files, live(store), "s-3", 0, None, spans=spans).equals(whole)


@pytest.mark.parametrize("backward", [False, True])
def test_limit_opens_only_the_files_of_so_many_positions(store: DeltaEventStore, opened: list[str], backward: bool) -> None:
    head = store.head()
    read = positions(store.read_all(limit=5, backward=backward))
    assert read == (list(range(head, head - 5, -1)) if backward else [1, 2, 3, 4, 5])
    near = [segment.path for segment in live(store) if (segment.last > head - 5 if backward else segment.first <= 5)]
    assert set(opened) <= set(near)


@pytest.mark.parametrize("backward", [False, True])
def test_long_replay_goes_on_when_its_files_were_merged_and_vacuumed(store: DeltaEventStore, tmp_path: Path, backward: bool) -> None:
    fill(store, [2] * 20)
    store._files.drop(live(store))
    head = store.head()
    replay = iter(store.read_all(backward=backward))
    read = next(replay)["position"].to_pylist()
    vacuum(store, tmp_path)
    read += positions(replay)
    assert read == (list(range(head, 0, -1)) if backward else list(range(1, head + 1)))


def test_filtered_replay_goes_on_when_its_files_were_vacuumed(store: DeltaEventStore, tmp_path: Path) -> None:
    wanted = [e["position"] for e in store.read_all().read_all().to_pylist() if "t1" in e["tags"]]
    replay = iter(store.read_all(tags=["t1"], limit=len(wanted)))
    read = next(replay)["position"].to_pylist()
    vacuum(store, tmp_path)
    assert read + positions(replay) == wanted


def test_stream_is_read_from_the_live_files_when_those_of_the_list_are_gone(store: DeltaEventStore, tmp_path: Path) -> None:
    whole, old = store.read_stream("s-3"), live(store)
    vacuum(store, tmp_path)
    with pytest.raises(TableRefusedError, match="missing"):
        reader.read_stream(store._files, old, "s-3", 0, None)
    assert reader.read_stream(store._files, old, "s-3", 0, None, fresh=store.reads.live).equals(whole)


def test_file_that_is_missing_though_live_is_refused(store: DeltaEventStore, tmp_path: Path) -> None:
    lost = next(segment for segment in live(store) if segment.last <= RUN_ROWS)
    (tmp_path / "events" / lost.path).unlink()
    with pytest.raises(TableRefusedError, match=f"{lost.path} is missing"):
        store.read_all().read_all()
    with pytest.raises(TableRefusedError, match="is missing"):
        store.read_stream(lost.lowest_stream)


def test_file_that_is_damaged_though_live_is_refused(store: DeltaEventStore, tmp_path: Path) -> None:
    torn = next(segment.path for segment in live(store) if segment.last <= RUN_ROWS)
    (tmp_path / "events" / torn).write_bytes(b"PAR1")
    with pytest.raises(TableRefusedError, match="is damaged"):
        store.read_all().read_all()


def test_moment_is_found_in_sorted_files_too(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(70):
            store.append(f"s-{random.Random(number).randrange(9)}", [Event("Happened", {})])
        moments = store.read_all().read_all()["recorded_at"].to_pylist()
        store.compact()
        for moment in {moments[0] - timedelta(microseconds=1), *moments, *(m + timedelta(microseconds=1) for m in moments)}:
            assert store.position_at(moment) == sum(m <= moment for m in moments)


def test_caller_may_stop_in_the_middle_of_a_replay(store: DeltaEventStore) -> None:
    replay = store.read_all()
    next(iter(replay))
    replay.close()
    assert len(store.read_all().read_all()) == store.head()


def test_the_end_of_a_long_stream_is_read_without_its_beginning(tmp_path: Path) -> None:
    """The beginning is made unreadable: who reads only the end does not notice."""
    with open_store(str(tmp_path), create=True) as store:
        for _ in range(2 * RUN_ROWS // 50 + 1):
            store.append("long", [Event("Happened", {"n": n, "padding": "x" * 100}) for n in range(50)])
        store.compact()
    with open_store(str(tmp_path)) as store:
        first = min(live(store), key=lambda s: s.first)
        with pq.ParquetFile(tmp_path / "events" / first.path) as file:
            assert file.metadata.num_row_groups > 1
            data = file.metadata.row_group(0).column(EVENTS.get_field_index("data"))
            page = data.dictionary_page_offset or data.data_page_offset
        with (tmp_path / "events" / first.path).open("r+b") as body:
            body.seek(page)
            body.write(b"\xff" * 40)
        version = store.stream_version("long")
        assert store.read_stream("long", after=version - 3)["version"].to_pylist() == [version - 2, version - 1, version]
        with pytest.raises(TableRefusedError, match="damaged"):
            store.read_stream("long")


@pytest.mark.parametrize("deeper", ["", "0", "f"])
def test_read_by_shard_opens_no_file_of_other_shards(store: DeltaEventStore, opened: list[str], deeper: str) -> None:
    digits = md5(b"s-3").hexdigest()
    shards = ["h" + digits[0] + deeper]
    events = store.read_all().read_all().to_pylist()
    wanted = [row["position"] for row in events if ("h" + md5(row["stream_id"].encode()).hexdigest()).startswith(shards[0])]
    opened.clear()
    assert positions(store.read_all(shards=shards)) == wanted
    names = {segment.path: segment.shard for segment in live(store)}
    assert {names[path] for path in opened} <= {"h", f"h{digits[0]}"}
    assert {*names.values()} > {"h", f"h{digits[0]}"}


def holding(first: int, last: int) -> Segment:
    path = f"shard=h/{first}-{last}-{0:032x}.parquet"
    return Segment(path, 1, last - first + 1, first, last, "", "~", "", "~", 0, 0, "", 0)


@pytest.mark.parametrize("backward", [False, True])
def test_sections_are_those_that_files_have_wanted_rows_in(backward: bool) -> None:
    size, chance = segment.SECTION_ROWS, random.Random(3)
    for _ in range(200):
        files = [holding(first := chance.randint(1, 40 * size), first + chance.randint(0, 5 * size)) for _ in range(chance.randint(0, 8))]
        after = chance.randint(0, 20 * size)
        wanted = Selection(after, after + chance.randint(1, 30 * size))
        met = [file for file in files if segment_files.meets(file, wanted)]
        every: list[tuple[int, int, set[int]]] = []
        for low in range(1, 50 * size, size):
            first, last = max(low, after + 1), min(low + size - 1, wanted.until or 0)
            if there := {id(file) for file in met if file.first <= last and file.last >= first and first <= last}:
                every.append((first, last, there))
        found = [(first, last, {id(file) for file in there}) for first, last, there in reader._sections(met, wanted, backward)]
        assert found == (every[::-1] if backward else every)


@pytest.mark.parametrize("backward", [False, True])
def test_the_first_section_is_found_without_the_others(backward: bool) -> None:
    """Or it would take longer than anybody can wait here."""
    last = 10**15
    found = next(reader._sections([holding(1, last)], Selection(0, last), backward))
    assert found[0] == ((last - 1) // segment.SECTION_ROWS * segment.SECTION_ROWS + 1 if backward else 1)
