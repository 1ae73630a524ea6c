"""The figure of a learning curve."""

from __future__ import annotations

import math
from typing import Any

from latentmap.relocation.several_maps import LearningCurve
from latentmap.report import Plot
from latentmap.report.colours import BLUE
from latentmap.report.plots import AXIS, columns_of, count_across, heading, set_height, width_of
from latentmap.report.words import images_in_words

_PANELS = {"r2": "R2 of the codes", "efficiency": "efficiency of the images"}


def curve_plot(curve: LearningCurve, *, title: str) -> Plot:
    """R2 and efficiency against the number of pairs, with the ranges of the draws."""
    # An efficiency is not defined where the target shows images no better than their mean.
    panels = {
        name: label
        for name, label in _PANELS.items()
        if all(math.isfinite(point.figures[name].value) for point in curve.points)
    }
    sizes = [point.n_pairs for point in curve.points]
    of = images_in_words(curve.n_test, curve.n_units)

    def draw(figure: Any) -> None:
        columns = columns_of(figure, max(len(panels), 1))
        rows = -(-len(panels) // columns) or 1
        set_height(figure, 6.5 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (name, label) in zip(axes, panels.items(), strict=False):
            _draw_panel(axis, curve, name)
            count_across(axis, sizes, width_of(figure) / columns - AXIS)
            axis.set_ylabel(label)
        heading(figure, f"{title}, {curve.method}, scored on {of}")

    return Plot(draw)


def _draw_panel(axis: Any, curve: LearningCurve, name: str) -> None:
    sizes = [point.n_pairs for point in curve.points]
    value, low, high = zip(*(point.figures[name] for point in curve.points), strict=True)
    axis.plot(sizes, value, marker="o", color=BLUE)
    axis.fill_between(sizes, low, high, alpha=0.25, linewidth=0, color=BLUE)
    axis.set_xlabel("pairs")
    axis.grid()
