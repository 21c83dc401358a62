"""The log of a warehouse for those who have DuckDB and nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from store.delta.checkpoint import versions
from store.errors import TableRefusedError
from store.live_sql import log_views, opening, snapshots_view
from store.logs.logs import Logs
from store.open import open_store
from store.storage.places import join, objects_at


class LiveLog(NamedTuple):
    """`root`: the absolute path of the warehouse. `statements`: make views and macros in an empty DuckDB database. `names`: of the views."""

    root: str
    statements: Sequence[str]
    names: Sequence[str]


def live_log(uri: str) -> LiveLog:
    """Views over the log and the snapshots that follow them by themselves: appends, merges, checkpoints, clean-up, vacuums.

    Where there is no checkpoint of them yet, one is written: the views find the state by it. Snapshots are left out while none was ever saved.
    TableRefusedError: there is no log, one without events, several, or one in an object store, where DuckDB lists nothing without an extension.
    """
    with closing(objects_at(join(uri, "events"))) as objects:
        if objects.filesystem() is not None:
            remedy = "read it by delta-rs, Polars or Sail, or ask `store.sql`; docs/other-tools.md shows how"
            raise TableRefusedError(uri, "views can follow the files of a directory only", remedy)
        with open_store(uri) as store:
            if isinstance(store, Logs):
                raise TableRefusedError(uri, f"it has several logs ({', '.join(store.logs())}), and views follow one", "ask `store.sql`")
            if not store.head():
                raise TableRefusedError(uri, "its log has no events, and DuckDB reads no table without files", "append some first")
            if not versions(objects):
                store.checkpoint()
            snapshots = [snapshots_view()] if store.snapshots.open_to_views() else []
        root = objects.uri.rpartition("/")[0]
    names = ["events", "located_events", "kdb.records", *(["snapshots"] if snapshots else [])]
    return LiveLog(root, [*opening(root), *log_views(), *snapshots], names)
