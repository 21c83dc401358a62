"""The manifests of docs/kubernetes: Kubernetes, Dagster and this house take each of them, and they fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import kubernetes_validate
import pytest
import yaml
from dagster import DagsterInstance, DagsterRun
from dagster._cli import create_dagster_cli
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.config_schema import process_workspace_config
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster._serdes import ConfigurableClassData
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_postgres import DagsterPostgresStorage
from dagster_webserver.cli import create_dagster_webserver_cli
from kubernetes.client import ApiClient

from pipelines.cli.app import make_app
from pipelines.executors import executor_of
from pipelines.metrics import __main__ as metrics
from pipelines.settings import Settings

PLACE = Path(__file__).parents[2] / "docs" / "kubernetes"
KUBERNETES = "1.37"
INSTANCE_HOME = "/opt/dagster"
KUSTOMIZATION = yaml.safe_load((PLACE / "kustomization.yaml").read_text())
INSTANCE = yaml.safe_load((PLACE / "dagster.yaml").read_text())
OBJECTS = [one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((PLACE / name).read_text())]
KUBECONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "nobody"}}],
    "users": [{"name": "nobody", "user": {}}],
}  # fmt: skip


def of_kind(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] == kind}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("Deployment", "StatefulSet"):
        for name, one in of_kind(kind).items():
            yield name, one["spec"]["template"]


def told() -> dict[str, str]:
    """The environment of every pod of ours."""
    return {**of_kind("ConfigMap")["alluvium"]["data"], **of_kind("Secret")["alluvium"]["stringData"]}


def config_of(part: str) -> Any:
    return INSTANCE[part]["config"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    for name, value in told().items():
        monkeypatch.setenv(name, value)
    return told()


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_knows_every_field(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_field_that_it_does_not_know_is_refused() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": [{"port": 1}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_every_file_is_applied_or_put_into_the_instance() -> None:
    [generated] = KUSTOMIZATION["configMapGenerator"]
    named = {*KUSTOMIZATION["resources"], *generated["files"], "kustomization.yaml", "Dockerfile"}
    assert named == {file.name for file in PLACE.iterdir()}
    assert KUSTOMIZATION["namespace"] in of_kind("Namespace")


def test_dagster_takes_the_instance(tmp_path: Path, environment: Mapping[str, str]) -> None:
    (tmp_path / "dagster.yaml").write_text((PLACE / "dagster.yaml").read_text())
    read, _ = dagster_instance_config(str(tmp_path))
    assert read["run_retries"]["max_retries"] == 2
    for kind, config in (
        (DagsterPostgresStorage, INSTANCE["storage"]["postgres"]),
        (S3ComputeLogManager, config_of("compute_logs")),
        (K8sRunLauncher, config_of("run_launcher")),
    ):
        assert _resolved(kind, config)


def test_what_needs_neither_cluster_database_nor_bucket_makes_an_instance(tmp_path: Path) -> None:
    rest = {part: value for part, value in INSTANCE.items() if part not in ("storage", "run_launcher", "compute_logs")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(rest))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert (instance.run_monitoring_enabled, instance.run_retries_enabled) == (True, True)


def test_the_pod_of_a_run_is_one_that_kubernetes_takes_with_the_settings_of_all(tmp_path: Path, environment: Mapping[str, str]) -> None:
    (tmp_path / "kube").write_text(yaml.safe_dump(KUBECONFIG))
    outside = {"load_incluster_config": False, "kubeconfig_file": str(tmp_path / "kube")}
    config = _resolved(K8sRunLauncher, {**config_of("run_launcher"), **outside})
    launcher = K8sRunLauncher.from_config_value(ConfigurableClassData("dagster_k8s", "K8sRunLauncher", ""), config)
    context = K8sContainerContext.create_for_run(DagsterRun(job_name="rebuild"), launcher, include_run_tags=False)
    job = construct_dagster_k8s_job(context.get_k8s_job_config("acme:1", launcher), ["dagster", "api", "execute_run"], "run", context.run_k8s_config)
    made = ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(made, KUBERNETES, strict=True)
    pod = made["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "acme:1"
    assert {next(iter(one.values()))["name"] for one in container["envFrom"]} == {"alluvium"}
    assert {volume["configMap"]["name"] for volume in pod["volumes"]} <= {one["name"] for one in KUSTOMIZATION["configMapGenerator"]}
    assert pod["serviceAccountName"] in of_kind("ServiceAccount")
    assert (pod["securityContext"]["runAsNonRoot"], context.namespace) == (True, KUSTOMIZATION["namespace"])


def test_every_setting_exists_and_those_that_must_be_there_are(environment: Mapping[str, str]) -> None:
    known = {f"ALLUVIUM_{field.name.removesuffix('_all').upper()}" for field in fields(Settings)}
    given = {name for name in environment if name.startswith("ALLUVIUM_")}
    assert {"ALLUVIUM_WAREHOUSE", "ALLUVIUM_DOMAIN"} <= given <= known
    settings = Settings.read(environment)
    assert settings.warehouse.startswith("s3://")                # a pod has no disk that others see
    assert executor_of(settings.executor) is not None
    asked = {value["env"] for value in _mappings(INSTANCE) if set(value) == {"env"}}
    assert asked == {name for name in environment if name.startswith("DAGSTER_")}


def test_what_is_named_is_there() -> None:
    services = {name: {port["port"] for port in one["spec"]["ports"]} for name, one in of_kind("Service").items()}
    labels = [pod["metadata"]["labels"] for _, pod in pods()]
    assert all(one["spec"]["selector"] in labels for one in of_kind("Service").values())
    [server] = (one["grpc_server"] for one in yaml.safe_load((PLACE / "workspace.yaml").read_text())["load_from"])
    process_workspace_config(yaml.safe_load((PLACE / "workspace.yaml").read_text()))
    for address in (told()["DAGSTER_POSTGRES_URL"], *Settings.read(told()).scrape, f"grpc://{server['host']}:{server['port']}"):
        assert urlsplit(address).port in services[urlsplit(address).hostname or ""], address
    maps = {*of_kind("ConfigMap"), *(one["name"] for one in KUSTOMIZATION["configMapGenerator"])}
    for name, pod in pods():
        for one in _mappings(pod):
            assert one.get("configMapRef", one.get("configMap", {"name": "alluvium"}))["name"] in maps, name
            assert one.get("secretRef", {"name": "alluvium"})["name"] in of_kind("Secret"), name
        assert pod["spec"].get("serviceAccountName", "dagster") in of_kind("ServiceAccount")
        assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_the_database_lets_in_whom_the_settings_name() -> None:
    url, secret = urlsplit(told()["DAGSTER_POSTGRES_URL"]), of_kind("Secret")["dagster-postgres"]["stringData"]
    assert url.scheme == "postgresql+psycopg2"
    assert (url.username, url.password, url.path) == (secret["POSTGRES_USER"], secret["POSTGRES_PASSWORD"], f"/{secret['POSTGRES_DB']}")


def test_runs_are_of_the_image_that_the_code_is() -> None:
    [image] = KUSTOMIZATION["images"]
    [container] = dict(pods())["dagster-code"]["spec"]["containers"]
    assert container["image"] == image["name"]
    assert container["env"] == [{"name": "DAGSTER_CURRENT_IMAGE", "value": f"{image['newName']}:{image['newTag']}"}]


def test_every_command_is_understood_by_whom_it_calls() -> None:
    dagster: dict[str, click.Command] = {
        "dagster": create_dagster_cli(), "dagster-daemon": create_dagster_daemon_cli(), "dagster-webserver": create_dagster_webserver_cli(),
    }  # fmt: skip
    commands = {name: pod["spec"]["containers"][0].get("command", []) for name, pod in pods()}
    probe = dict(pods())["dagster-code"]["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    for program, *arguments in (command for command in [*commands.values(), probe] if command and command[0] in dagster):
        _understood(dagster[program], [argument.replace(INSTANCE_HOME, str(PLACE)) for argument in arguments])
    assert commands["alluvium-metrics"][:3] == ["python", "-m", metrics.__name__.removesuffix(".__main__")]
    assert metrics._parser().parse_args(commands["alluvium-metrics"][3:]).host == "0.0.0.0"
    _, bound, _ = make_app().parse_args(commands["alluvium-follower"][1:], exit_on_error=False, print_error=False)
    assert bound.arguments == {}


def _understood(command: click.Command, arguments: list[str]) -> None:
    """By click, down to the last subcommand; UsageError if not."""
    context = command.make_context(command.name, list(arguments))
    if isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, context.protected_args + context.args)
        assert found is not None, name
        _understood(found, rest)


def _resolved(kind: Any, config: Any) -> dict[str, Any]:
    from dagster._config import process_config, resolve_to_config_type

    found = process_config(resolve_to_config_type(kind.config_type()), config)
    assert found.success, found.errors
    assert found.value is not None
    return dict(found.value)


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """All that are anywhere in it."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(one)
