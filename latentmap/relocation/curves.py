"""The figure of a learning curve."""

from __future__ import annotations

from typing import Any

from latentmap.relocation.curve_baselines import best_level
from latentmap.relocation.curve_table import figure_titles
from latentmap.relocation.learning import LearningCurve
from latentmap.report import Plot
from latentmap.report.colours import BLUE, VERMILION
from latentmap.report.plots import (
    AXIS,
    COLUMN,
    PAGE,
    columns_of,
    count_across,
    heading,
    set_height,
    width_of,
    wrapped,
)
from latentmap.report.words import images_in_words


def curve_plot(curve: LearningCurve, *, title: str) -> Plot:
    """R2 and efficiency against the number of pairs, with their intervals over images and, as
    lines, the ranges of the draws; dashed the level of the best baseline; below, how many pairs are
    enough.
    """
    panels = figure_titles(curve)
    sizes = [point.n_pairs for point in curve.points]
    of = images_in_words(curve.n_test, curve.n_units)

    def draw(figure: Any) -> None:
        columns = columns_of(figure, max(len(panels), 1))
        rows = -(-len(panels) // columns) or 1
        set_height(figure, 6.5 * rows + 1.5)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (name, label) in zip(axes, panels.items(), strict=False):
            _draw_panel(axis, curve, name)
            count_across(axis, sizes, width_of(figure) / columns - AXIS)
            axis.set_ylabel(wrapped(label, 6))
        heading(figure, f"{title}, {curve.method}, scored on {of}")
        key = "band: 95 % over images; lines: another draw, with 95 %"
        said = [*curve.verdicts, f"{key}; dashed: the best baseline" if curve.baselines else key]
        figure.supxlabel(wrapped("\n".join(said), width_of(figure)), fontsize="small")

    return Plot(draw, width=PAGE if len(panels) > 1 else COLUMN * 1.4)


def _draw_panel(axis: Any, curve: LearningCurve, name: str) -> None:
    sizes = [point.n_pairs for point in curve.points]
    value, low, high = zip(*(point.figures[name] for point in curve.points), strict=True)
    axis.plot(sizes, value, marker="o", color=BLUE)
    axis.fill_between(sizes, low, high, alpha=0.25, linewidth=0, color=BLUE)
    ends = [point.over_draws[name] for point in curve.points]
    axis.vlines(sizes, *zip(*ends, strict=True), colors=BLUE, linewidth=1)
    best = best_level(curve.baselines, name)
    if best is not None:
        axis.axhline(best.figures[name].value, color=VERMILION, linestyle="--")
        axis.autoscale_view(scalex=False)  # Else it may lie on the frame.
    axis.set_xlabel("pairs")
    axis.grid()
