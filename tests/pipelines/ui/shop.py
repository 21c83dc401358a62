"""A domain of somebody else: found by its import string alone, with no file of ours edited."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from pipelines.domain import Domain
from projections import Projection, Sql, typed_tables
from store import EventType, EventTypes


class Sold(msgspec.Struct, frozen=True):
    article: str
    cents: int


types = EventTypes(EventType("Sold", Sold))

takings = Projection(
    name="takings",
    version=1,
    key=("till",),
    columns=pa.schema({"till": pa.string(), "sales": pa.int64(), "cents": pa.int64()}),
    types=("Sold",),
    by_stream=True,
    description="What each till has taken.",
    form=Sql(
        "select stream_id as till, 1 as sales, (data ->> '$.cents')::bigint as cents from events",
        {"sales": "count", "cents": "sum"},
    ),
)
articles = Projection(
    name="articles",
    version=1,
    key=("article",),
    columns=pa.schema({"article": pa.string(), "sold": pa.int64()}),
    types=("Sold",),
    description="How often each article was sold.",
    form=Sql("select data ->> '$.article' as article, 1 as sold from events", {"sold": "count"}),
)
domain = Domain(name="shop", projections=(takings, articles, *typed_tables(types, ["Sold"])), event_types=types, owners=("team:shop",))
