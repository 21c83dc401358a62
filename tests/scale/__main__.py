"""`python -m tests.scale`: the tables of docs/scale.md, as the code is now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.scale.report import tables

PAGE: Final = Path(__file__).parents[2] / "docs" / "scale.md"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into the page")
    given = parser.parse_args(arguments)
    told = tables()
    if given.write:
        PAGE.write_text(filled(PAGE.read_text(), told))
    else:
        sys.stdout.write("\n\n".join([*told.values(), ""]))


def filled(page: str, told: dict[str, str]) -> str:
    """The page with each table after its mark, in the place of the one that is there."""
    head, *parts = page.split("<!-- simulated: ")
    for number, part in enumerate(parts):
        name, _, rest = part.partition(" -->\n\n")
        _, blank, after = rest.partition("\n\n")
        parts[number] = f"{name} -->\n\n{told[name]}{blank}{after}"
    return "<!-- simulated: ".join([head, *parts])


if __name__ == "__main__":
    main()
