"""The policy of a log as it was folded, beside the heads files: so that to open a log does not take the longer the more was ever said.

Derivable, never the truth: one that is damaged, or of another form, counts as missing. It says nothing that `$retention` does not.
"""

from __future__ import annotations

import zlib
from datetime import timedelta
from itertools import repeat
from typing import Any, Final, NamedTuple

import orjson
import polars as pl
import pyarrow as pa

from store.delta.head_runs import FOLDER
from store.errors import AccessDeniedError, StorageError
from store.retention.policy import Policy
from store.retention.rule import EVERYTHING, Rule
from store.retention.terms import Terms
from store.retention.terms_by_stream import TermsByStream
from store.storage.objects import Objects

PATH: Final = f"{FOLDER}/policy.arrow"
_FORM: Final = b"policy of form 1, crc "
"""Of the file. Whatever a change of `Terms` or of their fold makes untrue of old files raises it."""
_TERMS: Final = pa.schema(
    {
        "stream_id": pa.string(),
        "rule": pa.int32(),
        "truncated": pa.int64(),
        "deletions": pa.list_(pa.int64()),
        "tombstoned": pa.bool_(),
        "closed": pa.bool_(),
        "position": pa.int64(),
    }
)


class SavedPolicy(NamedTuple):
    """`version`: of the last event of `$retention` in it. `searched`: no event up to that position says more."""

    policy: Policy
    version: int
    searched: int


def write(objects: Objects, saved: SavedPolicy) -> None:
    """All positions that it tells of must be durable."""
    policy, (table, rules) = saved.policy, _table(saved.policy)
    told = {
        "version": saved.version,
        "searched": saved.searched,
        "rules": [[rule.max_age_us, rule.max_count] for rule in rules],
        "categories": [[name, rule.max_age_us, rule.max_count, position] for name, (rule, position) in policy.categories.items()],
        "ruled": sorted(policy.ruled),
    }
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _TERMS.with_metadata({"told": orjson.dumps(told)})) as file:
        file.write_table(table)
    body = sink.getvalue().to_pybytes()
    objects.replace(PATH, b"%s%08x\n" % (_FORM, zlib.crc32(body)) + body)


def read(objects: Objects, head: int) -> SavedPolicy | None:
    """None: there is none that can be read, or it is of another log, which had come further than `head`."""
    try:
        whole = objects.get(PATH)
    except AccessDeniedError:
        raise
    except StorageError:
        return None
    start = len(_FORM) + 9
    if whole is None or not whole.startswith(_FORM) or whole[len(_FORM) : start] != b"%08x\n" % zlib.crc32(whole[start:]):
        return None
    table = pa.ipc.open_file(pa.py_buffer(whole)[start:]).read_all()
    told = orjson.loads(table.schema.metadata[b"told"])
    if told["searched"] > head:
        return None
    return SavedPolicy(_policy(table, told), told["version"], told["searched"])


def _table(policy: Policy) -> tuple[pa.Table, list[Rule]]:
    streams, rules = policy.streams.whole(), dict[Rule, int]()
    columns = [list(column) for column in zip(*streams.values(), strict=True)] or [[] for _ in Terms._fields]
    columns[0] = [rules.setdefault(rule, len(rules)) for rule in columns[0]]
    return pa.table([list(streams), *columns], schema=_TERMS), list(rules)


def _policy(table: pa.Table, told: dict[str, Any]) -> Policy:
    rules = [_rule(*each) for each in told["rules"]]
    names, places, truncated, deletions, *rest = (column.to_list() for column in pl.DataFrame(table).iter_columns())
    rows = zip(map(rules.__getitem__, places), truncated, map(tuple, deletions), *rest, strict=True)
    streams = dict(zip(names, map(tuple.__new__, repeat(Terms), rows), strict=False))        # Terms._make, of a hundred thousand at once
    categories = {name: (_rule(age_us, count), position) for name, age_us, count, position in told["categories"]}
    return Policy(TermsByStream(streams), categories, frozenset(told["ruled"]))


def _rule(age_us: int | None, count: int | None) -> Rule:
    if age_us is None and count is None:
        return EVERYTHING
    return Rule(None if age_us is None else timedelta(microseconds=age_us), count)
