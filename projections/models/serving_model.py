"""The read model that serves: a handle that goes with the switch from one build to another."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pyarrow as pa

from projections.errors import NeedsRebuildError
from projections.models.builds import Builds
from projections.models.hold import Hold
from projections.models.read_model import ReadModel
from projections.models.turn import DeltaTurn
from projections.projection import Projection


@dataclass(slots=True)
class ServingModel:
    """See `Model`. Every call is about the build that serves then: keep this handle for as long as you like.

    NeedsRebuildError, from every method: the build that serves is of another version than is declared.
    """

    warehouse: str
    projection: Projection
    _builds: Builds = field(init=False, repr=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)
    _known: tuple[int, ReadModel] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._builds = Builds(self.warehouse)

    @property
    def uri(self) -> str:
        return self.now().uri

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        return self.now().rows(*columns, limit=limit)

    def checkpoint(self) -> int:
        return self.now().checkpoint()

    def row_count(self) -> int:
        return self.now().row_count()

    def delta_version(self) -> int:
        return self.now().delta_version()

    def hold(self) -> Hold | None:
        return self.now().hold()

    def look(self) -> DeltaTurn:
        return self.now().look()

    def turn(self) -> DeltaTurn:
        return self.now().turn()

    def now(self) -> ReadModel:
        """The read model that serves at this moment, and stays the same."""
        with self._lock:
            switched = self._builds.delta_version()
            if self._known is None or self._known[0] != switched:
                self._known = switched, self._found()
            return self._known[1]

    def _found(self) -> ReadModel:
        build, declared = self._builds.serving(self.projection), self.projection.version
        if build is not None and build.version != declared:
            problem = f"version {declared} is declared, and version {build.version} serves ({build.build})"
            raise NeedsRebuildError(self.projection.name, problem)
        return ReadModel(self._builds.uri(self.projection.name, build.build if build else f"v{declared}"), self.projection)
