"""Measuring what maps lose in codes alone, where no model makes images of them.

Shapes: ``n`` images, ``q`` target variables, ``m`` maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import torch

from latentmap.codes import Codes, Space
from latentmap.progress import Progress

_BATCH = 4096


class CodeMap(Protocol):
    """Whatever takes codes ``(n, p)`` to codes ``(n, q)``."""

    def apply(self, codes: torch.Tensor, /) -> torch.Tensor: ...


class AsTheyAre:
    """The map that changes nothing, for codes that are in the target's space already."""

    def apply(self, codes: torch.Tensor, /) -> torch.Tensor:
        return codes


# A map, and the codes that it reads.
Way: TypeAlias = tuple[CodeMap, Codes]


def mean_of_cells(mean_code: torch.Tensor, space: Space) -> torch.Tensor:
    """The mean of each channel of a grid at every position ``(q,)``; NaN where codes are no grids.

    Example:
        >>> space = Space("z", 4, "a", "aa", (1, 2, 2))
        >>> mean_of_cells(torch.tensor([0.0, 1.0, 2.0, 5.0]), space)
        tensor([2., 2., 2., 2.])
    """
    if not space.is_grid:
        return torch.full_like(mean_code, torch.nan)
    channels = mean_code.unflatten(0, space.shape).mean((1, 2), keepdim=True)
    cells: torch.Tensor = channels.expand(space.shape).flatten()
    return cells


def code_rows(
    ways: Sequence[Way], target: Codes, progress: Progress | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What maps miss of the codes of a ``target``, which are read twice, block by block; each reads
    codes of the same images.

    The errors of each image ``(2 + m, n)``, of which the variances about the mean code and about
    that of cells (see ``mean_of_cells``) are the first; over all images the
    sums ``(q,)`` of squared distances from the mean code, and ``(m, q)`` of squared errors; and the
    mean code ``(q,)``. All are float64.
    """
    n = len(target)
    size = min(_BATCH, target.block_size, *(codes.block_size for _, codes in ways))
    mean = torch.zeros(target.space.dim, dtype=torch.float64)
    for block in target.blocks(size):
        mean += block.sum(0, dtype=torch.float64) / n
    cells = mean_of_cells(mean, target.space)
    errors, done = torch.empty(2 + len(ways), n, dtype=torch.float64), 0
    spread, misses = torch.zeros_like(mean), mean.new_zeros(len(ways), len(mean))
    for y in target.blocks(size):
        stop = done + len(y)
        # Most maps read the same.
        read = {id(codes): codes.read(done, stop) for _, codes in ways}
        variance = (y - mean).square_()
        errors[0, done:stop], spread = variance.mean(1), spread + variance.sum(0)
        errors[1, done:stop] = (y - cells).square_().mean(1)
        for k, (linear_map, codes) in enumerate(ways):
            missed = (y.double() - linear_map.apply(read[id(codes)])).square_()
            errors[2 + k, done:stop] = missed.mean(1)
            misses[k] += missed.sum(0)
        done = stop
        if progress:
            progress(done, n)
    return errors, spread, misses, mean
