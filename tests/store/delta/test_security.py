"""A warehouse from elsewhere, or in a place with an odd name, leads us neither to read nor to write outside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import deltalake
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import Event, StorageError, StoreError, TableRefusedError, open_store
from store.delta import checkpoint
from store.delta.actions import Segment
from store.delta.commits import Commit, commit_id_of, decode
from store.delta.log import log_path
from store.delta.table import NotOursError
from store.storage.objects import Entry
from store.storage.places import inside
from tests.store.facts import everything, facts

# Names of the place itself --------------------------------------------------------------------------------------

PLACES = ["we*ird[1]'\"; drop", "a?b", "[ab]", "**", "[!a]", "x#y", "sp ace", "{a,b}", "$HOME", "ünï", "position=7", "shard=h0", "data=x"]


def look_alikes(place: Path) -> Iterator[Path]:
    """Where a pattern of that name would find other files."""
    for name in ("weird1'\"; drop", "weXird1'\"; drop", "axb", "a", "b", "x"):
        if name != place.name:
            yield place.with_name(name)


@pytest.mark.parametrize("name", PLACES)
def test_sql_reads_the_files_of_this_warehouse_alone_whatever_its_place_is_called(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    with open_store(str(place), create=True) as store:
        for number in range(3):
            store.append(f"a-{number}", facts(1))
        for other in look_alikes(place):
            shutil.copytree(place, other)          # a copy has the same file names
        rows = store.sql("select position, stream_id, data, shard from events order by position").fetchall()
        assert rows == [(n + 1, f"a-{n}", '{"number":0}', "h") for n in range(3)]
        assert store.sql("select position from stream('a-1')").fetchall() == [(2,)]


@pytest.mark.parametrize("name", PLACES)
def test_a_store_does_all_its_work_whatever_its_place_is_called(tmp_path: Path, name: str) -> None:
    with open_store(str(tmp_path / name), create=True) as store:
        for number in range(3):
            store.append("a", facts(1), number)
        store.checkpoint()
        store.compact()
        events = everything(store)
    with open_store(str(tmp_path / name)) as store:
        assert everything(store) == events
        store.append("a", facts(1), 3)
    assert {entry.name for entry in tmp_path.iterdir()} == {name}
    assert len(deltalake.DeltaTable(str(tmp_path / name / "events")).file_uris()) == 2


# Logs from elsewhere --------------------------------------------------------------------------------------------


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    with open_store(str(tmp_path / "warehouse"), create=True) as store:
        for number in range(3):
            store.append("a", [Event("Happened", {"number": number})])
    return tmp_path / "warehouse"


@pytest.fixture
def outside(warehouse: Path, tmp_path: Path) -> Path:
    """A directory with a true data file in it, to which all sorts of paths lead."""
    (tmp_path / "outside" / "shard=h").mkdir(parents=True)
    data_file = next((warehouse / "events" / "shard=h").glob("3-3-*.parquet"))
    shutil.copy(data_file, tmp_path / "outside" / "shard=h" / data_file.name)
    return tmp_path / "outside"


def paths_to(file: Path) -> list[str]:
    up = f"../../outside/shard=h/{file.name}"
    return [
        str(file), file.as_uri(), f"file:{file}", up, f"shard=h/../{up}", quote(up, safe=""), quote(quote(up, safe=""), safe=""),
        quote(str(file), safe=""), up.replace("/", "\\"), up.replace(".", "\uff0e"), f"shard=h/{file.name}\0", f"shard=h/{file.name}\n",
        f"./shard=h/{file.name}", f"shard=h//{file.name}", f"s3://bucket/shard=h/{file.name}", f"shard=H/{file.name}", f"shard=h/{up}",
        f"shard=h/{quote('../')}{file.name}", f"_delta_log/../shard=h/{file.name}", "_delta_log/00000000000000000000.json", "",
        f"shard=h/{'9' * 5_000}-3-{'0' * 32}.parquet", f"shard=h/3-٣-{'0' * 32}.parquet",
    ]


PATHS = len(paths_to(Path("/x")))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def last_commit(warehouse: Path) -> list[dict[str, dict[str, object]]]:
    return [orjson.loads(line) for line in (warehouse / "events" / log_path(3)).read_bytes().splitlines()]


def rewrite(warehouse: Path, actions: list[dict[str, dict[str, object]]], version: int = 3) -> None:
    (warehouse / "events" / log_path(version)).write_bytes(b"\n".join(map(orjson.dumps, actions)))


@pytest.mark.parametrize("number", range(PATHS))
@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_commit_that_names_another_place_is_refused(warehouse: Path, outside: Path, kind: str, number: int) -> None:
    (file,) = (outside / "shard=h").iterdir()
    path = paths_to(file)[number]
    actions = last_commit(warehouse)
    if kind == "add":
        for action in actions:
            action.get("add", {}).update(path=path)
    else:
        actions.append({"remove": {"path": path, "deletionTimestamp": 0, "dataChange": False}})
    rewrite(warehouse, actions)
    before = contents(outside)
    with pytest.raises(TableRefusedError, match="not one of ours"):
        open_store(str(warehouse))
    assert contents(outside) == before


@pytest.mark.parametrize("number", range(PATHS))
def test_a_checkpoint_that_names_another_place_is_refused(warehouse: Path, outside: Path, number: int) -> None:
    (file,) = (outside / "shard=h").iterdir()
    path = paths_to(file)[number]
    with open_store(str(warehouse)) as store:
        store.checkpoint()
    checkpoint = next((warehouse / "events" / "_delta_log").glob("*.checkpoint.parquet"))
    table = pq.read_table(checkpoint)
    adds = table["add"].to_pylist()
    for add in adds:
        if add is not None and "/3-3-" in add["path"]:
            add["path"] = path
    pq.write_table(table.set_column(table.schema.get_field_index("add"), table.schema.field("add"), pa.array(adds, table["add"].type)), checkpoint)
    with pytest.raises(TableRefusedError, match="not one of ours"):
        open_store(str(warehouse))


@pytest.mark.parametrize("storage", ["p", "u", "i"])
def test_deletion_vectors_are_refused_wherever_they_lie(warehouse: Path, outside: Path, storage: str) -> None:
    vector = {"storageType": storage, "pathOrInlineDv": f"{outside}/vector.bin", "offset": 1, "sizeInBytes": 1, "cardinality": 1}
    actions = last_commit(warehouse)
    for action in actions:
        action.get("add", {}).update(deletionVector=vector)
    rewrite(warehouse, actions)
    with pytest.raises(TableRefusedError, match="deletion vectors"):
        open_store(str(warehouse))


def test_a_location_in_the_metadata_is_not_followed(warehouse: Path, outside: Path) -> None:
    actions = [orjson.loads(line) for line in (warehouse / "events" / log_path(0)).read_bytes().splitlines()]
    for action in actions:
        action.get("metaData", {}).update(location=str(outside), path=str(outside))
    rewrite(warehouse, actions, 0)
    before = contents(outside)
    with open_store(str(warehouse)) as store:
        store.append("a", facts(1), 3)
        assert len(everything(store)) == 4
    assert contents(outside) == before


ODD_HINTS = [
    "-1", "1e400", "1e300", "99999999999999999999999999", str(10**400), "1.5", '"3"', '"../../x"', "true", "null", "[]", "{}", "3e0", "1" + "0" * 19,
]


@pytest.mark.parametrize("version", ODD_HINTS)
def test_an_odd_checkpoint_hint_changes_nothing(warehouse: Path, version: str) -> None:
    with open_store(str(warehouse)) as store:
        store.checkpoint()
    hint = warehouse / "events" / "_delta_log" / "_last_checkpoint"
    hint.write_text(f'{{"version":{version},"size":1,"parts":7,"sidecars":["../../outside"],"path":"/etc/passwd"}}')
    with open_store(str(warehouse)) as store:
        assert store.head() == 3


@pytest.mark.parametrize("hint", [b"", b"\0" * 30, b"[]", b"3", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"version":'])
def test_a_torn_checkpoint_hint_changes_nothing(warehouse: Path, hint: bytes) -> None:
    with open_store(str(warehouse)) as store:
        store.checkpoint()
    (warehouse / "events" / "_delta_log" / "_last_checkpoint").write_bytes(hint)
    with open_store(str(warehouse)) as store:
        assert store.head() == 3


@pytest.mark.parametrize("name", ["²" * 20, "-0000000000000000001", "٣" * 20, "9" * 20])
def test_an_odd_checkpoint_name_changes_nothing(warehouse: Path, name: str) -> None:
    (warehouse / "events" / "_delta_log" / f"{name}.checkpoint.parquet").write_bytes(b"PAR1")
    with open_store(str(warehouse)) as store:
        assert store.head() == 3


# Links ----------------------------------------------------------------------------------------------------------


def moved(path: Path, outside: Path) -> None:
    """It lies outside now, and a link in its place."""
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("part", ["_delta_log", "_delta_log/00000000000000000003.json"])
def test_a_log_that_is_a_link_is_refused(warehouse: Path, elsewhere: Path, part: str) -> None:
    moved(warehouse / "events" / part, elsewhere)
    before = contents(elsewhere)
    for create in (False, True):
        with pytest.raises(StorageError, match=f"{part} is a symbolic link"):
            open_store(str(warehouse), create=create)
    assert contents(elsewhere) == before


WORK = {
    "read_all": lambda store: store.read_all().read_all(),
    "read_stream": lambda store: store.read_stream("a"),
    "sql": lambda store: store.sql("select * from events").fetchall(),
    "compact": lambda store: store.compact(),
    "append": lambda store: [store.append("a", facts(1)) for _ in range(2)],
}


@pytest.mark.parametrize("work", WORK)
def test_a_shard_that_is_a_link_is_neither_read_nor_written(warehouse: Path, elsewhere: Path, work: str) -> None:
    moved(warehouse / "events" / "shard=h", elsewhere)
    before = contents(elsewhere)
    with open_store(str(warehouse)) as store, pytest.raises(StoreError, match="shard=h is a symbolic link"):
        WORK[work](store)
    assert contents(elsewhere) == before


@pytest.mark.parametrize("work", ["read_all", "read_stream", "sql", "compact"])
def test_a_data_file_that_is_a_link_is_not_read(warehouse: Path, elsewhere: Path, work: str) -> None:
    file = next((warehouse / "events" / "shard=h").glob("2-2-*.parquet"))
    moved(file, elsewhere)
    before = contents(elsewhere)
    with open_store(str(warehouse)) as store, pytest.raises(StoreError, match=f"{file.name} is a symbolic link"):
        WORK[work](store)
    assert contents(elsewhere) == before


def test_locks_that_are_a_link_are_done_without(warehouse: Path, elsewhere: Path) -> None:
    shutil.rmtree(warehouse / "events" / "_turn")
    (warehouse / "events" / "_turn").symlink_to(elsewhere)
    with open_store(str(warehouse)) as store:
        assert store.append("a", facts(1), 3).position == 4
    assert contents(elsewhere) == {}


@pytest.mark.parametrize("linked", ["warehouse", "warehouse/events"])
def test_the_warehouse_and_its_tables_may_lie_elsewhere(warehouse: Path, elsewhere: Path, tmp_path: Path, linked: str) -> None:
    moved(tmp_path / linked, elsewhere)
    with open_store(str(warehouse)) as store:
        store.append("a", facts(1), 3)
        store.checkpoint()
        store.compact()
        assert len(everything(store)) == 4
        assert store.sql("select count(*) from events").fetchall() == [(4,)]


# Logs of any shape ----------------------------------------------------------------------------------------------

Json = Any
SCALARS = st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8"), max_size=20)
ODD = st.recursive(SCALARS | st.sampled_from([10**18, "../x", "1", "2013-01-01", "0001-01-01T00:00:00.000Z", "[", "{}"]), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["add", "path", "alluvium", "position", "x"]), inner, max_size=3)
), max_leaves=5)
EMBEDDED = ("stats", "schemaString")


def places_in(value: Json, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every value, also those in JSON that stands as text in JSON."""
    yield at
    if at and at[-1] in EMBEDDED and isinstance(value, str):
        value = orjson.loads(value)
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places_in(value[key], (*at, key))


def changed(value: Json, at: tuple[Any, ...], change: Callable[[Json, Any], None], key: Any = None) -> Json:
    """A copy in which one value was changed in its place."""
    embedded = key in EMBEDDED and isinstance(value, str)
    inner = orjson.loads(value) if embedded else value
    copy = dict(inner) if isinstance(inner, dict) else list(inner)
    if len(at) == 1:
        change(copy, at[0])
    else:
        copy[at[0]] = changed(copy[at[0]], at[1:], change, at[0])
    return orjson.dumps(copy).decode() if embedded else copy


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with every kind of commit, and a checkpoint."""
    place = tmp_path_factory.mktemp("log")
    with open_store(str(place), create=True) as store:
        for number in range(3):
            store.append("a", facts(1), number)
        store.compact()
        store.checkpoint()
    return place / "events" / "_delta_log"


def assert_sound(commit: Commit) -> None:
    """What the rest of the store computes with."""
    assert {type(number) for number in (commit.recorded_at, commit.head, *(commit.heads or {}).values())} == {int}
    assert {type(text) for text in (commit.commit_id, *(r.path for r in commit.removed), *(commit.heads or {}))} == {str}
    assert all(inside(retired.path) for retired in commit.removed)
    assert {type(number) for retired in commit.removed for number in retired[1:]} <= {int}
    for segment in commit.added:
        assert_sound_segment(segment)


def assert_sound_segment(segment: Segment) -> None:
    assert inside(segment.path)
    assert segment.run[0] >= 0
    numbers = (segment.size_bytes, segment.rows, segment.first, segment.last, segment.recorded_from, segment.recorded_until, segment.modified_ms)
    assert {type(number) for number in numbers} == {int}
    assert all(0 <= number < 2**63 for number in (segment.size_bytes, segment.rows, segment.first, segment.last))
    assert {type(text) for text in (segment.lowest_stream, segment.highest_stream, segment.lowest_type, segment.highest_type)} == {str}


@given(data=st.data())
@settings(max_examples=600, deadline=None)
def test_a_commit_with_anything_in_any_place_is_understood_or_refused(log: Path, data: st.DataObject) -> None:
    version = data.draw(st.integers(0, 4))
    actions = [orjson.loads(line) for line in (log / f"{version:020d}.json").read_bytes().splitlines()]
    for _ in range(data.draw(st.integers(1, 2))):
        try:
            at = data.draw(st.sampled_from([at for at in places_in(actions) if at]))
        except orjson.JSONDecodeError:            # the first change was to JSON in JSON
            break
        odd = data.draw(ODD)
        drop = data.draw(st.booleans())
        actions = changed(actions, at, lambda part, key, odd=odd, drop=drop: part.__delitem__(key) if drop else part.__setitem__(key, odd))
    try:
        body = b"\n".join(map(orjson.dumps, actions))
    except TypeError:                              # an integer that JSON of 64 bits does not have
        return
    with suppress(NotOursError):
        assert_sound(decode(version, body))
    assert type(commit_id_of(body)) is str


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_commit_with_any_bytes_in_it_is_understood_or_refused(log: Path, data: st.DataObject) -> None:
    version = data.draw(st.integers(0, 4))
    body = (log / f"{version:020d}.json").read_bytes()
    start, end = sorted((data.draw(st.integers(0, len(body))), data.draw(st.integers(0, len(body)))))
    body = body[:start] + data.draw(st.binary(max_size=20)) + body[end:]
    with suppress(NotOursError):
        assert_sound(decode(version, body))
    assert type(commit_id_of(body)) is str


@pytest.mark.parametrize("body", [
    b"[" * 1_000_000, b'{"add":' * 200_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"\xff\xfe{}", b'{"commitInfo":"\xed\xa0\x80"}',
    b'{"commitInfo":"\\ud800"}', b"3", b"null", b'"x"', b"[]", b"{}", b'{"add":1e999}', b"NaN", b'{"add":{}}\r\n{"add":',
], ids=lambda body: repr(body[:20]))
def test_json_that_is_no_commit_is_refused(warehouse: Path, body: bytes) -> None:
    with open_store(str(warehouse)) as running:
        (warehouse / "events" / log_path(4)).write_bytes(body)
        for opened in (lambda: open_store(str(warehouse)), running.head, lambda: running.append("a", facts(1))):
            with pytest.raises(TableRefusedError, match="commit 4 "):
                opened()


@pytest.mark.parametrize("kind", ["protocol", "metaData"])
def test_a_log_that_does_not_say_what_table_it_is_of_is_refused(warehouse: Path, kind: str) -> None:
    actions = [orjson.loads(line) for line in (warehouse / "events" / log_path(0)).read_bytes().splitlines()]
    rewrite(warehouse, [action for action in actions if kind not in action], 0)
    with pytest.raises(TableRefusedError, match="does not say what table this is"):
        open_store(str(warehouse))


class OneFile:
    """Storage that holds one object."""

    def __init__(self, path: str, body: bytes) -> None:
        self._path, self._body = path, body

    def get(self, path: str) -> bytes | None:
        return self._body if path == self._path else None

    def list(self, prefix: str) -> Iterator[Entry]:
        yield Entry(self._path, len(self._body), 0)


def checkpoint_read(body: bytes) -> None:
    with suppress(NotOursError):
        state = checkpoint.read(OneFile(f"_delta_log/{4:020d}.checkpoint.parquet", body))  # type: ignore[arg-type]
        for segment in state.segments if state is not None else ():
            assert_sound_segment(segment)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_checkpoint_with_anything_in_any_place_is_understood_or_refused(log: Path, data: st.DataObject) -> None:
    rows = pq.read_table(next(log.glob("*.checkpoint.parquet"))).to_pylist()
    at = data.draw(st.sampled_from([at for at in places_in(rows) if at]))
    odd = data.draw(ODD)
    drop = data.draw(st.booleans())
    rows = changed(rows, at, lambda part, key: part.__delitem__(key) if drop else part.__setitem__(key, odd))
    try:
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, sink := pa.BufferOutputStream())
    except (pa.ArrowException, OverflowError, AttributeError, TypeError):  # no table can have this shape
        return
    checkpoint_read(sink.getvalue().to_pybytes())


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_checkpoint_with_any_bytes_in_it_is_understood_or_passed_over(log: Path, data: st.DataObject) -> None:
    body = next(log.glob("*.checkpoint.parquet")).read_bytes()
    at = data.draw(st.integers(0, len(body)))
    checkpoint_read(body[:at] + data.draw(st.binary(max_size=8)) + body[at + data.draw(st.integers(0, 8)) :])
