from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from pipelines.jobs.shards import PARTITIONS, shard_assets
from projections import SHARDS, Builds, Leases, ServingModel, fill_build, streams
from store import open_store
from tests.pipelines.jobs.conftest import Run, steps, why
from tests.pipelines.ledger import BALANCES, OWNERS, deposit, loaded

KEY, PROMOTED = dg.AssetKey(["rebuild", "balances"]), dg.AssetKey(["rebuild", "balances", "promoted"])


Fill = Callable[[str], dict[str, Any]]


@pytest.fixture
def fill(warehouse: str) -> Iterator[Fill]:
    """Runs a partition, and says what it told."""
    job = loaded(warehouse).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:

        def fill(shard: str) -> dict[str, Any]:
            result = job.get_subset(asset_selection={KEY}).execute_in_process(instance=instance, partition_key=shard, raise_on_error=False)
            assert result.success, why(result)
            [made] = result.asset_materializations_for_node("rebuild__balances")
            return {name: value.value for name, value in made.metadata.items()}

        yield fill


def promote(warehouse: str) -> dg.ExecuteInProcessResult:
    """Materializes what comes after all partitions."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = loaded(warehouse).resolve_implicit_global_asset_job_def().get_subset(asset_selection={PROMOTED})
        return job.execute_in_process(instance=instance, raise_on_error=False)


def fill_all(warehouse: str) -> None:
    with open_store(warehouse) as store:
        fill_build(store, warehouse, BALANCES)


def balances(warehouse: str) -> dict[str, int]:
    return {row["account"]: row["total"] for row in ServingModel(warehouse, BALANCES).rows().to_pylist()}


def test_the_partitions_are_all_the_shards() -> None:
    assert tuple(PARTITIONS.get_partition_keys()) == SHARDS


def test_only_what_goes_by_stream_has_one_and_beside_the_read_models() -> None:
    graph = loaded("w").resolve_asset_graph()
    assert {key.path[1] for key in graph.get_all_asset_keys() if key.path[0] == "rebuild"} == {"balances", streams.name}
    assert list(shard_assets([OWNERS])) == []
    assert (graph.get(KEY).group_name, graph.get(PROMOTED).group_name) == ("rebuild_balances", "rebuild_balances")
    assert (graph.get(PROMOTED).parent_keys, graph.get(PROMOTED).is_partitioned) == ({KEY}, False)


def test_a_backfill_in_any_order_makes_a_build_that_is_promoted(run: Run, warehouse: str, fill: Fill) -> None:
    run("catch_up")
    before = balances(warehouse)
    first, *others = reversed(SHARDS)
    told = fill(first)
    assert (told["shards_left"], told["until"], told["build"]) == (15, 40, "v1-2")
    deposit(warehouse, [3])
    for shard in [*others, first]:
        told = fill(shard)
    assert (told["shards_left"], told["events"], told["next"]) == (0, 0, "materialize rebuild/balances/promoted")
    assert balances(warehouse) == before
    result = promote(warehouse)
    assert steps(result) == {f"rebuild__balances__promoted.{step}" for step in ("of_balances", "make", "check", "switch")}
    [made] = result.asset_materializations_for_node("rebuild__balances__promoted")
    assert made.metadata["serving"].value == "v1-2"
    assert balances(warehouse) == before | {"account-3": 75}


def test_the_first_build_of_all_is_made_by_a_backfill_as_well(warehouse: str, fill: Fill) -> None:
    fill("h3")
    fill_all(warehouse)
    assert (len(balances(warehouse)), promote(warehouse).success, len(balances(warehouse))) == (0, True, 10)


def test_the_job_promotes_what_was_filled_too(run: Run, warehouse: str) -> None:
    run("catch_up")
    fill_all(warehouse)
    assert steps(run("promote")) == {"choose_made", "make[balances]", "check[balances]", "switch[balances]"}
    assert Builds(warehouse).serving(BALANCES).build == "v1-2"  # type: ignore[union-attr]


def test_a_build_of_which_shards_are_missing_is_neither_promoted_nor_rebuilt_by_itself(run: Run, warehouse: str, fill: Fill) -> None:
    run("catch_up")
    fill("h0")
    for result in (run("promote"), promote(warehouse), run("rebuild", choose={"projections": ["balances"]})):
        assert "1 of 16 shards are filled up to position 40" in why(result)
    assert steps(run("rebuild", choose={"every": True})).isdisjoint({"make[balances]", "switch[balances]"})
    assert Builds(warehouse).serving(BALANCES).build == "v1"  # type: ignore[union-attr]


def test_a_backfill_of_what_is_being_rebuilt_fails_at_once_and_says_by_whom(run: Run, warehouse: str, fill: Fill) -> None:
    run("catch_up")
    with Leases(warehouse).held("balances"), pytest.raises(AssertionError, match="process"):
        fill("h0")


def test_nothing_that_waits_is_promoted_where_nothing_does(run: Run) -> None:
    run("catch_up")
    assert steps(run("promote")) == {"choose_made"}
    assert "balances has no build in the making by the code of now" in why(run("promote", choose_made={"projections": ["balances"]}))
