"""The executor that a setting names."""

from __future__ import annotations

from pipelines.settings import SettingsError
from projections import Executor, Processes, Ray, Sail


def executor_of(setting: str) -> Executor | Sail | None:
    """None for `serial`: what is not dealt out needs no tasks. SettingsError: it names none."""
    kind, colon, rest = setting.partition(":")
    match kind:
        case "serial" if not colon:
            return None
        case "processes" if rest.isascii() and rest.isdecimal() and 1 <= int(rest) <= 64:
            return Processes(int(rest))
        case "ray" if bool(rest) == bool(colon):
            return Ray(rest or None)
        case "sail" if bool(rest) == bool(colon) and (not rest or rest.startswith(("grpc://", "grpc+tls://"))):
            return Sail(rest or None)
    known = "serial, processes:4 (1 to 64), ray, ray:address, sail, or sail:grpc://host:port"
    raise SettingsError(f"the executor {setting!r} is none: write {known} (ALLUVIUM_EXECUTOR)")
