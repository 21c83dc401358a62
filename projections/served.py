"""Which tables a warehouse has beside its log, by the names that queries use, and where they lie: of each read model the build that serves now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from projections.built_in import BUILT_IN
from projections.errors import PublishError
from projections.models.builds import Build, Builds
from projections.models.dead_letters import DeadLetters
from projections.projection import Projection
from store import is_table

LOG_NAMES = ("events", "located_events", "snapshots", "dead_letters", "checkpoints")
"""What a read model cannot be called where all tables have names."""


class Served(NamedTuple):
    """`models`: of each read model its projection and build. `left_out`: tables that are not there, and why."""

    models: Mapping[str, tuple[Projection, Build]]
    has_letters: bool
    left_out: Mapping[str, str]

    def folders(self) -> Mapping[str, str]:
        """Where each table lies in the warehouse."""
        letters = {"dead_letters": "dead_letters"} if self.has_letters else {}
        return letters | {name: f"projections/{name}/{build.build}" for name, (_, build) in self.models.items()}


def served(warehouse: str, projections: Sequence[Projection]) -> Served:
    """Of these read models and those of every warehouse. PublishError: two tables would have one name."""
    models, left_out, builds = dict[str, tuple[Projection, Build]](), dict[str, str](), Builds(warehouse)
    if not (has_letters := is_table(DeadLetters(warehouse).uri)):
        left_out["dead_letters"] = "nothing was ever parked"
    for projection in (*BUILT_IN, *projections):
        name, serving = projection.name, builds.serving(projection)
        if name in LOG_NAMES or name in models or name in left_out:
            raise PublishError(f"projection {name!r}", "another table has that name", "rename the projection, or publish without it")
        if serving is None or not is_table(builds.uri(name, serving.build)):
            left_out[name] = "it was never made"
        elif serving.version != projection.version:
            left_out[name] = f"version {serving.version} serves, and {projection.version} is declared: rebuild it"
        else:
            models[name] = projection, serving
    return Served(models, has_letters, left_out)
