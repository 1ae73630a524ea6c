"""Points of a plane as a chart."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from latentmap.diagnostics.label_colours import legend_of
from latentmap.explorer.points_of_plane import (
    UNKNOWN,
    PointsOfPlane,
    number_in_words,
    scale_colours,
)
from latentmap.report import Plot
from latentmap.report.colours import BLACK
from latentmap.report.plots import COLUMN, POINTS, set_height, width_of, wrapped

# In pixels of the page: the radius of a point where there are so many or more, and at most.
_RADII = ((50000, 1.0), (8000, 1.6), (2000, 2.4), (0, 3.2))
_LARGEST = 6.0
_PRINTED = 0.45  # Points of paper for such a pixel.
_RING = 4.5  # Points.
_FEW = 5000  # Points that pdf and svg hold one by one: more are pixels there.
_WIDTH = 12.0  # Centimetres, of a plane with a scale,
_ABOUT = 1.5, 1.9  # of what is about it, across and up,
_SCALE, _BELOW, _LINE = 2.0, 1.5, 0.42  # of a scale beside it and below it, and of a line.
_DOT = 1.0  # Of a legend, beside the letters,
_SMALL, _LETTER = 7.0, 0.58  # of so many points, which are wide by this part of it.
_TITLE = 24  # Letters of a line of its title.


def points_plot(found: PointsOfPlane, title: str) -> Plot:
    """Points in their plane, with what their colours mean beside it, or below it where the figure
    is narrow.
    """
    names, scale = _names(found), found.ends is not None
    beside = _SCALE if scale else max(_width_of(names), _TITLE * _LETTER * _SMALL / POINTS)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        width, (across, up) = width_of(figure), _ABOUT
        narrow = width < COLUMN * 1.4
        columns = max(1, int(width / _width_of(names))) if narrow else 1
        side = width - across - (0 if narrow else beside)
        below = _BELOW if scale and narrow else 0.0
        if narrow or scale:
            below += _LINE * (-(-len(names) // columns) + (0 if scale else 2))
        said = wrapped(title, side)  # A heading of the figure would lie on the legend.
        set_height(figure, side + up + below + _LINE * said.count("\n"))
        _draw_points(axis, found)
        if scale:
            _draw_scale(figure, axis, found, narrow=narrow)
        if names:
            _draw_names(figure, names, "" if scale else found.title, narrow=narrow, columns=columns)
        axis.set_title(said)

    return Plot(draw, width=_WIDTH if scale else _WIDTH - _SCALE + beside)


def _draw_points(axis: Any, found: PointsOfPlane) -> None:
    from matplotlib.colors import to_rgba_array

    box = found.box
    order = _order_of(len(found.xy))
    shown = order[found.seen[order]]
    closer = math.sqrt(max(1.0, found.whole / box.span))
    base = next(radius for least, radius in _RADII if len(found.xy) >= least)
    radius = _PRINTED * min(base * closer, _LARGEST)
    palette, places = found.painted
    points = axis.scatter(
        *found.xy[shown].T,
        s=(2 * radius) ** 2,
        c=to_rgba_array(palette)[places[shown]],
        linewidths=0,
        rasterized=len(shown) > _FEW,
    )
    points.set_in_layout(False)  # They lie inside of the axis.
    if found.taken is not None:
        at = found.xy[found.taken]
        for width, colour in ((2.2, "white"), (1.2, BLACK)):
            ring = {"markersize": 2 * _RING, "markerfacecolor": "none", "markeredgecolor": colour}
            axis.plot(*at, "o", markeredgewidth=width, **ring)
    half = box.span / 2
    axis.set_xlim(box.x - half, box.x + half)
    axis.set_ylim(box.y - half, box.y + half)
    axis.set_aspect("equal", anchor="SW")  # Elsewhere the layout cuts off what is beside it.
    axis.locator_params(nbins=7)
    axis.grid()
    across, up = found.axes
    axis.set_xlabel(f"{across} (standard deviations)")
    axis.set_ylabel(f"{up} (standard deviations)")


def _order_of(n: int) -> np.ndarray:
    """An order of points in which those of one label, which may follow each other, hide no others:
    that of the page.
    """
    stride = max(1, math.floor(n * 0.618))
    while math.gcd(stride, n) != 1:
        stride += 1
    return np.arange(n) * stride % n


def _names(found: PointsOfPlane) -> list[tuple[str, str]]:
    """What a legend says, each with the colour of its dot, empty for none."""
    rows: list[tuple[str, str]] = []
    if found.groups is not None:
        there = [(one, n) for one, n in zip(found.groups, found.counts, strict=True) if n]
        shown = legend_of([one["name"] or "(none)" for one, _ in there])
        rows += [
            (f"{name} ({n:,})", one["colour"]) for name, (one, n) in zip(shown, there, strict=False)
        ]
        more = len(there) - len(shown)
        if more:
            rows.append((f"and {more:,} more, in the same", ""))
            rows.append(("colours again", ""))
    if found.unknown:
        rows.append((f"not known ({found.unknown:,})", UNKNOWN))
    return rows


def _width_of(names: list[tuple[str, str]]) -> float:
    """About how wide a legend is, in centimetres."""
    letters = max((len(name) for name, _ in names), default=0)
    return letters * _LETTER * _SMALL / POINTS + _DOT


def _draw_names(
    figure: Any, names: list[tuple[str, str]], title: str, *, narrow: bool, columns: int
) -> None:
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], color=colour or BLACK, marker="o" if colour else "", linestyle="none")
        for _, colour in names
    ]
    figure.legend(
        dots,
        [name for name, _ in names],
        loc="outside lower left" if narrow or not title else "outside right upper",
        title="\n".join(textwrap.wrap(title, _TITLE)) or None,
        title_fontsize=_SMALL + 1,
        ncols=columns,
        frameon=False,
        alignment="left",
    )


def _draw_scale(figure: Any, axis: Any, found: PointsOfPlane, *, narrow: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    assert found.ends is not None, "asked before"
    low, high = found.ends
    colours, middle = scale_colours(), (low + high) / 2
    least, half, most = map(number_in_words, (low, middle, high))
    labels = {low: f"\N{LESS-THAN OR EQUAL TO} {least}", middle: half}
    labels[high] = f"\N{GREATER-THAN OR EQUAL TO} {most}"
    if low == high:  # Of one number, in the colour of the middle.
        colours, labels = [colours[len(colours) // 2]], {low: least}
        low, high = low - 1, high + 1
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, high), ListedColormap(colours)),
        ax=axis,
        location="bottom" if narrow else "right",
        shrink=0.8,
        aspect=25,
        ticks=list(labels),
        label=wrapped(found.title, 0.6 * _WIDTH),
    )
    bar.set_ticklabels(list(labels.values()))
    bar.outline.set_linewidth(0.6)
