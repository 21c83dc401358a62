"""What a grant costs: the same questions asked with one and without, over the same files, in the same limits."""

from __future__ import annotations

import statistics
from typing import Final

from store import EVERY, EventStore, Grant, open_store
from tests.bench.big_log import BigLog
from tests.bench.run import Run, ms, seconds

WHOLE: Final = Grant(categories=[EVERY], data=EVERY)
"""All there is, so that both answer the same."""


def section(run: Run) -> None:
    big = run.big_log()
    with open_store(str(big.place)) as store:
        run.table(f"asked of {big.events:,} events", "ms, with a grant of all", "ms, without", "ratio")
        for name, query in _questions(big).items():
            granted, plain = _beside(run, store, query, WHOLE, query)
            run.row(name, ms(granted), ms(plain), f"{granted / plain:.2f}")
        _narrow(run, store, big)


def _questions(big: BigLog) -> dict[str, str]:
    stream, half = f"order-{big.picked(1)[0]}", big.events // 2
    return {
        "one stream, by `stream`": f"select position, type, data from stream('{stream}') order by version",
        "1,000 positions, by `replay`": f"select count(*), max(stream_id) from replay({half}, {half + 1000})",
        "everything: count by type": "select type, count(*) from events group by all order by all",
        "a field of one type, summed": "select count(*), sum((data ->> 'amount')::bigint) from events where type = 'OrderPlaced'",
    }


def _narrow(run: Run, store: EventStore, big: BigLog) -> None:
    """What a grant leaves out is pruned as a condition of the query would prune it."""
    stream = f"order-{big.picked(1)[0]}"
    narrow = {
        "count of a grant of one stream": (Grant(streams=[stream]), f"stream_id = '{stream}'"),
        "count of a grant of one type": (Grant(categories=[EVERY], types=["OrderPlaced"]), "type = 'OrderPlaced'"),
        "one field of one type, by a grant of it": (
            Grant(categories=[EVERY], types=["OrderPlaced"], data={"OrderPlaced": ["amount"]}), "type = 'OrderPlaced'",
        ),
    }
    run.table("a grant of a part", "ms, by the grant", "ms, by a condition", "ratio")
    for name, (grant, condition) in narrow.items():
        of = "count(*)" if not grant.data else "sum((data ->> 'amount')::bigint)"
        granted, plain = _beside(run, store, f"select {of} from events", grant, f"select {of} from events where {condition}")
        run.row(name, ms(granted), ms(plain), f"{granted / plain:.2f}")


def _beside(run: Run, store: EventStore, granted: str, grant: Grant, plain: str) -> tuple[float, float]:
    if store.ask(granted, grant=grant).to_pylist() != store.ask(plain).to_pylist():
        raise AssertionError(f"{granted} is answered otherwise with a grant")
    rounds = [(seconds(lambda: store.ask(granted, grant=grant)), seconds(lambda: store.ask(plain))) for _ in range(2 * run.sizes.repeats + 1)]
    mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return mine, theirs
