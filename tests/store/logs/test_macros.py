"""What holds for one log holds for several that are read as one."""

from __future__ import annotations

from tests.store.test_macros import *  # noqa: F403
