"""The published database, in step with the builds that serve."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Mapping

import dagster as dg

from pipelines import published
from pipelines.domain import Domain
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse


def publish_again(warehouse: Warehouse, domain: Domain) -> Mapping[str, str]:
    """Write the database anew where somebody has published one; as metadata, nothing where nobody has."""
    with hopeless_at_once():
        path = published.publish_again(warehouse.uri, domain.projections)
    return {} if path is None else {"published": str(path)}


@dg.op(retry_policy=TRYING, description="Write the published database anew, where there is one: with what has been made since.")
def publish(context: dg.OpExecutionContext, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    context.add_output_metadata(dict(publish_again(warehouse, domain)))
