"""Measuring what maps lose in codes alone, where no model makes images of them.

Shapes: ``n`` images, ``q`` target variables, ``m`` maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from latentmap.codes import Pairs
from latentmap.mapping import LinearMap
from latentmap.progress import Progress

_BATCH = 4096


def code_rows(
    maps: Sequence[LinearMap], pairs: Pairs, progress: Progress | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What maps miss of the target codes of some pairs, which are read twice, block by block.

    The errors of each image ``(1 + m, n)``, of which the variance is the first; over all images the
    sums ``(q,)`` of squared distances from the mean code, and ``(m, q)`` of squared errors; and the
    mean code ``(q,)``. All are float64.
    """
    n = len(pairs)
    mean = torch.zeros(pairs.target.space.dim, dtype=torch.float64)
    for block in pairs.target.blocks(_BATCH):
        mean += block.sum(0, dtype=torch.float64) / n
    errors, done = torch.empty(1 + len(maps), n, dtype=torch.float64), 0
    spread, misses = torch.zeros_like(mean), mean.new_zeros(len(maps), len(mean))
    for x, y in pairs.blocks(_BATCH):
        stop = done + len(x)
        variance = (y - mean).square_()
        errors[0, done:stop], spread = variance.mean(1), spread + variance.sum(0)
        for k, linear_map in enumerate(maps):
            missed = (y.double() - linear_map.apply(x)).square_()
            errors[1 + k, done:stop] = missed.mean(1)
            misses[k] += missed.sum(0)
        done = stop
        if progress:
            progress(done, n)
    return errors, spread, misses, mean
