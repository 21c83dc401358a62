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
    BuildError,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    DeclarationError,
    NeedsRebuildError,
    PausedError,
    ProjectionError,
    ReadModelRefusedError,
)
from projections.failing import Halt, Park
from projections.fingerprint import fingerprint
from projections.following import follow, wait_for
from projections.frame import Frame
from projections.handlers import Handlers
from projections.hold import Hold
from projections.memory_model import MemoryModel
from projections.model import Model
from projections.place import Place
from projections.projection import Projection
from projections.read_model import ReadModel
from projections.rebuilding import Rebuilt, rebuild
from projections.redelivery import discard, retry
from projections.runner import CaughtUp, catch_up, fill, lag
from projections.serving_model import ServingModel
from projections.shard_fill import fill_by_shard
from projections.sql import Sql
from projections.status import Status, status
from projections.typed_tables import typed_table, typed_tables
from projections.views import as_views

__all__ = [
    "BUILT_IN",
    "LETTERS",
    "ApplyError",
    "BehindError",
    "Build",
    "BuildError",
    "Builds",
    "CaughtUp",
    "CheckpointBeyondHeadError",
    "CheckpointMovedError",
    "DeadLetters",
    "DeclarationError",
    "Frame",
    "Halt",
    "Handlers",
    "Hold",
    "MemoryModel",
    "Model",
    "NeedsRebuildError",
    "Park",
    "PausedError",
    "Place",
    "Projection",
    "ProjectionError",
    "ReadModel",
    "ReadModelRefusedError",
    "Rebuilt",
    "ServingModel",
    "Sql",
    "Status",
    "as_views",
    "catch_up",
    "discard",
    "event_types",
    "fill",
    "fill_by_shard",
    "fingerprint",
    "follow",
    "lag",
    "rebuild",
    "retry",
    "status",
    "streams",
    "typed_table",
    "typed_tables",
    "wait_for",
]
