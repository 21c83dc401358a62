from __future__ import annotations

import dagster as dg
import pytest

from pipelines.jobs.shards import PARTITIONS, RANGES, shard_assets
from pipelines.warehouse import Warehouse
from projections import SHARDS, Builds, ServingModel, streams
from tests.pipelines.jobs.conftest import Run, steps, why
from tests.pipelines.ledger import BALANCES, OWNERS, deposit, domain, loaded

KEY = dg.AssetKey(["rebuild", "balances"])


@pytest.fixture
def asset() -> dg.AssetsDefinition:
    return next(shard_assets(domain.projections))


def fill(asset: dg.AssetsDefinition, warehouse: str, instance: dg.DagsterInstance, partition: str) -> dict[str, object]:
    events = dg.AssetSpec("events")
    result = dg.materialize([asset, events], instance=instance, partition_key=partition, resources={"warehouse": Warehouse(uri=warehouse)})
    [made] = result.asset_materializations_for_node(asset.node_def.name)
    return {name: value.value for name, value in made.metadata.items()}


def test_the_ranges_are_all_the_shards_each_once() -> None:
    assert tuple(shard for shards in RANGES.values() for shard in shards) == SHARDS
    assert PARTITIONS.get_partition_keys() == list(RANGES)


def test_only_what_goes_by_stream_has_one_and_beside_the_read_models() -> None:
    graph = loaded("w").resolve_asset_graph()
    assert {key.path[1] for key in graph.get_all_asset_keys() if key.path[0] == "rebuild"} == {"balances", streams.name}
    assert list(shard_assets([OWNERS])) == []
    assert graph.get(KEY).group_name == "rebuild"


def test_a_backfill_in_any_order_makes_a_build_that_is_promoted(run: Run, warehouse: str, asset: dg.AssetsDefinition) -> None:
    run("catch_up")
    before = ServingModel(warehouse, BALANCES).rows().to_pylist()
    with dg.DagsterInstance.ephemeral() as instance:
        first, *others = reversed(RANGES)
        told = fill(asset, warehouse, instance, first)
        assert (told["shards_left"], told["until"], told["build"]) == (14, 40, "v1-2")
        deposit(warehouse, [3])
        for partition in [*others, first]:
            told = fill(asset, warehouse, instance, partition)
        assert (told["shards_left"], told["events"], told["next"]) == (0, 0, "run the job `promote`")
        assert instance.get_materialized_partitions(asset.key) == set(RANGES)
    assert ServingModel(warehouse, BALANCES).rows().to_pylist() == before
    result = run("promote")
    assert steps(result) == {"choose_made", "make[balances]", "check[balances]", "switch[balances]"}
    assert Builds(warehouse).serving(BALANCES).build == "v1-2"  # type: ignore[union-attr]
    after = {row["account"]: row["total"] for row in before} | {"account-3": 75}
    assert {row["account"]: row["total"] for row in ServingModel(warehouse, BALANCES).rows().to_pylist()} == after


def test_a_build_of_which_shards_are_missing_is_not_promoted(run: Run, warehouse: str, asset: dg.AssetsDefinition) -> None:
    run("catch_up")
    with dg.DagsterInstance.ephemeral() as instance:
        fill(asset, warehouse, instance, "h0-h1")
    assert "2 of 16 shards are filled up to position 40" in why(run("promote"))
    assert Builds(warehouse).serving(BALANCES).build == "v1"  # type: ignore[union-attr]


def test_nothing_that_waits_is_promoted_where_nothing_does(run: Run) -> None:
    run("catch_up")
    assert steps(run("promote")) == {"choose_made"}
    assert "balances has no build in the making by the code of now" in why(run("promote", choose_made={"projections": ["balances"]}))
