"""Where the tasks of a fill run: here one after the other, in processes of this machine, or on a Ray cluster. All give the same answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from typing import Any, Final, Protocol, Self, TypeVar

from projections.errors import ExecutorError

T = TypeVar("T")
R = TypeVar("R")

DEATHS: Final = 3
"""So often the workers of one map may die before it gives up."""


class Executor(Protocol):
    """Runs tasks that write nothing which somebody sees, so that each may be run twice. Inside `with` its workers stay from one map to the next."""

    @property
    def tasks(self) -> int:
        """So many at once keep it busy, and are worth what each of them costs."""

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """What `work` gives for each task, as it comes, in no particular order. `work` stands at the top of a module, and tasks can be pickled.

        A task whose worker died is run again. What a task raises is raised here, and the rest is given up. ExecutorError: workers die again
        and again, or there are none to be had.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Serial:
    """In this thread."""

    @property
    def tasks(self) -> int:
        return 1

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        return map(work, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""


@dataclass(slots=True)
class Processes:
    """In so many processes of this machine. They are spawned, as deltalake panics in a forked child, and end with this one."""

    count: int = 2
    _pool: ProcessPoolExecutor | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} processes do nothing: give 1 or more")

    @property
    def tasks(self) -> int:
        """More than processes, so that one with a long task does not keep all waiting."""
        return 2 * self.count

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        left, deaths = dict(enumerate(tasks)), 0
        while left:
            self._pool = self._pool or ProcessPoolExecutor(self.count, get_context("spawn"), _end_with_parent)
            try:
                running = {self._pool.submit(work, task): number for number, task in left.items()}
                for done in as_completed(running):
                    answer = done.result()
                    del left[running[done]]
                    yield answer
            except BrokenProcessPool as error:
                self._end()
                deaths += 1
                if deaths > DEATHS:
                    remedy = "is there memory for so many? Take fewer processes"
                    problem = f"workers died {deaths} times ({error}); not done: {'; '.join(map(str, left.values()))}"
                    raise ExecutorError(f"{self.count} processes", problem, remedy) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@dataclass(slots=True)
class Ray:
    """As tasks of a Ray cluster, with the extra `ray`. `address`: of a cluster that runs, such as "auto"; None: one is begun on this machine.

    The cluster's machines need this package, the projection's own modules, and the warehouse under the same URI. What begins a cluster of its
    own waits some seconds for it, so it pays for fills of minutes.
    """

    address: str | None = None
    _begun: bool = field(init=False, repr=False, compare=False, default=False)

    @property
    def tasks(self) -> int:
        return 16

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        ray = self._ready()
        return _gathered(ray, ray.remote(max_retries=DEATHS)(work), tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._begun:
            self._ready().shutdown()
            self._begun = False

    def _ready(self) -> Any:
        """The library, with a cluster: one that this process is at already, or as `address` says."""
        try:
            import ray  # a second, and a gigabyte of memory with its first task
        except ImportError as error:
            raise ExecutorError("ray", "it is not installed", "pip install 'alluvium[ray]'") from error
        if not ray.is_initialized():
            try:
                ray.init(self.address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ExecutorError("ray", f"no cluster at {self.address} ({error})", "start one: ray start --head") from error
            self._begun = True
        return ray


def _gathered(ray: Any, remote: Any, tasks: Sequence[Any]) -> Iterator[Any]:
    waiting = [remote.remote(task) for task in tasks]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from map(ray.get, done)
    except ray.exceptions.WorkerCrashedError as error:
        remedy = "is there memory for what runs at once? Look at the cluster's logs"
        raise ExecutorError("ray", f"a task's worker died {DEATHS + 1} times ({error})", remedy) from error
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    finally:
        for task in waiting:
            ray.cancel(task)


def _end_with_parent() -> None:
    """A killed parent tells its processes nothing: they would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
