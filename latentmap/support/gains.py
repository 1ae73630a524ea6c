"""Figures of information gains: a bar for every latent variable, and what the leading ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from latentmap.diagnostics.traversals import traverse
from latentmap.model import Model
from latentmap.report import image_grid, save_plot
from latentmap.support.ordering import Ordering

_NAMED = 100  # More variables than these have no room for their numbers.


def save_gains(ordering: Ordering, path: str | Path, *, title: str) -> None:
    """Draws the gains in their order, with intervals; the leading variables stand out, and the
    dropped ones are only counted.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    order = ordering.order[~np.isin(ordering.order, ordering.dropped)]
    place = np.arange(len(order))
    gain = ordering.gain[order]
    reach = np.stack([gain - ordering.low[order], ordering.high[order] - gain])
    named = len(order) <= _NAMED
    figure = Figure(figsize=(max(6.0, 0.18 * len(order)) if named else 11.0, 3.8))
    figure.set_layout_engine("constrained")
    axis = figure.subplots()
    leading = np.isin(order, ordering.order[: ordering.leading])
    colours = np.where(leading, "#1f5fa8", "#9db8d8").tolist()
    axis.bar(place, gain, color=colours, width=0.8)
    axis.errorbar(place, gain, yerr=reach, fmt="none", ecolor="#333333", elinewidth=0.8)
    shown = place if named else place[leading]
    axis.set_xticks(shown, [str(i) for i in order[shown]], rotation=90, fontsize=7)
    axis.set_xlim(-0.8, len(order) - 0.2)
    axis.axhline(0, color="#333333", linewidth=0.6)
    dropped = f" ({len(ordering.dropped)} more do nothing)" if ordering.by == "gain" else ""
    axis.set_xlabel(f"latent {ordering.what}{dropped}")
    axis.set_ylabel("information gain (mse)" if ordering.by == "gain" else "variance")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.set_title(f"{title}, {ordering.n_images} images, 95 % intervals", fontsize=11)
    save_plot(figure, path)


def traversals_figure(model: Model, ordering: Ordering, code: torch.Tensor) -> Image.Image:
    """The images of ``code`` ``(d,)`` along each leading variable, a row each."""
    rows = []
    for i in ordering.order[: ordering.leading]:
        center, unit = float(ordering.center[i]), float(ordering.unit[i])
        label = f"{ordering.what} {i}, gain {ordering.gain[i]:.4f}"
        rows.append((label, traverse(model, code, i, center=center, unit=unit)))
    return image_grid(rows)
