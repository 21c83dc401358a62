"""What other processes tell of themselves, read as Prometheus reads it."""

from __future__ import annotations

import http.client
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from pipelines.metrics.samples import Sample, samples_of

TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 8 << 20


class ScrapeError(Exception):
    """An address did not tell its metrics. The message says why."""


def scrape(address: str, timeout_s: float = TIMEOUT_S) -> list[Sample]:
    """What is told of Alluvium at an address such as `http://host:port/metrics`. ScrapeError: nothing, or something else."""
    source = source_of(address)
    try:
        with urlopen(Request(address, headers={"User-Agent": "alluvium", "Accept": "text/plain"}), timeout=timeout_s) as answer:
            text = answer.read(MOST_BYTES + 1)
    except (URLError, TimeoutError, OSError, http.client.HTTPException) as error:
        raise ScrapeError(f"{source} does not answer ({getattr(error, 'reason', error)})") from error
    if len(text) > MOST_BYTES:
        raise ScrapeError(f"{source} tells more than {MOST_BYTES:,} bytes")
    try:
        return samples_of(source, text_string_to_metric_families(text.decode()))
    except ValueError as error:                    # UnicodeDecodeError is one
        raise ScrapeError(f"{source} tells no metrics of Prometheus ({error})") from error


def source_of(address: str) -> str:
    """By which it is told apart; without what may be secret in an address."""
    parts = urlsplit(address)
    return f"{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
