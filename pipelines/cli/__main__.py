"""`python -m pipelines.cli`: the same as `alluvium`."""

from __future__ import annotations

import sys

from pipelines.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
