"""Projections: rows made from events, kept up to date from a checkpoint that is committed together with them.

    model = ReadModel.under("./warehouse", projection)
    catch_up(store, model)
    model.rows()
"""

from projections.builds import Build, Builds
from projections.built_in import BUILT_IN, event_types, streams
from projections.dead_letters import LETTERS, DeadLetters
from projections.errors import (
    ApplyError,
    BehindError,
    BeyondHeadError,
    BuildError,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    DeclarationError,
    EffectError,
    KeyRefusedError,
    NeedsRebuildError,
    PausedError,
    ProjectionError,
    ReadModelRefusedError,
    SupersededError,
    TargetUnavailableError,
)
from projections.failing import Halt, Park
from projections.fingerprint import fingerprint
from projections.following import follow, follow_reactors, wait_for
from projections.frame import Frame
from projections.handlers import Handlers
from projections.hold import Hold
from projections.live import Live
from projections.memory_model import MemoryModel
from projections.model import Model, Readable
from projections.origin import why
from projections.past import as_of
from projections.place import Place
from projections.projection import Projection
from projections.reacting import Reacted, derived_id, react
from projections.reactor import Reactor
from projections.read_model import ReadModel
from projections.rebuilding import Rebuilt, rebuild
from projections.redelivery import discard, retry
from projections.rehearsal import rehearse, what_if
from projections.row_diff import RowDiff, diff, diff_tables
from projections.runner import CaughtUp, catch_up, fill, lag
from projections.saga import Saga, Step
from projections.saga_events import Progress, saga_events
from projections.saga_running import Stuck, saga_reactor
from projections.serving_model import ServingModel
from projections.shard_fill import fill_by_shard
from projections.sql import Sql
from projections.status import Status, status
from projections.target import PATIENCE_S, Call, Target
from projections.typed_tables import typed_table, typed_tables
from projections.views import as_views

__all__ = [
    "BUILT_IN",
    "LETTERS",
    "PATIENCE_S",
    "ApplyError",
    "BehindError",
    "BeyondHeadError",
    "Build",
    "BuildError",
    "Builds",
    "Call",
    "CaughtUp",
    "CheckpointBeyondHeadError",
    "CheckpointMovedError",
    "DeadLetters",
    "DeclarationError",
    "EffectError",
    "Frame",
    "Halt",
    "Handlers",
    "Hold",
    "KeyRefusedError",
    "Live",
    "MemoryModel",
    "Model",
    "NeedsRebuildError",
    "Park",
    "PausedError",
    "Place",
    "Progress",
    "Projection",
    "ProjectionError",
    "Reacted",
    "Reactor",
    "ReadModel",
    "ReadModelRefusedError",
    "Readable",
    "Rebuilt",
    "RowDiff",
    "Saga",
    "ServingModel",
    "Sql",
    "Status",
    "Step",
    "Stuck",
    "SupersededError",
    "Target",
    "TargetUnavailableError",
    "as_of",
    "as_views",
    "catch_up",
    "derived_id",
    "diff",
    "diff_tables",
    "discard",
    "event_types",
    "fill",
    "fill_by_shard",
    "fingerprint",
    "follow",
    "follow_reactors",
    "lag",
    "react",
    "rebuild",
    "rehearse",
    "retry",
    "saga_events",
    "saga_reactor",
    "status",
    "streams",
    "typed_table",
    "typed_tables",
    "wait_for",
    "what_if",
    "why",
]
