from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

from pipelines.assets.plot import MOST_RUNS, Run, plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: str) -> ElementTree.Element:
    [data] = re.fullmatch(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown).groups()  # type: ignore[union-attr]
    return ElementTree.fromstring(base64.b64decode(data))


def test_each_run_is_a_bar_as_high_as_its_events_beside_the_most() -> None:
    bars = drawn(plot([Run(0, 50, 1), Run(60, 100, 2), Run(120, 0, 2)])).findall(f"{SVG}rect")
    low, high, none = (int(bar.attrib["height"]) for bar in bars)
    assert (high, none) == (2 * low, 0)


def test_only_the_last_runs_are_drawn_and_inside_the_picture() -> None:
    picture = drawn(plot([Run(n, n, n) for n in range(MOST_RUNS + 5)]))
    bars = picture.findall(f"{SVG}rect")
    assert len(bars) == MOST_RUNS
    assert int(bars[-1].attrib["x"]) + int(bars[-1].attrib["width"]) <= int(picture.attrib["width"])
    assert f"at most {MOST_RUNS + 4}" in "".join(picture.itertext())


def test_it_is_small_enough_to_be_kept_with_every_run() -> None:
    assert len(plot([Run(1.7e9 + n, 10**6 + n, 10**6) for n in range(MOST_RUNS)])) < 6000


def test_runs_that_did_nothing_can_be_drawn() -> None:
    assert len(drawn(plot([Run(0, 0, 0)])).findall(f"{SVG}rect")) == 1
