"""`aio` on the real store, whose answers come from another thread: also when nobody waits any more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event as Signal

from store import open_store
from store.times import now
from tests.store.facts import facts


def test_answer_after_the_loop_s_end_does_not_silence_the_next_loop(tmp_path: Path) -> None:
    """The commit is held up by its clock until the first loop is gone."""
    reached, released = Signal(), Signal()

    def clock() -> int:
        reached.set()
        released.wait()
        return now()

    released.set()
    with open_store(str(tmp_path), create=True, clock=clock) as store:
        released.clear()

        async def leave() -> None:
            task = asyncio.create_task(store.aio.append("a", facts(1)))
            await asyncio.to_thread(reached.wait)
            task.cancel()

        reached.clear()
        asyncio.run(leave())
        released.set()
        assert store.append("b", facts(1)).position == 2
        assert asyncio.run(asyncio.wait_for(store.aio.append("a", facts(1)), 60)).version == 2
