"""The contract of the snapshots, for all stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from store import SNAPSHOTS, EventStore, InvalidEventError
from store.snapshots.snapshot import table_of
from tests.store.facts import at_once, facts
from tests.store.snapshots.states import many, snap, versions


def test_there_are_none_at_first(store: EventStore) -> None:
    assert store.snapshots.newest("Account", "a-1") == []
    assert store.snapshots.newest_many("Account").equals(SNAPSHOTS.empty_table())
    assert store.snapshots.forget() == 0
    assert store.snapshots.compact() == []


def test_what_was_saved_is_read_back(store: EventStore) -> None:
    saved = snap(7, "ä-🛩", state='{"größe": 1}', taken_at=1_357_000_000_123_456, schema_version=4, keep=2, position=99)
    store.snapshots.save([saved, snap(7, "b-1")])
    assert store.snapshots.newest("Account", "ä-🛩") == [saved]


def test_newest_come_first_whatever_the_order_of_saving(store: EventStore) -> None:
    store.snapshots.save([snap(5), snap(1)])
    store.snapshots.save([snap(9)])
    store.snapshots.save([snap(3)])
    assert versions(store.snapshots.newest("Account", "a-1")) == [9, 5, 3]


def test_no_more_are_told_than_are_kept(store: EventStore) -> None:
    for version in range(1, 8):
        store.snapshots.save([snap(version, keep=2)])
    assert versions(store.snapshots.newest("Account", "a-1")) == [7, 6]


def test_the_newest_says_how_many_are_kept(store: EventStore) -> None:
    store.snapshots.save([snap(version, keep=9) for version in range(1, 6)])
    store.snapshots.save([snap(6, keep=1)])
    assert versions(store.snapshots.newest("Account", "a-1")) == [6]


def test_aggregates_of_one_stream_are_apart(store: EventStore) -> None:
    store.snapshots.save([snap(3), snap(4, aggregate="Audit"), snap(5, "a-2")])
    assert versions(store.snapshots.newest("Account", "a-1")) == [3]
    assert versions(store.snapshots.newest("Audit", "a-1")) == [4]
    assert store.snapshots.newest("Audit", "a-2") == []


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        ({"version": 5}, [5, 3]), ({"version": 4}, [3]), ({"version": 2}, []), ({"position": 89}, [5, 3]), ({"position": 90}, [9, 5, 3]),
        ({"version": 5, "position": 30}, [3]), ({"position": 0}, []),
    ],
)  # fmt: skip
def test_newest_keeps_to_the_bounds(store: EventStore, bounds: dict[str, int], found: list[int]) -> None:
    for version in (3, 5, 9):
        store.snapshots.save([snap(version)])
    assert versions(store.snapshots.newest("Account", "a-1", **bounds)) == found


def test_of_one_version_and_shape_the_one_taken_last_counts(store: EventStore) -> None:
    store.snapshots.save([snap(5, taken_at=20, state='"right"')])
    store.snapshots.save([snap(5, taken_at=10, state='"wrong"')])
    store.snapshots.save([snap(4, taken_at=5), snap(4, taken_at=6, state='"right"')])
    assert [s.state for s in store.snapshots.newest("Account", "a-1")] == ['"right"', '"right"']


def test_shapes_of_one_version_stand_beside_each_other(store: EventStore) -> None:
    """A caller that does not know the newer shape finds the older one."""
    store.snapshots.save([snap(5, schema_version=1, taken_at=10)])
    store.snapshots.save([snap(5, schema_version=2, taken_at=20)])
    assert [s.schema_version for s in store.snapshots.newest("Account", "a-1")] == [2, 1]


def test_newest_many_gives_one_a_stream_in_order(store: EventStore) -> None:
    store.snapshots.save([snap(version, stream) for stream in ("c", "a", "b") for version in (1, 2)])
    store.snapshots.save([snap(3, "b"), snap(9, "a", aggregate="Audit")])
    assert store.snapshots.newest_many("Account").equals(table_of([snap(2, "a"), snap(3, "b"), snap(2, "c")]))


def test_newest_many_keeps_to_the_streams_and_the_position(store: EventStore) -> None:
    store.snapshots.save([snap(version, stream) for stream in ("a", "b", "c") for version in (1, 2)])
    assert store.snapshots.newest_many("Account", ["b", "unknown", "b"]).equals(table_of([snap(2, "b")]))
    assert store.snapshots.newest_many("Account", ["c", "a"], position=19).equals(table_of([snap(1, "a"), snap(1, "c")]))
    assert len(store.snapshots.newest_many("Account", [])) == 0


def test_a_table_of_very_many_is_found_one_by_one(store: EventStore) -> None:
    store.snapshots.save_table(many(3_000))
    assert [s.stream_id for number in range(0, 3_000, 331) for s in store.snapshots.newest("Account", f"m-{number}")] == [
        f"m-{number}" for number in range(0, 3_000, 331)
    ]
    assert len(store.snapshots.newest_many("Account", [f"m-{number}" for number in range(500, 3_500)])) == 2_500


def test_compaction_changes_no_answer(store: EventStore) -> None:
    for version in range(1, 9):
        store.snapshots.save([snap(version, f"s-{number}", keep=2) for number in range(20)])
    before = [store.snapshots.newest("Account", f"s-{number}") for number in range(20)]
    assert store.snapshots.compact(dry_run=True) is not None
    store.snapshots.compact()
    assert [store.snapshots.newest("Account", f"s-{number}") for number in range(20)] == before
    assert [versions(found) for found in before] == [[8, 7]] * 20


@pytest.mark.parametrize(
    ("which", "gone"),
    [
        ({}, {"a", "b", "A", "B"}), ({"aggregate": "Account"}, {"a", "b"}), ({"stream_ids": ["a"]}, {"a", "A"}),
        ({"aggregate": "Audit", "stream_ids": ["b", "x"]}, {"B"}), ({"stream_ids": []}, set()), ({"aggregate": "Other"}, set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compacted", [False, True])
def test_forget_drops_these_and_no_others(store: EventStore, which: dict[str, Any], gone: set[str], compacted: bool) -> None:
    names = {"a": ("Account", "a"), "b": ("Account", "b"), "A": ("Audit", "a"), "B": ("Audit", "b")}
    for aggregate, stream in names.values():
        store.snapshots.save([snap(1, stream, aggregate=aggregate)])
    if compacted:
        store.snapshots.compact()
    assert store.snapshots.forget(**which) == len(gone)
    assert {name for name, place in names.items() if not store.snapshots.newest(*place)} == gone


def saved_over_and_over(store: EventStore) -> None:
    """What is kept: version 4 in two shapes, and 3 as it was taken last."""
    store.append("a-1", facts(50))
    store.snapshots.save([snap(version, keep=9) for version in (1, 2)])
    store.snapshots.save([snap(3, taken_at=20, state='"last"'), snap(3, taken_at=10), snap(1, "b-1")])
    store.snapshots.save([snap(3, taken_at=15), snap(4, taken_at=5, schema_version=2), snap(4, taken_at=30, keep=3), snap(4, taken_at=1)])


def test_sql_shows_those_that_are_kept_and_no_others(store: EventStore) -> None:
    saved_over_and_over(store)
    query = "select version, schema_version, epoch_us(taken_at) from snapshots where stream_id = 'a-1' order by all"
    assert store.sql(query).fetchall() == [(3, 1, 20), (4, 1, 30), (4, 2, 5)]
    assert store.sql(query, as_of=30).fetchall() == [(3, 1, 20)]
    assert store.sql("select count(*) from snapshots").fetchall() == [(4,)]


def test_forget_counts_those_that_were_kept(store: EventStore) -> None:
    saved_over_and_over(store)
    assert store.snapshots.forget(stream_ids=["a-1"]) == 3
    assert store.snapshots.forget() == 1


def test_one_str_is_no_list_of_streams(store: EventStore) -> None:
    """Its letters would be taken for streams."""
    with pytest.raises(InvalidEventError, match="stream_ids 'a-1' are not a list"):
        store.snapshots.forget("Account", "a-1")
    with pytest.raises(InvalidEventError, match="stream_ids 'a-1' are not a list"):
        store.snapshots.newest_many("Account", "a-1")


def test_what_was_forgotten_can_be_saved_anew(store: EventStore) -> None:
    store.snapshots.save([snap(5, state='"wrong"')])
    store.snapshots.forget("Account", ["a-1"])
    store.snapshots.save([snap(2)])
    store.snapshots.compact()
    assert versions(store.snapshots.newest("Account", "a-1")) == [2]


def test_nothing_to_save_is_no_error(store: EventStore) -> None:
    store.snapshots.save([])
    store.snapshots.save_table(SNAPSHOTS.empty_table())
    assert store.snapshots.newest("Account", "a-1") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0), ("version", True), ("version", 2**63), ("position", 0), ("schema_version", 2**31), ("keep", 0), ("taken_at", 2**62),
        ("stream_id", ""), ("stream_id", "x" * 513), ("aggregate", "a\0b"), ("state", ""), ("state", None), ("state", "\ud800"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_whole(store: EventStore, field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError, match=field):
        store.snapshots.save([snap(1), snap(2)._replace(**{field: value})])
    assert store.snapshots.newest("Account", "a-1") == []


@pytest.mark.parametrize(
    ("column", "values"), [("version", [1, 0]), ("keep", [1, -1]), ("stream_id", ["a", ""]), ("stream_id", ["a", None]), ("state", ["{}", ""])]
)
def test_bad_table_is_refused_whole(store: EventStore, column: str, values: list[Any]) -> None:
    table = table_of([snap(1), snap(2)])
    with pytest.raises(InvalidEventError):
        store.snapshots.save_table(table.set_column(SNAPSHOTS.get_field_index(column), column, pa.array(values, SNAPSHOTS.field(column).type)))
    with pytest.raises(InvalidEventError, match="columns"):
        store.snapshots.save_table(table.drop_columns([column]))
    assert store.snapshots.newest("Account", "a-1") == []


def test_many_threads_save_and_read_at_once(store: EventStore) -> None:
    def work(number: int) -> list[int]:
        for version in range(1, 6):
            store.snapshots.save([snap(version, f"s-{number}", keep=1)])
        return versions(store.snapshots.newest("Account", f"s-{number}"))

    assert at_once(4, work) == [[5]] * 4


def test_sql_sees_them_up_to_the_same_position(store: EventStore) -> None:
    store.append("a-1", facts(30))
    assert store.sql("select count(*) from snapshots").fetchall() == [(0,)]
    store.snapshots.save([snap(1), snap(2), snap(3)])
    query = "select version, state ->> 'v' from snapshots where stream_id = 'a-1' order by version"
    assert store.sql(query).fetchall() == [(1, "1"), (2, "2"), (3, "3")]
    assert store.sql(query, as_of=20).fetchall() == [(1, "1"), (2, "2")]
    assert store.sql(query, as_of=datetime.now(UTC)).fetchall() == [(1, "1"), (2, "2"), (3, "3")]
    assert store.sql(query, as_of=datetime(2013, 1, 1, tzinfo=UTC)).fetchall() == []
    assert store.sql("select s.version from snapshots s join events e using (stream_id, version) order by 1").fetchall() == [(1,), (2,), (3,)]
