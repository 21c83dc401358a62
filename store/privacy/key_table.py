"""Keys in a table of their own beside the log: `<warehouse>/keys`. What is deleted there is gone from its files, not only from its newest state."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, Final, NamedTuple, TypeVar

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from store.errors import OutcomeUnknownError, TableMovedError, TableRefusedError
from store.keyed.keyed_table import KeyedTable
from store.keyed.keyed_turn import KeyedTurn
from store.observer import Observer
from store.privacy.key import KEY_BYTES, Key, KeyId
from store.privacy.ref import PEPPER_BYTES, ref_of
from store.privacy.wrapping import Wrapping
from store.schema import INSTANT
from store.storage.places import join

T = TypeVar("T")

FOLDER: Final = "keys"
PATIENCE_S: Final = 30.0
"""So long others may be first, or storage mute, before a change is given up."""
_KEY: Final = pa.struct([("n", pa.int64()), ("made_at", INSTANT), ("master", pa.string()), ("material", pa.string())])
KEYS: Final = pa.schema(
    [
        pa.field("ref", pa.string(), nullable=False),
        pa.field("last", pa.int64(), nullable=False),
        pa.field("deleted_at", INSTANT),
        pa.field("keys", pa.list_(_KEY), nullable=False),
    ]
)
"""A row a subject. `last`: the highest number that a key of theirs has had; it stays when the keys are deleted, so that no number is used twice."""
_PEPPER: Final = ""
"""Stands for the `ref` of the row that holds what refs are hashed by."""


class KeysStatus(NamedTuple):
    """`masters`: how many keys each master key wraps, by its name; "" for those that none does."""

    subjects: int
    keys: int
    deleted: int
    masters: Mapping[str, int]


class KeyTable:
    """See `Keys`. Any number of processes may use one table.

    `master_keys`: of 32 bytes; the first one wraps what is written, the others unwrap what is there still. To change the master key give the new one
    before the old one everywhere, call `rewrap`, and leave out the old one. To introduce one, give it, and call `rewrap`: what was written without
    stays readable to whoever reads the table until then, or until something is written about that subject again (see `status`).

    Every method: StorageError; TableRefusedError, there is something else, or it is wrapped by a master key that was not given; TableMovedError,
    others were first all the time; OutcomeUnknownError, do it again.
    """

    def __init__(
        self,
        warehouse_uri: str | PathLike[str],
        master_keys: Sequence[bytes] = (),
        *,
        observer: Observer | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._uri, self._clock = join(fspath(warehouse_uri), FOLDER), clock
        self._wrapping = Wrapping(master_keys)
        told = "Keys of subjects of an Alluvium warehouse. What is sealed by them is unreadable without. No part of any backup of the log."
        self._table = KeyedTable(self._uri, "keys", KEYS, ("ref",), description=told, observer=observer)
        self._lock = threading.Lock()
        self._pepper: bytes | None = None

    # Keys -----------------------------------------------------------------------------------------------------

    def ref(self, subject: str) -> str:
        return ref_of(self._peppered(), subject)

    def newest(self, subjects: Collection[str]) -> Mapping[str, Key]:
        if not subjects:
            return {}
        refs = {subject: self.ref(subject) for subject in subjects}

        def made(turn: KeyedTurn) -> Mapping[str, Key]:
            there = self._rows(turn, refs.values())
            changed = {ref: self._with_new_key(ref, there.get(ref)) for ref in refs.values() if not (there.get(ref) or _NOBODY)["keys"]}
            if changed:
                self._commit(turn, changed.values())
            rows = there | changed
            return {subject: self._key(ref, rows[ref]["keys"][-1]) for subject, ref in refs.items()}

        return self._in_turn(made)

    def find(self, ids: Collection[KeyId]) -> Mapping[KeyId, Key]:
        rows = self._in_turn(lambda turn: self._rows(turn, {id.ref for id in ids})) if ids else {}
        there = {KeyId(ref, one["n"]): one for ref, row in rows.items() for one in row["keys"]}
        return {id: self._key(id.ref, there[id]) for id in ids if id in there}

    def rotate(self, subject: str) -> Key:
        ref = self.ref(subject)

        def made(turn: KeyedTurn) -> Key:
            row = self._with_new_key(ref, self._rows(turn, [ref]).get(ref))
            self._commit(turn, [row])
            return self._key(ref, row["keys"][-1])

        return self._in_turn(made)

    def delete(self, subject: str) -> int:
        """See `Keys.delete`. The files that held them are removed, whoever wrote them; readers of an older state look again by themselves.

        AccessDeniedError: these credentials may not remove files; nothing was deleted.
        """
        ref = self.ref(subject)
        self._table.check_maintenance()

        def deleted(turn: KeyedTurn) -> int:
            row = self._rows(turn, [ref]).get(ref)
            if row is None or not row["keys"]:
                return 0
            self._commit(turn, [row | {"keys": [], "deleted_at": self._clock()}])
            return len(row["keys"])

        count = self._in_turn(deleted)
        self._table.purge()                        # even if nothing was there: a crash may have come between the two
        return count

    # Upkeep ---------------------------------------------------------------------------------------------------

    def rewrap(self) -> int:
        """Wrap every key by the first master key, or by none if none is given, and remove the files with the old ones; how many were changed."""
        self._table.check_maintenance()

        def rewrapped(turn: KeyedTurn) -> int:
            rows = {row["ref"]: row for row in _plain(self._table.rows())}
            changed = [row for row in rows.values() if any(one["master"] != self._wrapping.name for one in row["keys"])]
            if changed:
                self._commit(turn, [{**row, "keys": [self._rewrapped(row["ref"], one) for one in row["keys"]]} for row in changed])
            return sum(len(row["keys"]) for row in changed if row["ref"] != _PEPPER)

        count = self._in_turn(rewrapped)
        self._table.purge()
        return count

    def status(self) -> KeysStatus:
        """How many there are. Nothing is unwrapped for it."""
        rows = [row for row in _plain(self._table.rows()) if row["ref"] != _PEPPER]
        masters: dict[str, int] = {}
        for one in (one for row in rows for one in row["keys"]):
            masters[one["master"]] = masters.get(one["master"], 0) + 1
        return KeysStatus(sum(bool(row["keys"]) for row in rows), sum(masters.values()), sum(not row["keys"] for row in rows), masters)

    def maintain(self) -> None:
        """Merge and vacuum, and remove what killed writers may have left with keys in it."""
        self._table.maintain()
        self._table.purge()

    # Below ----------------------------------------------------------------------------------------------------

    def _peppered(self) -> bytes:
        """What refs are hashed by, made by the first who needs it."""
        with self._lock:
            if self._pepper is None:
                self._pepper = self._in_turn(self._pepper_of)
            return self._pepper

    def _pepper_of(self, turn: KeyedTurn) -> bytes:
        row = self._rows(turn, [_PEPPER]).get(_PEPPER)
        if row is None:
            row = {"ref": _PEPPER, "last": 1, "deleted_at": None, "keys": [self._one(_PEPPER, 1, os.urandom(PEPPER_BYTES))]}
            self._commit(turn, [row])
        return self._key(_PEPPER, row["keys"][0]).material

    def _in_turn(self, work: Callable[[KeyedTurn], T]) -> T:
        """Once more from the newest state where another was first."""
        again = Retrying(
            retry=retry_if_exception_type((TableMovedError, OutcomeUnknownError)),
            wait=wait_random_exponential(0.005, 0.5),
            stop=stop_after_delay(PATIENCE_S),
            reraise=True,
        )
        return again(lambda: work(self._table.turn()))

    def _rows(self, turn: KeyedTurn, refs: Collection[str]) -> dict[str, dict[str, Any]]:
        wanted = pa.table({"ref": pa.array(sorted(set(refs)), pa.string())})
        return {row["ref"]: row for row in _plain(turn.rows(wanted))}

    def _commit(self, turn: KeyedTurn, rows: Collection[Mapping[str, Any]]) -> None:
        """Wrapped by the first master key, what was wrapped otherwise too; and so what refs are hashed by, which nobody writes a second time."""
        peppers = [row for row in self._rows(turn, [_PEPPER]).values() if self._wrapped_anew(row) != row]
        written = {row["ref"]: self._wrapped_anew(row) for row in (*peppers, *rows)}
        turn.commit(pa.Table.from_pylist(list(written.values()), KEYS), KEYS.empty_table(), {})

    def _with_new_key(self, ref: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
        before = row or _NOBODY
        n = before["last"] + 1
        return {"ref": ref, "last": n, "deleted_at": None, "keys": [*before["keys"], self._one(ref, n, os.urandom(KEY_BYTES))]}

    def _one(self, ref: str, n: int, material: bytes) -> dict[str, Any]:
        return {"n": n, "made_at": self._clock(), "master": self._wrapping.name, "material": self._wrapping.wrapped(f"{ref}.{n}", material)}

    def _wrapped_anew(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a master key wraps that is not given stays as it is."""
        ours = [one["master"] != self._wrapping.name and self._wrapping.unwraps(one["master"]) for one in row["keys"]]
        return {**row, "keys": [self._rewrapped(row["ref"], one) if anew else one for one, anew in zip(row["keys"], ours, strict=True)]}

    def _rewrapped(self, ref: str, one: Mapping[str, Any]) -> dict[str, Any]:
        return self._one(ref, one["n"], self._key(ref, one).material) | {"made_at": one["made_at"]}

    def _key(self, ref: str, one: Mapping[str, Any]) -> Key:
        try:
            material = self._wrapping.unwrapped(one["master"], f"{ref}.{one['n']}", one["material"])
        except ValueError as error:
            raise TableRefusedError(self._uri, f"a key is damaged ({error})", "restore the keys from their own backup") from error
        if material is None:
            problem = f"its keys are wrapped by the master key {one['master']}, which is not given"
            raise TableRefusedError(self._uri, problem, "give that master key, too (ALLUVIUM_MASTER_KEY for the command line and Dagster)")
        return Key(KeyId(ref, one["n"]), material)


_NOBODY: Final[Mapping[str, Any]] = {"last": 0, "keys": []}


def _plain(rows: pa.Table) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = rows.to_pylist()
    return plain
