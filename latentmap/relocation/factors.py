"""The figure of shared factors: both models' images along each, side by side."""

from __future__ import annotations

import torch
from PIL import Image

from latentmap.diagnostics.traversals import STEPS
from latentmap.mapping import Moments, SharedFactors
from latentmap.model import Model
from latentmap.report import image_grid


def factors_figure(
    factors: SharedFactors, moments: Moments, source: Model, target: Model, *, n_factors: int = 4
) -> Image.Image:
    """The leading factors, from -2.25 to 2.25 standard deviations: the source's images above the
    target's, whose label says the share of the target's variance.

    ``moments`` are those that the factors were found in.
    """
    steps = torch.tensor(STEPS, dtype=torch.float64)
    rows = []
    for k in range(min(n_factors, len(factors.share))):
        codes_x, codes_y = factors.traversal(k, steps, moments)
        share = f"{100 * float(factors.share[k]):.1f} %"
        rows.append((f"factor {k + 1}: {source.name}", source.decode(codes_x.float()).cpu()))
        rows.append((f"{target.name}, {share}", target.decode(codes_y.float()).cpu()))
    return image_grid(rows)
