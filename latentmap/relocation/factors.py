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
    target's, with the share of the target's variance; none of a model that has no decoder.

    ``moments`` are those that the factors were found in.
    """
    steps = torch.tensor(STEPS, dtype=torch.float64)
    rows = []
    for k in range(min(n_factors, len(factors.share))):
        codes_x, codes_y = factors.traversal(k, steps, moments)
        share = f"{100 * float(factors.share[k]):.1f} %"
        walked = [(one, z) for one, z in ((source, codes_x), (target, codes_y)) if one.can_decode]
        for number, (model, codes) in enumerate(walked):
            heads = [f"factor {k + 1}: "] if number == 0 else []
            tails = [f", {share}"] if number == len(walked) - 1 else []
            label = "".join([*heads, model.name, *tails])
            rows.append((label, model.decode(codes.float()).cpu()))
    return image_grid(rows)
