"""The published database of a warehouse, kept in step with the builds that serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from projections import Projection, publish_sql, published_at


def publish_again(warehouse: str, projections: Sequence[Projection]) -> Path | None:
    """Write it anew where somebody has published one; None where nobody has. PublishError: it cannot be written."""
    return publish_sql(warehouse, projections).path if published_at(warehouse).is_file() else None
