"""How the plots of the notebooks look, and how they get onto the page."""

from __future__ import annotations

from typing import Any, Final

import altair as alt

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREY: Final = "#8a8a8a"
"""Of the colours by Okabe and Ito, which the colour-blind can tell apart, as prints in grey can."""
_TEXT: Final = "#222"
_QUIET: Final = "#444"


def use_theme() -> None:
    """For all plots that follow: light grids, no frames, on white also where the page is dark; drawn by the notebook, without a network."""
    alt.theme.register("alluvium", enable=True)(_look)
    alt.renderers.register("notebook", _drawn_here)
    alt.renderers.enable("notebook")


def _look() -> alt.theme.ThemeConfig:
    axis = {"domain": False, "ticks": False, "labelPadding": 6, "gridColor": "#ececec"}
    labels = {"labelColor": _QUIET, "titleColor": _QUIET, "titleFontWeight": "normal"}
    # All colours of text are said: a dark JupyterLab would make the others white, on our white.
    title = {"color": _TEXT, "anchor": "start", "fontSize": 15, "offset": 12, "subtitleFontSize": 12, "subtitleColor": "#666", "subtitlePadding": 5}
    header = {"labelColor": _TEXT, "titleColor": _TEXT}
    parts = {"axis": axis | labels, "legend": labels, "header": header, "title": title}
    config: Any = {"background": "white", "padding": 14, "view": {"stroke": None}} | parts
    return {"config": config}


def _drawn_here(spec: dict[str, Any], **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As version 5 of Vega-Lite, which JupyterLab draws by itself: altair would say 6, or load scripts from the web. Our plots are of both."""
    return {"application/vnd.vegalite.v5+json": spec, "text/plain": "a plot"}, {}
