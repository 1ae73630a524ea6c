"""Random pairings of the codes of two spaces, within folds: what the shared rank is held against.

Shapes: ``n`` pairs, ``p`` source variables and ``q`` target variables, of a patch and of a cell
where maps are of patches; ``f`` folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs
from latentmap.codes.codes import ArrayRows
from latentmap.mapping.cells import cell_rows, patch_rows
from latentmap.mapping.moments import Moments
from latentmap.mapping.observed import Observed
from latentmap.mapping.patches import Patches

_NUMBERS = 1 << 21  # Of patches at a time, in float32.


def about_positions(pairs: Pairs) -> Pairs:
    """The pairs in memory, each code about the mean code of its space."""
    return Pairs(_about_mean(pairs.source), _about_mean(pairs.target))


def products_at_random(
    observed: Observed,
    parts: Sequence[Moments],
    numbers: np.ndarray,
    permutations: int,
    *,
    seed: int,
) -> Iterator[Tensor]:
    """The products ``(f, p, q)``, float64, between the spaces in each fold, about the means of its
    moments ``parts``, of random pairings within it; ``numbers`` ``(n,)`` are those of the folds.
    """
    x, y = observed.pairs.source.vectors, observed.pairs.target.vectors
    rows = [torch.from_numpy(np.flatnonzero(numbers == number)) for number in range(len(parts))]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(permutations):
        products = []
        for part, index in zip(parts, rows, strict=True):
            other = index[torch.randperm(len(index), generator=generator)]
            if observed.patches is None:
                left = x[index].double() - part.mean_x
                products.append(left.T @ (y[other].double() - part.mean_y))
            else:
                products.append(_of_patches(x[index], y[other], part, observed.patches))
        yield torch.stack(products)


def _about_mean(codes: Codes) -> Codes:
    return replace(codes, rows=ArrayRows((codes.vectors - codes.mean.float()).numpy()))


def _of_patches(x: Tensor, y: Tensor, part: Moments, patches: Patches) -> Tensor:
    """The products ``(p, q)`` of patches and cells of some images; each block in float32, which
    loses little of codes about their mean.
    """
    total = torch.zeros(patches.p, patches.q, dtype=torch.float64)
    mean_x, mean_y = part.mean_x.float(), part.mean_y.float()
    size = max(1, _NUMBERS // (patches.cells * patches.p))
    for some, others in zip(x.split(size), y.split(size), strict=True):
        left = patch_rows(some, patches) - mean_x
        total += (left.T @ (cell_rows(others, patches) - mean_y)).double()
    return total
