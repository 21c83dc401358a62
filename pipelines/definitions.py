"""What Dagster loads: the assets of the chosen domain, and a job that catches all its projections up."""

from __future__ import annotations

from typing import Final

import dagster as dg

from pipelines.assets import domain_assets
from pipelines.domain import load_domain
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

CATCH_UP: Final = "catch_up"


def definitions(settings: Settings) -> dg.Definitions:
    """One domain over one warehouse."""
    assets = list(domain_assets(load_domain(settings.domain)))
    read_models = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
    return dg.Definitions(
        assets=assets,
        jobs=[dg.define_asset_job(CATCH_UP, selection=read_models, description="Bring every read model up to the head of the log.")],
        resources={"warehouse": Warehouse(uri=settings.warehouse)},
        # A process per step costs half a minute where the step takes half a second.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return definitions(Settings.read())
