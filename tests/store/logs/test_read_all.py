"""What holds for one log holds for several that are read as one."""

from __future__ import annotations

from tests.store.test_read_all import *  # noqa: F403
