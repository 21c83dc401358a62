"""Memory and disk traffic of this process, as the kernel counts them."""

from __future__ import annotations

import resource
from pathlib import Path


def resident_mb() -> float:
    """Resident now."""
    return _status("VmRSS") or _most_ever()


def peak_mb() -> float:
    """The most that was ever resident. Not getrusage where it can be helped: its maximum is handed down to a child by exec."""
    return _status("VmHWM") or _most_ever()


def written_bytes() -> int:
    """What this process has had written to disk since it began; 0 where the kernel does not count."""
    counts = Path("/proc/self/io")
    return next((int(line.split()[1]) for line in _lines(counts) if line.startswith("write_bytes:")), 0)


def _status(name: str) -> float:
    return next((int(line.split()[1]) / 1024 for line in _lines(Path("/proc/self/status")) if line.startswith(name)), 0.0)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _most_ever() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
