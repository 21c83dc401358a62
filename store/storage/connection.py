"""How an object store is talked to: how long it is waited for, how often it is asked again, and whether over plain http."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from store.errors import StorageError

CONNECT_TIMEOUT_S: Final = 5.0
"""A handshake takes two or three round trips, 0.3 s around the globe; one lost SYN costs 1 s, two cost 3 s."""
REQUEST_TIMEOUT_S: Final = 20.0
"""For one request with its body, at most UPLOADS_AT_ONCE parts of 5 MiB side by side: what 1 MiB/s can do. A connection that died in
silence is noticed after this."""
RETRIES: Final = 5
FIRST_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 2.0
"""Between two requests a random time, which doubles at most: five take about 1 s, 3.1 s at worst. A restarting or throttling
store needs a second or two, and a caller who decides by the answer should not wait much longer."""
RETRY_TIMEOUT_S: Final = 30.0
"""After this no request is repeated: long enough for a second try after one that timed out, so that a verb ends within 50 s."""
IDLE_S: Final = 30.0
"""A connection unused for so long is not used again: NATs and load balancers forget one after a minute or more, and say nothing."""
UPLOADS_AT_ONCE: Final = 4
POLL_S: Final = 0.05
"""How often a follower looks for commits of others, each time a paid request."""


def client_options() -> Any:
    """What obstore's HTTP client is told."""
    options: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
        "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
        "pool_idle_timeout": timedelta(seconds=IDLE_S),
    }
    return options | ({"allow_http": True} if _plain_http() else {})


def retry_config() -> Any:
    """What obstore repeats: 5xx, 429 and broken connections; of what timed out only that which may be done twice."""
    backoff = {"init_backoff": timedelta(seconds=FIRST_BACKOFF_S), "max_backoff": timedelta(seconds=MAX_BACKOFF_S), "base": 2}
    return {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S), "backoff": backoff}


def storage_options() -> Mapping[str, str]:
    """The same for deltalake, which reads the other variables by itself, but asks for `aws_allow_http` by name."""
    options = {
        "connect_timeout": f"{CONNECT_TIMEOUT_S:.0f}s",
        "timeout": f"{REQUEST_TIMEOUT_S:.0f}s",
        "max_retries": str(RETRIES),
        "retry_timeout": f"{RETRY_TIMEOUT_S:.0f}s",
        "backoff_config.init_backoff": f"{FIRST_BACKOFF_S * 1000:.0f}ms",
        "backoff_config.max_backoff": f"{MAX_BACKOFF_S * 1000:.0f}ms",
    }
    return options | ({"aws_allow_http": "true"} if _plain_http() else {})


def _plain_http() -> bool:
    """Does the environment point to an endpoint without TLS, as a test server has?"""
    return any(endpoint.startswith("http://") for endpoint in _endpoints().values())


def check_endpoint() -> None:
    """StorageError: an endpoint in the environment is no plain address. obstore would panic at one, and a query or user may hold a key."""
    for name, endpoint in _endpoints().items():
        try:
            place = urlsplit(endpoint)
            plain = place.scheme in ("http", "https") and place.hostname and endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
        except ValueError:
            plain = False
        if not plain or place.username is not None or place.query or place.fragment:
            raise StorageError(f"{name} in the environment is no endpoint: write https://host or http://host:port, without user, query or spaces")


def _endpoints() -> dict[str, str]:
    """Those that the environment names."""
    return {name: os.environ[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT") if os.environ.get(name)}
