"""The figure of shared factors: both models' images along each, side by side.

Shapes: ``s`` steps, source codes ``(p,)`` and target codes ``(q,)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.diagnostics.traversals import STEPS
from latentmap.mapping import Moments, SharedFactors
from latentmap.mapping.cells import fold, unfold
from latentmap.mapping.patches import Patches
from latentmap.model import Model
from latentmap.report import ImageGrid, image_grid
from latentmap.report.words import in_percent


def factors_figure(
    factors: SharedFactors,
    moments: Moments,
    source: Model,
    target: Model,
    *,
    n_factors: int = 4,
    patches: Patches | None = None,
    pairs: Pairs | None = None,
) -> ImageGrid:
    """The leading factors, from -2.25 to 2.25 standard deviations: the source's images above the
    target's, with the share of the target's variance; none of a model that has no decoder.

    ``moments`` are those that the factors were found in. Of ``patches`` all cells of the mean codes
    of ``pairs`` are moved alike: by what a cell differs by where the factor's score in it does.
    """
    steps = torch.tensor(STEPS, dtype=torch.float64)
    means = None if pairs is None else (pairs.source.mean, pairs.target.mean)
    rows = []
    for k in range(min(n_factors, len(factors.share))):
        if patches is None:
            codes_x, codes_y = factors.traversal(k, steps, moments)
        else:
            assert means is not None, "maps of patches walk from the mean codes of pairs"
            codes_x, codes_y = cells_along(factors, k, steps, means, patches)
        share = in_percent(float(factors.share[k]), 1)
        walked = [(one, z) for one, z in ((source, codes_x), (target, codes_y)) if one.can_decode]
        for number, (model, codes) in enumerate(walked):
            heads = [f"factor {k + 1}: "] if number == 0 else []
            tails = [f", {share}"] if number == len(walked) - 1 else []
            label = "".join([*heads, model.name, *tails])
            rows.append((label, model.decode(codes.float()).cpu()))
    return image_grid(rows)


def cells_along(
    factors: SharedFactors,
    k: int,
    steps: Tensor,
    means: tuple[Tensor, Tensor],
    patches: Patches,
) -> tuple[Tensor, Tensor]:
    """Codes ``(s, p)`` and ``(s, q)`` that walk along factor ``k`` of a map of patches from the
    mean codes ``(p,)`` and ``(q,)``, all cells alike; ``steps`` ``(s,)`` are standard deviations.
    """
    middle = patches.size // 2
    pattern = factors.source_patterns[k].reshape(patches.channels, patches.size, patches.size)
    spaces = (
        (means[0], pattern[:, middle, middle], patches.source, patches.source_fold),
        (means[1], factors.target_patterns[k], patches.target, patches.target_fold),
    )
    walk = steps.double()[:, None, None, None]
    found = []
    for mean, own, grid, by in spaces:
        cells = fold(mean[None], grid, by) + walk * own.double()[:, None, None]
        found.append(unfold(cells, grid, by))
    return found[0], found[1]
