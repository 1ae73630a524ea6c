"""Figures of information gains: a bar for every latent variable, and what the leading ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from latentmap.diagnostics.traversals import traverse
from latentmap.model import Model
from latentmap.report import ImageGrid, Plot, image_grid
from latentmap.report.colours import BLACK, BLUE, GREY
from latentmap.report.plots import AXIS, POINTS, heading, set_height, width_of
from latentmap.support.ordering import Ordering

_APART = 9.0  # Points from one number under the bars to the next, at least.


def gains_plot(ordering: Ordering, *, title: str) -> Plot:
    """The gains in their order, with intervals; the leading variables stand out, and the dropped
    ones are only counted.
    """
    order = ordering.order[~np.isin(ordering.order, ordering.dropped)]
    place = np.arange(len(order))
    gain = ordering.gain[order]
    reach = np.stack([gain - ordering.low[order], ordering.high[order] - gain])
    leading = np.isin(order, ordering.order[: ordering.leading])

    def draw(figure: Any) -> None:
        set_height(figure, 6.0)
        axis = figure.subplots()
        room = (width_of(figure) - AXIS) * POINTS / len(order)
        axis.bar(place[leading], gain[leading], color=BLUE, width=0.8)
        axis.bar(place[~leading], gain[~leading], color=BLUE, alpha=0.4, width=0.8)
        lines = {"ecolor": BLACK, "elinewidth": min(0.8, room / 4), "capsize": 0}
        axis.errorbar(place, gain, yerr=reach, fmt="none", **lines)
        shown = place[:: int(np.ceil(_APART / room))]
        axis.set_xticks(shown, [str(i) for i in order[shown]], rotation=90)
        axis.set_xlim(-0.8, len(order) - 0.2)
        axis.axhline(0, color=GREY, linewidth=0.6)
        dropped = f" ({len(ordering.dropped)} more do nothing)" if ordering.by == "gain" else ""
        axis.set_xlabel(f"latent {ordering.what}{dropped}")
        axis.set_ylabel("information gain (mse)" if ordering.by == "gain" else "variance")
        axis.grid(axis="y")
        heading(figure, f"{title}, {ordering.n_images} images, 95 % intervals")

    return Plot(draw)


def traversals_figure(model: Model, ordering: Ordering, code: torch.Tensor) -> ImageGrid:
    """The images of ``code`` ``(d,)`` along each leading variable, a row each."""
    rows = []
    for i in ordering.order[: ordering.leading]:
        center, unit = float(ordering.center[i]), float(ordering.unit[i])
        label = f"{ordering.what} {i}, gain {ordering.gain[i]:.4f}"
        rows.append((label, traverse(model, code, i, center=center, unit=unit)))
    return image_grid(rows)
