"""The settings, and the only place that reads the environment."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from store import MASTER_KEY_BYTES

IN_THE_WAREHOUSE: Final = "table"
NO_KEYS: Final = "none"
FLIGHTS: Final = "pipelines.flights.domain:domain"


class SettingsError(Exception):
    """A setting makes no sense. The message says which, and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`warehouse`: a directory or an object-store URI (ALLUVIUM_WAREHOUSE). `domain`: an import string (ALLUVIUM_DOMAIN).

    `home`: the directory that holds dagster.yaml (DAGSTER_HOME); Dagster's state lies in `.dagster` below it.
    `sensor_s`: seconds between two looks at what lags, at least (ALLUVIUM_SENSOR_S). Dagster's daemon takes five for a round, so every round by
    default: at 5 it would find that they are not quite over, and leave out every other round.
    `…_cron`: when the schedules are due (ALLUVIUM_…_CRON), in `timezone` (ALLUVIUM_TIMEZONE).
    `rebuild_all`: every night all read models, not only those that need it (ALLUVIUM_REBUILD=all).
    `executor`: where rebuilds of projections by stream run: serial, processes:4, ray, or ray:address;
    of those in SQL: sail, or sail:grpc://host:port (ALLUVIUM_EXECUTOR).
    `metrics_cron`: when metrics are kept (ALLUVIUM_METRICS_CRON), for `metrics_days` (ALLUVIUM_METRICS_DAYS); `scrape`: the addresses of processes
    that tell theirs (ALLUVIUM_SCRAPE, with commas between them).
    `keys`: where the keys of personal data are (ALLUVIUM_KEYS): a table of the warehouse, none for this process, or the import string of a function
    that makes them; `master_key`: by which that table is wrapped, the newest first (ALLUVIUM_MASTER_KEY: base64 of 32 bytes, with commas between).
    `grants`: the file that says what others see in SQL (ALLUVIUM_GRANTS).
    `backup`: the place of the backup (ALLUVIUM_BACKUP). `alert_url`: is told of failed runs (ALLUVIUM_ALERT_URL). Without them, neither is done.
    """

    warehouse: str
    domain: str
    home: Path
    sensor_s: int = 1
    rebuild_all: bool = False
    rebuild_cron: str = "0 3 * * *"
    maintenance_cron: str = "17 * * * *"
    verify_cron: str = "0 4 * * 0"
    backup_cron: str = "30 2 * * *"
    checks_cron: str = "37 * * * *"
    full_checks_cron: str = "0 5 * * 0"
    attest_cron: str = "50 1 * * *"
    executor: str = "serial"
    metrics_cron: str = "*/10 * * * *"
    metrics_days: int = 30
    scrape: tuple[str, ...] = ()
    timezone: str = "UTC"
    keys: str = IN_THE_WAREHOUSE
    master_key: tuple[bytes, ...] = field(default=(), repr=False)
    grants: Path | None = None
    backup: str | None = None
    alert_url: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """SettingsError: one of them makes no sense."""
        given = {name.removeprefix("ALLUVIUM_").lower(): value for name, value in environment.items() if name.startswith("ALLUVIUM_") and value}
        crons = ("rebuild_cron", "maintenance_cron", "verify_cron", "backup_cron", "checks_cron", "full_checks_cron", "metrics_cron", "attest_cron")
        return cls(
            warehouse=given.get("warehouse", str(Path("warehouse").absolute())),
            domain=given.get("domain", FLIGHTS),
            home=Path(environment.get("DAGSTER_HOME") or Path.cwd()),
            sensor_s=_whole("ALLUVIUM_SENSOR_S", given.get("sensor_s", "1"), "seconds"),
            metrics_days=_whole("ALLUVIUM_METRICS_DAYS", given.get("metrics_days", "30"), "days"),
            scrape=_web_addresses("ALLUVIUM_SCRAPE", given.get("scrape", "")),
            rebuild_all=_chosen("ALLUVIUM_REBUILD", given.get("rebuild", "needed"), ("needed", "all")) == "all",
            grants=Path(given["grants"]) if "grants" in given else None,
            alert_url=_web_address("ALLUVIUM_ALERT_URL", given.get("alert_url")),
            master_key=_master_keys("ALLUVIUM_MASTER_KEY", given.get("master_key", "")),
            **{name: given[name] for name in (*crons, "executor", "timezone", "backup", "keys") if name in given},
        )


def _whole(name: str, value: str, of: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) < 1:
        raise SettingsError(f"{name} is {value!r}: write a whole number of {of} from 1 on")
    return int(value)


def _chosen(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}: write one of {', '.join(choices)}")
    return value


def _web_address(name: str, value: str | None) -> str | None:
    """Its value is never told: who knows such an address may post there."""
    try:
        parts = urlsplit(value or "https://nobody")
        if parts.scheme in ("http", "https") and parts.hostname:
            return value
    except ValueError:                             # half an IPv6 address
        pass
    raise SettingsError(f"{name} is no address of the web: write https:// or http://, a host, and what is meant there")


def _master_keys(name: str, value: str) -> tuple[bytes, ...]:
    """Their values are never told."""
    try:
        keys = tuple(base64.b64decode(key.strip(), validate=True) for key in value.split(",") if key.strip())
    except ValueError:
        keys = (b"",)
    if any(len(key) != MASTER_KEY_BYTES for key in keys):
        raise SettingsError(f"{name} holds no master key: write base64 of {MASTER_KEY_BYTES} random bytes, as `openssl rand -base64 32` gives")
    return keys


def _web_addresses(name: str, value: str) -> tuple[str, ...]:
    given = dict.fromkeys(address.strip() for address in value.split(",") if address.strip())
    for address in given:
        _web_address(name, address)
    return tuple(given)
