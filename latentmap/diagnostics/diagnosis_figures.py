"""Figures of diagnoses: images without the inactive variables, and the variance loss of models.

Asperti, "Sparsity in Variational Autoencoders" (arXiv 1812.07238), figure 2, and "Variance Loss in
Variational Autoencoders" (arXiv 2002.09860), figure 2. Shapes: ``k`` images ``(k, c, h, w)`` in [0,
1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.diagnostics.gain import at_center
from latentmap.diagnostics.several import Diagnoses
from latentmap.diagnostics.variables import Diagnosis
from latentmap.images import ImageSource
from latentmap.intervals import Estimate
from latentmap.model import Model
from latentmap.report import ImageGrid, Plot, image_grid
from latentmap.report.colours import BLACK, BLUE, GREEN, GREY, VERMILION
from latentmap.report.plots import heading, set_height, width_of

_SHOWN = 8
# Of each kind of networks, as in the published figure; others are black.
_COLOURS = {"dense": BLUE, "residual": VERMILION, "convolutional": GREEN}
_MARKERS = "os^DvPX*<>"  # Each model has its own: names beside points would lie on each other.


@dataclass(frozen=True, eq=False)
class Examples:
    """Some images, what the model ``name`` makes of them, and the same with its ``inactive``
    variables at their mean.
    """

    name: str
    inactive: int
    originals: Tensor
    reconstructions: Tensor
    without: Tensor

    def rows(self) -> list[tuple[str, Tensor]]:
        """Each with what it is; the third only where a variable is inactive."""
        rows = [("images", self.originals), (f"by {self.name}", self.reconstructions)]
        if self.inactive:
            variables = "variable" if self.inactive == 1 else "variables"
            rows.append((f"without {self.inactive} inactive {variables}", self.without))
        return rows


def examples_of(
    model: Model, images: ImageSource, found: Diagnosis, *, n: int = _SHOWN, seed: int = 0
) -> Examples:
    """Random ones of the images that a model was diagnosed on."""
    readable = np.flatnonzero(~np.isin(images.ids, found.skipped))
    drawn = np.sort(np.random.default_rng(seed).permutation(readable)[:n])
    (batch,) = images.subset(drawn).batches([model.view], batch_size=n)
    originals = batch.floats(0)
    codes = model.posterior(originals).mean.cpu()
    inactive = torch.tensor([not one.active for one in found.variables])
    center = torch.from_numpy(found.values("mean"))
    shown = model.decode(codes).cpu()
    without = model.decode(at_center(codes, inactive, center)).cpu()
    return Examples(found.model, int(inactive.sum()), originals, shown, without)


def examples_grid(examples: Sequence[Examples]) -> ImageGrid:
    """The rows of each model, below each other: the images once for models that see them alike, and
    again where one sees them otherwise than the model above it.
    """
    rows: list[tuple[str, Tensor]] = []
    above: Tensor | None = None
    for one in examples:
        alike = above is not None and torch.equal(one.originals, above)
        rows += one.rows()[1 if alike else 0 :]
        above = one.originals
    return image_grid(rows)


def scatter_plot(found: Diagnoses) -> Plot:
    """The variance loss of models against their mse, with 95 % intervals, and where both are
    equal.
    """
    ends = [value for one in found.results for value in (*one.mse, *one.variance_loss)]
    top = 1.1 * float(np.nanmax(ends))
    low = min(0.0, 1.1 * float(np.nanmin(ends)))

    def draw(figure: Any) -> None:
        set_height(figure, 0.95 * width_of(figure))
        axis = figure.subplots()
        for number, one in enumerate(found.results):
            kind = found.architectures[number]
            axis.errorbar(
                one.mse.value,
                one.variance_loss.value,
                xerr=_reach(one.mse),
                yerr=_reach(one.variance_loss),
                fmt=_MARKERS[number % len(_MARKERS)],
                color=_COLOURS.get(kind, BLACK),
                label=f"{kind}: {one.model}",
            )
        axis.plot([0, top], [0, top], color=GREY, linewidth=0.8, linestyle="--")
        axis.set_xlim(0, top)
        axis.set_ylim(low, top)
        axis.set_xlabel("mse")
        axis.set_ylabel("variance loss")
        heading(figure, "Variance loss against mse; equal on the line. 95 % intervals")
        axis.grid()
        axis.legend(loc="upper left")

    return Plot(draw, width=12.0)


def _reach(estimate: Estimate) -> list[list[float]] | None:
    """How far the interval reaches below and above, as matplotlib takes it."""
    reach = [estimate.value - estimate.low, estimate.high - estimate.value]
    return [[one] for one in reach] if np.isfinite(reach).all() else None
