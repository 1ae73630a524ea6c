"""The figure of a comparison of support sets."""

from __future__ import annotations

import math
from typing import Any

from latentmap.intervals import Estimate
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.report import Plot
from latentmap.report.colours import BLACK, GREY, SERIES
from latentmap.report.plots import AXIS, COLUMN, PAGE, count_across, heading, set_height, width_of
from latentmap.support.verdicts import SupportComparison

_PANELS = {"r2": "R2 of the codes", "efficiency": "efficiency of the images"}
_APART = 0.02  # Error bars of one size beside each other, as a share of the size.


def support_plot(compared: SupportComparison, *, title: str) -> Plot:
    """R2 and efficiency of every strategy against the size of the set, and below how much they are
    above those of random images, with 95 % intervals; side by side, or one below the other in a
    column. Random images are black.

    The dashed line is the map from all images. An efficiency that is not defined is left out.
    """
    panels = {
        name: label
        for name, label in _PANELS.items()
        if all(math.isfinite(getattr(point, name).value) for point in compared.points)
    }
    draws = compared.points[0].draws
    scored = f"{draws} draws, scored on {compared.n_test} images"

    def draw(figure: Any) -> None:
        many = max(len(panels), 1)
        narrow = width_of(figure) < 1.4 * COLUMN
        set_height(figure, 9.0 * many if narrow else 11.0)
        across = width_of(figure) / (1 if narrow else many) - AXIS
        shape = (2 * many, 1) if narrow else (2, many)
        axes = figure.subplots(*shape, squeeze=False, sharex=True)
        pairs = axes.reshape(many, 2) if narrow else axes.T
        for (above, below), (name, label) in zip(pairs, panels.items(), strict=False):
            _draw_panel(above, below, compared, name, across)
            little = name == "efficiency" and compared.has_high_floor
            above.set_ylabel(f"{label}\n(it says little)" if little else label)
        if panels:
            handles, names = pairs[0, 0].get_legend_handles_labels()
            columns = 2 if narrow else len(names)
            figure.legend(handles, names, loc="outside lower center", ncols=columns)
        said = f"; efficiency says little: {HIGH_FLOOR}" * compared.has_high_floor
        heading(figure, f"{title}, {compared.record['method']}, {scored}{said}")

    return Plot(draw, width=PAGE if len(panels) > 1 else COLUMN * 1.3)


def _draw_panel(
    above: Any, below: Any, compared: SupportComparison, name: str, width: float
) -> None:
    """A figure of the strategies, and what they have over random images; ``width`` as of an
    axis.
    """
    rivals = [one for one in compared.strategies if one != "random"]
    above.axhline(
        compared.all_r2 if name == "r2" else compared.all_efficiency,
        color=GREY,
        linestyle="--",
        label=f"all {compared.n_candidates} images",
    )
    below.axhline(0, color=BLACK)
    _draw(above, compared, "random", name, colour=BLACK, shift=0)
    for number, strategy in enumerate(rivals):
        shift = (number - (len(rivals) - 1) / 2) * _APART
        colour = SERIES[number % len(SERIES)]
        _draw(above, compared, strategy, name, colour=colour, shift=shift)
        _draw(below, compared, strategy, f"{name}_gain", colour=colour, shift=shift)
    below.set_ylabel("above random images")
    below.set_xlabel("images in the set")
    for axis in (above, below):
        count_across(axis, compared.sizes, width)
        axis.grid()


def _draw(
    axis: Any,
    compared: SupportComparison,
    strategy: str,
    name: str,
    *,
    colour: str,
    shift: float,
) -> None:
    points = [point for point in compared.points if point.strategy == strategy]
    estimates: list[Estimate] = [getattr(point, name) for point in points]
    value = [one.value for one in estimates]
    axis.errorbar(
        [point.size * (1 + shift) for point in points],
        value,
        yerr=[
            [one.value - one.low for one in estimates],
            [one.high - one.value for one in estimates],
        ],
        color=colour,
        marker="o",
        label=strategy,
    )
