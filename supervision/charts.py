"""图表. Charts as SVG, drawn here and shown anywhere: no script, nothing fetched, the same bytes for the same numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "DejaVu Sans")
_INK, _GRID = "#222222", "#d8d8d2"
COLOURS = ("#2f5d8a", "#c8102e", "#7a8f3c", "#b07d2b")


@cache
def _style() -> dict[Any, Any]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    family = [name for name in _FONTS if name in installed]
    return {
        "svg.fonttype": "none",  # letters stay letters: they can be read out, searched and embedded
        "svg.hashsalt": "huiyin",
        "font.family": family or ["sans-serif"],
        "font.size": 9,
        "axes.edgecolor": _INK,
        "axes.unicode_minus": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }


def bars(labels: Sequence[str], values: Sequence[int], *, unit: str = "件") -> str:
    """Return a chart of bars that lie, one a label, the first on top, each with its number."""
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(6.3, 0.45 + 0.27 * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(labels))
        axes.barh(places, values, color=COLOURS[0], height=0.62)
        axes.set_yticks(places, [_short(label) for label in labels])
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        for place, value in zip(places, values, strict=True):
            axes.annotate(f" {value:,}{unit}", (value, place), va="center", fontsize=8, color=_INK)
        return _svg(figure)


def lines(labels: Sequence[str], series: Sequence[tuple[str, Sequence[int]]], *, unit: str = "件") -> str:
    """Return a chart of lines over days or months."""
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(6.3, 2.3), layout="constrained")
        axes = figure.add_subplot()
        for colour, (name, values) in zip(COLOURS, series, strict=False):
            axes.plot(range(len(labels)), values, color=colour, linewidth=1.6, marker="o", markersize=2.4, label=name)
        every = max(1, -(-len(labels) // 12))
        axes.set_xticks(range(0, len(labels), every), [labels[n] for n in range(0, len(labels), every)])
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.set_ylabel(unit, rotation=0, labelpad=8)
        axes.grid(visible=True, axis="y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def _short(label: str, most: int = 18) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _svg(figure: Figure) -> str:
    """Return the drawing without what stands before it, so that it lies within a page."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    found = re.search(r"<svg.*</svg>", written.getvalue(), re.DOTALL)
    assert found is not None
    bare = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", found[0], flags=re.DOTALL)
    bare = re.sub(r'<g id="[^"]*"', "<g", bare)  # several on a page must not share their names
    return bare.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
