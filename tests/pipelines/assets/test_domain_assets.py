from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import CATCH_UP, definitions
from pipelines.settings import Settings
from projections import BUILT_IN
from store import Event, open_store
from tests.pipelines import library

OUTSIDE = '''
import pyarrow as pa
from pipelines.domain import Domain
from projections import Projection, Sql

columns = pa.schema({"account": pa.string(), "events": pa.int64()})
accounts = Projection(
    name="accounts", version=3, key=("account",), columns=columns,
    form=Sql("select stream_id as account, 1 as events from events", {"events": "count"}),
)
domain = Domain(name="ledger", projections=(accounts,))
'''


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return library.loaded(tmp_path_factory.mktemp("nothing"))


def node(definitions: dg.Definitions, *key: str) -> dg.AssetSpec:
    [spec] = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == dg.AssetKey(list(key))]
    return spec


def parents(definitions: dg.Definitions, *key: str) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in node(definitions, *key).deps}


def test_a_projection_is_an_asset_that_tells_what_it_is(graph: dg.Definitions) -> None:
    spec = node(graph, "readers")
    assert (spec.group_name, spec.code_version, list(spec.owners)) == ("library", "1", ["team:books"])
    assert spec.kinds == {"deltalake", "duckdb"}
    assert {name: spec.tags[name] for name in ("domain", "form")} == {"domain": "library", "form": "sql"}
    assert (spec.metadata["key"], spec.metadata["reads"]) == ("reader", "Lent")
    assert [node(graph, name).tags["form"] for name in ("on_loan", "days", "lent_events")] == ["handlers", "frame", "typed"]


def test_a_read_model_stands_behind_the_typed_tables_of_the_events_that_it_names(graph: dg.Definitions) -> None:
    assert parents(graph, "lent_events") == {"events"}
    assert parents(graph, "readers") == {"events", "lent_events"}
    assert parents(graph, "on_loan") == {"events", "lent_events", "returned_events"}
    assert [parents(graph, projection.name) for projection in BUILT_IN] == [{"events"}] * len(BUILT_IN)


def test_the_log_is_external_and_the_snapshots_of_an_aggregate_with_a_policy_follow_it(graph: dg.Definitions) -> None:
    assert not graph.resolve_asset_graph().get(dg.AssetKey("events")).is_materializable
    assert node(graph, "events").group_name == "library"
    assert parents(graph, "snapshots", "book") == {"events"}


def test_a_domain_from_elsewhere_gets_everything_with_no_file_of_ours_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside_ledger.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    with open_store(str(tmp_path / "warehouse"), create=True) as store:
        store.append("account-1", [Event("Opened", {})])
    loaded = definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(tmp_path / "warehouse"), "ALLUVIUM_DOMAIN": "outside_ledger:domain"}))
    dg.Definitions.validate_loadable(loaded)
    with dg.DagsterInstance.ephemeral() as instance:
        assert loaded.resolve_job_def(CATCH_UP).execute_in_process(instance=instance).success
        made = instance.get_latest_materialization_event(dg.AssetKey("accounts"))
    assert made is not None
    assert made.asset_materialization is not None
    assert made.asset_materialization.metadata["dagster/row_count"].value == 1
    assert node(loaded, "accounts").code_version == "3"
