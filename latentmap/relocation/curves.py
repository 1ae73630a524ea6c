"""The figure of a learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentmap.errors import OutputError
from latentmap.relocation.curve_table import figure_titles
from latentmap.relocation.learning import LearningCurve
from latentmap.report import require_picture_suffix, save_plot
from latentmap.report.words import images_in_words

_COLOUR = "#1f5fa8"


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
    """Draws R2 and efficiency against the number of pairs, with their intervals over images and,
    as bars, the ranges of the draws; below, how many pairs are enough.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    panels = figure_titles(curve)
    figure = Figure(figsize=(4.5 * max(len(panels), 1.4), 4.2), layout="constrained")
    axes: Any = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    sizes = [point.n_pairs for point in curve.points]
    for axis, (name, label) in zip(axes, panels.items(), strict=False):
        value, low, high = zip(*(point.figures[name] for point in curve.points), strict=True)
        axis.plot(sizes, value, marker="o", markersize=4, color=_COLOUR, label="mean of the draws")
        axis.fill_between(
            sizes, low, high, alpha=0.25, linewidth=0, color=_COLOUR, label="95 % over images"
        )
        ends = [point.over_draws[name] for point in curve.points]
        axis.vlines(
            sizes, *zip(*ends, strict=True), colors=_COLOUR, linewidth=1, label="95 % over draws"
        )
        axis.set_xscale("log")
        axis.set_xlabel("pairs")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right", fontsize=8)
    of = images_in_words(curve.n_test, curve.n_units)
    figure.suptitle(f"{title}, {curve.method}, scored on {of}", fontsize=11)
    figure.supxlabel("\n".join(curve.verdicts), fontsize=8)
    save_plot(figure, path)
