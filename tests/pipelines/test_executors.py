from __future__ import annotations

import pytest

from pipelines.executors import executor_of
from pipelines.settings import Settings, SettingsError
from projections import Executor, Processes, Ray, Sail
from tests.pipelines.ledger import loaded


@pytest.mark.parametrize(
    ("setting", "executor"),
    [
        ("serial", None),
        ("processes:4", Processes(4)),
        ("ray", Ray()),
        ("ray:auto", Ray("auto")),
        ("ray:ray://head:10001", Ray("ray://head:10001")),
        ("sail", Sail()),
        ("sail:grpc://head:32010", Sail("grpc://head:32010")),
        ("sail:grpc+tls://head:1", Sail("grpc+tls://head:1")),
    ],
)
def test_a_setting_names_an_executor(setting: str, executor: Executor | Sail | None) -> None:
    assert executor_of(Settings.read({"ALLUVIUM_EXECUTOR": setting}).executor) == executor


@pytest.mark.parametrize(
    "setting",
    ["", "threads", "processes", "processes:", "processes:0", "processes:65", "processes:٣", "ray:", "serial:2", "sail:", "sail:head:32010"],
)
def test_what_names_none_is_refused_with_what_to_write(setting: str) -> None:
    with pytest.raises(SettingsError, match=r"write serial, processes:4 \(1 to 64\), ray, ray:address, sail, or sail:grpc://host:port"):
        executor_of(setting)


def test_a_wrong_one_is_found_when_dagster_loads(tmp_path: object) -> None:
    with pytest.raises(SettingsError, match="'threads' is none"):
        loaded(str(tmp_path), executor="threads")
