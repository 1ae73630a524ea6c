"""The figure of a comparison of support sets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from latentmap.intervals import Estimate
from latentmap.report import save_plot
from latentmap.support.verdicts import SupportComparison

_PANELS = {"r2": "R2 of the codes", "efficiency": "efficiency of the images"}
# Okabe and Ito's colours, which people tell apart; random images are black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_APART = 0.02  # Error bars of one size beside each other, as a share of the size.


def save_support_curves(compared: SupportComparison, path: str | Path, *, title: str) -> None:
    """Draws R2 and efficiency of every strategy against the size of the set, and below how much
    they are above those of random images, with 95 % intervals.

    The dashed line is the map from all images. An efficiency that is not defined is left out.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    panels = {
        name: label
        for name, label in _PANELS.items()
        if all(math.isfinite(getattr(point, name).value) for point in compared.points)
    }
    columns = max(len(panels), 1)
    figure = Figure(figsize=(4.8 * columns + 1.2, 6.4), layout="constrained")
    axes: Any = figure.subplots(2, columns, squeeze=False, sharex=True)
    rivals = [name for name in compared.strategies if name != "random"]
    for column, (name, label) in enumerate(panels.items()):
        above, below = axes[:, column]
        above.axhline(
            compared.all_r2 if name == "r2" else compared.all_efficiency,
            color="#888888",
            linestyle="--",
            linewidth=1,
            label=f"all {compared.n_candidates} images",
        )
        below.axhline(0, color="black", linewidth=1)
        _draw(above, compared, "random", name, colour="black", shift=0)
        for number, strategy in enumerate(rivals):
            shift = (number - (len(rivals) - 1) / 2) * _APART
            colour = _COLOURS[number % len(_COLOURS)]
            _draw(above, compared, strategy, name, colour=colour, shift=shift)
            _draw(below, compared, strategy, f"{name}_gain", colour=colour, shift=shift)
        above.set_ylabel(label)
        below.set_ylabel("above random images")
        below.set_xlabel("images in the set")
        for axis in (above, below):
            axis.set_xscale("log")
            labels = list(map(str, compared.sizes))
            axis.set_xticks(compared.sizes, labels=labels, rotation=45, fontsize=8)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    handles, names = axes[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside right upper", fontsize=9)
    method = compared.record["method"]
    draws = compared.points[0].draws
    figure.suptitle(
        f"{title}, {method}, {draws} draws, scored on {compared.n_test} images", fontsize=11
    )
    save_plot(figure, path)


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
        markersize=4,
        linewidth=1.2,
        capsize=2,
        label=strategy,
    )
