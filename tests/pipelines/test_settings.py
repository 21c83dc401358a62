from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import Settings, SettingsError


def test_settings_have_defaults_below_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read({}) == Settings(warehouse=str(tmp_path / "warehouse"), domain="pipelines.flights.domain:domain", home=tmp_path)


def test_the_environment_decides() -> None:
    environment = {"ALLUVIUM_WAREHOUSE": "s3://bucket/w", "ALLUVIUM_DOMAIN": "acme.ledger:domain", "DAGSTER_HOME": "/home/d"}
    assert Settings.read(environment) == Settings(warehouse="s3://bucket/w", domain="acme.ledger:domain", home=Path("/home/d"))


def test_what_runs_by_itself_is_set_by_the_environment() -> None:
    given = {"SENSOR_S": "30", "REBUILD": "all", "REBUILD_CRON": "0 1 * * *", "BACKUP": "s3://b/backup", "ALERT_URL": "https://chat.example/hook"}
    settings = Settings.read({f"ALLUVIUM_{name}": value for name, value in given.items()})
    assert (settings.sensor_s, settings.rebuild_all, settings.rebuild_cron) == (30, True, "0 1 * * *")
    assert (settings.backup, settings.alert_url) == ("s3://b/backup", "https://chat.example/hook")
    assert Settings.read({"ALLUVIUM_SENSOR_S": ""}).sensor_s == 1


def test_the_processes_that_tell_their_metrics_are_named_with_commas_between_them() -> None:
    settings = Settings.read({"ALLUVIUM_SCRAPE": "http://a:1/metrics, http://b:2/metrics,,http://a:1/metrics", "ALLUVIUM_METRICS_CRON": "* * * * *"})
    assert (settings.scrape, settings.metrics_cron, settings.metrics_days) == (("http://a:1/metrics", "http://b:2/metrics"), "* * * * *", 30)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SENSOR_S", "0", "ALLUVIUM_SENSOR_S is '0': write a whole number of seconds from 1 on"),
        ("SENSOR_S", "5s", "ALLUVIUM_SENSOR_S is '5s'"),
        ("METRICS_DAYS", "-1", "ALLUVIUM_METRICS_DAYS is '-1': write a whole number of days from 1 on"),
        ("SCRAPE", "http://app:9464/metrics,app:9465", "ALLUVIUM_SCRAPE is no address of the web"),
        ("REBUILD", "some", "ALLUVIUM_REBUILD is 'some': write one of needed, all"),
        ("ALERT_URL", "chat.example/hook", "ALLUVIUM_ALERT_URL is no address of the web: write https://"),
        ("ALERT_URL", "file:///etc/passwd", "ALLUVIUM_ALERT_URL is no address"),
        ("ALERT_URL", "http://[", "ALLUVIUM_ALERT_URL is no address"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_the_remedy(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.read({f"ALLUVIUM_{name}": value})
