"""Projections: rows made from events, kept up to date from a checkpoint that is committed together with them.

    model = ReadModel.under("./warehouse", projection)
    catch_up(store, model)
    model.rows()
"""

from projections.built_in import BUILT_IN, event_types, streams
from projections.errors import (
    ApplyError,
    BehindError,
    BeyondHeadError,
    BuildError,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    DeclarationError,
    EffectError,
    ExecutorError,
    KeyRefusedError,
    NeedsRebuildError,
    PausedError,
    ProjectionError,
    PublishError,
    ReadModelRefusedError,
    SupersededError,
    TargetUnavailableError,
    UnderWayError,
)
from projections.explaining.origin import why
from projections.explaining.past import as_of
from projections.explaining.rehearsal import diff_serving, rehearse, what_if
from projections.explaining.row_diff import RowDiff, diff, diff_tables
from projections.explaining.steps import Stepped, steps
from projections.flight_endpoint import FlightEndpoint, flight_endpoint
from projections.forms.frame import Frame
from projections.forms.handlers import Handlers
from projections.forms.sql import Sql
from projections.forms.typed import Typed
from projections.granted_endpoint import Certificate, GrantedEndpoint, granted_endpoint, token_hash
from projections.models.builds import Build, Builds
from projections.models.dead_letters import LETTERS, DeadLetters
from projections.models.filling import SHARDS, Filling
from projections.models.fingerprint import fingerprint
from projections.models.hold import Hold
from projections.models.leases import Lease, Leases
from projections.models.memory_model import MemoryModel
from projections.models.model import Model, Readable
from projections.models.read_model import ReadModel
from projections.models.serving_model import ServingModel
from projections.models.views import as_views
from projections.observer import Applied, Declined, Delayed, Folded, Halted, Measurement, Observer, Parked
from projections.place import Place
from projections.projection import Projection
from projections.published_file import Published
from projections.published_sql import publish_sql, published_at
from projections.reactors.reacting import Reacted, derived_id, react
from projections.reactors.reactor import Reactor
from projections.reactors.saga import Saga, Step
from projections.reactors.saga_events import Progress, saga_events
from projections.reactors.saga_running import Stuck, saga_reactor
from projections.reactors.target import PATIENCE_S, Call, Target
from projections.running.erasing import erase_everywhere, reapply_everywhere
from projections.running.executors import Executor, Processes, Ray, Serial
from projections.running.failing import Halt, Park
from projections.running.fill_shards import Filled, fill_shards, publish_shards
from projections.running.following import follow, follow_reactors, wait_for
from projections.running.live import Live
from projections.running.plan import Plan, plan_rebuild
from projections.running.rebuilding import Made, Rebuilt, fill_build, make_build, rebuild
from projections.running.redelivery import discard, retry
from projections.running.runner import CaughtUp, catch_up, fill, lag
from projections.running.sail_fill import check_on_sail, fill_on_sail
from projections.running.shard_fill import fill_by_shard
from projections.running.shard_task import ShardTask, Share, Written, fold_shards
from projections.running.status import Status, Statuses, status, statuses
from projections.sail.sail import Sail
from projections.typed_tables import typed_table, typed_tables
from projections.warehouse_sql import WarehouseSql

__all__ = [
    "BUILT_IN",
    "LETTERS",
    "PATIENCE_S",
    "SHARDS",
    "Applied",
    "ApplyError",
    "BehindError",
    "BeyondHeadError",
    "Build",
    "BuildError",
    "Builds",
    "Call",
    "CaughtUp",
    "Certificate",
    "CheckpointBeyondHeadError",
    "CheckpointMovedError",
    "DeadLetters",
    "DeclarationError",
    "Declined",
    "Delayed",
    "EffectError",
    "Executor",
    "ExecutorError",
    "Filled",
    "Filling",
    "FlightEndpoint",
    "Folded",
    "Frame",
    "GrantedEndpoint",
    "Halt",
    "Halted",
    "Handlers",
    "Hold",
    "KeyRefusedError",
    "Lease",
    "Leases",
    "Live",
    "Made",
    "Measurement",
    "MemoryModel",
    "Model",
    "NeedsRebuildError",
    "Observer",
    "Park",
    "Parked",
    "PausedError",
    "Place",
    "Plan",
    "Processes",
    "Progress",
    "Projection",
    "ProjectionError",
    "PublishError",
    "Published",
    "Ray",
    "Reacted",
    "Reactor",
    "ReadModel",
    "ReadModelRefusedError",
    "Readable",
    "Rebuilt",
    "RowDiff",
    "Saga",
    "Sail",
    "Serial",
    "ServingModel",
    "ShardTask",
    "Share",
    "Sql",
    "Status",
    "Statuses",
    "Step",
    "Stepped",
    "Stuck",
    "SupersededError",
    "Target",
    "TargetUnavailableError",
    "Typed",
    "UnderWayError",
    "WarehouseSql",
    "Written",
    "as_of",
    "as_views",
    "catch_up",
    "check_on_sail",
    "derived_id",
    "diff",
    "diff_serving",
    "diff_tables",
    "discard",
    "erase_everywhere",
    "event_types",
    "fill",
    "fill_build",
    "fill_by_shard",
    "fill_on_sail",
    "fill_shards",
    "fingerprint",
    "flight_endpoint",
    "fold_shards",
    "follow",
    "follow_reactors",
    "granted_endpoint",
    "lag",
    "make_build",
    "plan_rebuild",
    "publish_shards",
    "publish_sql",
    "published_at",
    "react",
    "reapply_everywhere",
    "rebuild",
    "rehearse",
    "retry",
    "saga_events",
    "saga_reactor",
    "status",
    "statuses",
    "steps",
    "streams",
    "token_hash",
    "typed_table",
    "typed_tables",
    "wait_for",
    "what_if",
    "why",
]
