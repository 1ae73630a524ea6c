"""The figure of a learning curve."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from latentmap.errors import OutputError
from latentmap.relocation.several_maps import LearningCurve
from latentmap.report import require_picture_suffix, save_plot
from latentmap.report.words import images_in_words

_PANELS = {"r2": "R2 of the codes", "efficiency": "efficiency of the images"}


def require_plots(path: str | Path) -> None:
    """Refuses to draw where matplotlib is missing, or the path is of no picture, before any work.

    Raises:
        OutputError: one of these is so.
    """
    require_picture_suffix(path)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise OutputError(
            'this figure needs matplotlib: pip install "latentmap[figures]"'
        ) from None


def save_curve(curve: LearningCurve, path: str | Path, *, title: str) -> None:
    """Draws R2 and efficiency against the number of pairs, with the ranges of the draws.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    # An efficiency is not defined where the target shows images no better than their mean.
    panels = {
        name: label
        for name, label in _PANELS.items()
        if all(math.isfinite(point.figures[name].value) for point in curve.points)
    }
    figure = Figure(figsize=(4.5 * max(len(panels), 1), 3.8), layout="constrained")
    axes: Any = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    sizes = [point.n_pairs for point in curve.points]
    for axis, (name, label) in zip(axes, panels.items(), strict=False):
        value, low, high = zip(*(point.figures[name] for point in curve.points), strict=True)
        axis.plot(sizes, value, marker="o", markersize=4, color="#1f5fa8")
        axis.fill_between(sizes, low, high, alpha=0.25, linewidth=0, color="#1f5fa8")
        axis.set_xscale("log")
        axis.set_xlabel("pairs")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    of = images_in_words(curve.n_test, curve.n_units)
    figure.suptitle(f"{title}, {curve.method}, scored on {of}", fontsize=11)
    save_plot(figure, path)
