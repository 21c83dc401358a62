"""One runner's turn at a read model: what it read is what it changes, or it changes nothing."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.table import TableMerger

from projections.durable import refuse_torn, sync_checkpoint, sync_commits
from projections.errors import CheckpointMovedError, ProjectionError
from projections.projection import Projection

# A failing hook raises although the commit has landed, so checkpoints of the Delta log are made apart.
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_COMMITS_PER_CHECKPOINT: Final = 100
_GONE: Final = "#"  # no column of ours can be called so


class Turn:
    """Holds one DeltaTable for reading the checkpoint, reading rows and committing.

    The checkpoint is the commit's `txn` of the projection's name. Delta refuses a commit when another one with the same
    name came after the state it was read from; deltalake checks that only against the handle it is given, and does not
    compare the numbers. So a handle made anew for the commit would let two runners apply one batch twice.
    """

    def __init__(self, uri: str, projection: Projection, table: DeltaTable) -> None:
        self._uri, self._projection, self._table = uri, projection, table
        # The last runner may have died between its commit and the fsync; what we build on must be durable first.
        version = int(table.version())
        sync_commits(uri, version - 1, version)

    @property
    def checkpoint(self) -> int:
        return checkpoint_of(self._table, self._projection)

    def rows(self, keys: pa.Table) -> pa.Table:
        """The rows as of this turn that have one of these keys."""
        if not self._table.count():
            return self._projection.columns.empty_table()
        return rows_of(self._table, self._projection.columns).join(keys, list(self._projection.key), join_type="left semi")

    def commit(self, rows: pa.Table, checkpoint: int, deleted: pa.Table | None = None) -> None:
        """Put these rows (one a key) in the place of those with the same keys, and move the checkpoint, durably, or do neither.

        `deleted`: keys (each once, none of them in `rows`) whose rows go in the same commit, if there are any.
        CheckpointMovedError: another runner committed meanwhile. After any error this turn is over; take a new one.
        """
        before = self.checkpoint
        if checkpoint <= before:
            raise ValueError(f"the checkpoint moves forward only: {before} to {checkpoint}")
        version = int(self._table.version())
        properties = CommitProperties(app_transactions=[Transaction(self._projection.name, checkpoint)])
        try:
            if deleted is not None and len(deleted):
                self._merge_and_delete(rows, deleted, properties)
            elif len(rows):
                self._merge(rows, properties)
            if int(self._table.version()) == version:  # a merge that finds nothing to do commits nothing, no checkpoint either
                self._advance(properties)
            self._settle(version)
        except CommitFailedError as error:
            raise CheckpointMovedError(self._uri, before) from error
        except (DeltaError, OSError) as error:
            raise ProjectionError(f"{self._uri}: the commit failed, or its answer was lost: {error}; run again") from error

    def _advance(self, properties: CommitProperties) -> None:
        schema = self._table.schema()
        self._table.create_write_transaction([], "append", schema, commit_properties=properties, post_commithook_properties=_NO_HOOKS)
        self._table.update_incremental()

    def _merge(self, rows: pa.Table, properties: CommitProperties) -> None:
        self._merger(rows, properties).when_matched_update_all().when_not_matched_insert_all().execute()

    def _merge_and_delete(self, rows: pa.Table, deleted: pa.Table, properties: CommitProperties) -> None:
        """One batch of both; a row's flag says whether it goes."""
        flagged = [table.append_column(_GONE, pa.repeat(gone, len(table))) for table, gone in ((rows, False), (deleted, True))]
        merger = self._merger(pa.concat_tables(flagged, promote_options="default"), properties)
        merger = merger.when_matched_delete(f'batch."{_GONE}"').when_matched_update_all(except_cols=[_GONE])
        merger.when_not_matched_insert_all(f'not batch."{_GONE}"', except_cols=[_GONE]).execute()

    def _merger(self, batch: pa.Table, properties: CommitProperties) -> TableMerger:
        same_key = " and ".join(f'model."{name}" = batch."{name}"' for name in self._projection.key)
        return self._table.merge(
            batch, same_key, source_alias="batch", target_alias="model", commit_properties=properties, post_commithook_properties=_NO_HOOKS
        )

    def _settle(self, before: int) -> None:
        """Durable, with every commit since the state we read: we build on those too."""
        version = int(self._table.version())
        refuse_torn(self._uri)
        sync_commits(self._uri, before, version)
        if version // _COMMITS_PER_CHECKPOINT > before // _COMMITS_PER_CHECKPOINT:
            self._table.create_checkpoint()
            sync_checkpoint(self._uri)


def checkpoint_of(table: DeltaTable, projection: Projection) -> int:
    return int(table.transaction_version(projection.name) or 0)


def rows_of(table: DeltaTable, columns: pa.Schema, limit: int | None = None) -> pa.Table:
    """Rows of the state that `table` holds."""
    batches, wanted = [], limit
    for batch in pa.RecordBatchReader.from_stream(table.scan(columns=columns.names)):
        batches.append(batch.slice(0, wanted))
        if wanted is not None and (wanted := wanted - len(batch)) <= 0:
            break
    return pa.Table.from_batches(batches).cast(columns) if batches else columns.empty_table()
