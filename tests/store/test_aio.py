"""`aio`: the same verbs for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest

from store import NO_STREAM, Append, EventStore, InvalidEventError, StoreClosedError, WrongExpectedVersionError
from tests.store.facts import everything, fact, facts, table


async def collected(batches: AsyncIterator[pa.RecordBatch], count: int) -> list[int]:
    """The positions of the first events, `count` of them or a few more."""
    positions: list[int] = []
    async for batch in batches:
        positions += batch["position"].to_pylist()
        if len(positions) >= count:
            break
    return positions


def test_append_answers_the_awaiting_task(store: EventStore) -> None:
    assert asyncio.run(store.aio.append("a", facts(2), NO_STREAM)) == (1, 2, 1, 2)


def test_many_appends_at_once_get_each_its_own_answer(store: EventStore) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(store.aio.append(f"s-{number % 7}", [fact(number)]) for number in range(300)))

    answers = asyncio.run(main())
    assert sorted(answer.position for answer in answers) == list(range(1, 301))
    rows = everything(store)
    assert [rows[answer.position - 1]["data"] for answer in answers] == [f'{{"number":{number}}}' for number in range(300)]


def test_one_of_many_wins_a_race(store: EventStore) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(store.aio.append("a", [fact(n)], NO_STREAM) for n in range(50)), return_exceptions=True)

    answers = asyncio.run(main())
    assert sum(isinstance(answer, WrongExpectedVersionError) for answer in answers) == 49
    assert store.head() == 1


def test_error_reaches_the_task_that_caused_it(store: EventStore) -> None:
    async def main() -> list[Any]:
        aio = store.aio
        return await asyncio.gather(
            aio.append("a", facts(1)), aio.append("b", facts(1), 7), aio.append("c", [fact(schema_version=0)]), return_exceptions=True
        )

    assert [type(answer).__name__ for answer in asyncio.run(main())] == ["Appended", "WrongExpectedVersionError", "InvalidEventError"]


def test_append_many_answers_part_by_part(store: EventStore) -> None:
    assert asyncio.run(store.aio.append_many([Append("a", facts(2)), Append("b", facts(1))])) == [(1, 2, 1, 2), (1, 1, 3, 3)]


def test_append_many_of_nothing_answers_nothing(store: EventStore) -> None:
    assert asyncio.run(store.aio.append_many([])) == []


def test_append_table_answers_its_positions(store: EventStore) -> None:
    assert asyncio.run(store.aio.append_table(table(3))) == (1, 3)


def test_append_table_s_error_reaches_the_task(store: EventStore) -> None:
    with pytest.raises(InvalidEventError):
        asyncio.run(store.aio.append_table(table(data=None)))


def test_reads_are_those_of_the_store(store: EventStore) -> None:
    store.append("a", facts(5))
    rows = everything(store)

    async def main() -> None:
        aio = store.aio
        assert (await aio.read_stream("a", 1, 2, backward=True)).equals(store.read_stream("a", 1, 2, backward=True))
        assert [row async for batch in aio.read_all(after=1, until=4) for row in batch.to_pylist()] == rows[1:4]
        assert (await collected(aio.read_all(limit=2, backward=True), 9)) == [5, 4]
        assert (await aio.head(), await aio.stream_version("a"), await aio.position_at(rows[0]["recorded_at"])) == (5, 5, 5)

    asyncio.run(main())


def test_subscription_catches_up_then_follows(store: EventStore) -> None:
    store.append("a", facts(2))

    async def main() -> list[int]:
        follower = asyncio.create_task(collected(store.aio.subscribe(after=1), 3))
        for _ in range(2):
            await store.aio.append("a", facts(1))
        return await follower

    assert asyncio.run(main()) == [2, 3, 4]


def test_subscription_selects(store: EventStore) -> None:
    store.append("a", facts(1))
    store.append("b", facts(1))
    assert asyncio.run(collected(store.aio.subscribe(categories=["b"]), 1)) == [2]


def test_cancelled_subscription_ends(store: EventStore) -> None:
    """Its thread as well, or the loop would wait for it for ever."""
    async def main() -> None:
        first = asyncio.Event()

        async def follow() -> None:
            async for _ in store.aio.subscribe():
                first.set()

        follower = asyncio.create_task(follow())
        await store.aio.append("a", facts(1))
        await first.wait()
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower

    asyncio.run(main())
    assert store.append("a", facts(1)).position == 2


def test_many_subscriptions_that_wait_leave_the_other_verbs_their_threads(store: EventStore) -> None:
    async def main() -> int:
        followers = [asyncio.create_task(collected(store.aio.subscribe(), 1)) for _ in range(50)]
        for _ in range(3):
            await asyncio.wait_for(store.aio.head(), 20)
        await store.aio.append("a", facts(1))
        return sum(map(len, await asyncio.gather(*followers)))

    assert asyncio.run(main()) == 50


def test_cancelled_append_lands_whole_or_not_at_all(store: EventStore) -> None:
    events = [facts(3) for _ in range(20)]

    async def main() -> None:
        tasks = [asyncio.create_task(store.aio.append("a", part)) for part in events]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        assert not any(task.cancelled() for task in tasks[1::2])

    asyncio.run(main())
    appended = [row["event_id"] for row in everything(store)]
    there = [[event.event_id in appended for event in part] for part in events]
    assert all(part in ([True] * 3, [False] * 3) for part in there)
    assert all(there[n][0] for n in range(1, 20, 2))


def test_cancelled_append_is_safe_to_repeat(store: EventStore) -> None:
    events = facts(3)

    async def main() -> None:
        task = asyncio.create_task(store.aio.append("a", events))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await store.aio.append("a", events) == (1, 3, 1, 3)

    asyncio.run(main())
    assert store.head() == 3


def test_each_loop_in_turn_is_answered(store: EventStore) -> None:
    for position in range(1, 4):
        assert asyncio.run(store.aio.append("a", facts(1))).position == position


def test_threads_and_tasks_share_the_store(store: EventStore) -> None:
    async def main() -> list[Any]:
        tasks = [store.aio.append("a", [fact(number)]) for number in range(50)]
        threads = [asyncio.to_thread(store.append, "a", [fact(number)]) for number in range(50)]
        return await asyncio.gather(*tasks, *threads)

    assert sorted(answer.version for answer in asyncio.run(main())) == list(range(1, 101))


def test_append_to_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        asyncio.run(store.aio.append("a", facts(1)))
