"""Codes of grids, random but known, for tests of patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from latentmap.codes import Codes, Pairs, Space, pair

Grid = tuple[int, int, int]


def grid_space(shape: Sequence[int], model: str = "a") -> Space:
    return Space("z", math.prod(shape), model, model * 8, tuple(shape))


def grid_pairs(x: torch.Tensor, y: torch.Tensor) -> Pairs:
    """Pairs of codes ``(n, c, h, w)``."""
    ids = [f"{i:04}" for i in range(len(x))]
    codes = [
        Codes.from_array(ids, part.flatten(1), space=grid_space(part.shape[1:], model))
        for part, model in ((x, "a"), (y, "b"))
    ]
    return pair(*codes)


def random_grids(n: int, grid: Grid, *, seed: int = 0) -> torch.Tensor:
    """Codes ``(n, c, h, w)`` with a mean, whose neighbours are alike."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(n, *grid, generator=generator)
    return rough + 0.5 * rough.roll(1, 2) + rough.mean((2, 3), keepdim=True) + 2


def patches_by_hand(x: np.ndarray, size: int) -> np.ndarray:
    """The patches ``(n h w, c k k)`` of codes ``(n, c, h, w)``, one number after the other."""
    n, c, h, w = x.shape
    reach = size // 2
    found = np.empty((n, h, w, c, size, size))
    for i, j in np.ndindex(h, w):
        for a, b in np.ndindex(size, size):
            row = min(max(i + a - reach, 0), h - 1)
            column = min(max(j + b - reach, 0), w - 1)
            found[:, i, j, :, a, b] = x[:, :, row, column]
    return found.reshape(n * h * w, -1)


def cells_by_hand(y: np.ndarray) -> np.ndarray:
    """The cells ``(n h w, q)`` of codes ``(n, q, h, w)``."""
    return np.moveaxis(y, 1, 3).reshape(-1, y.shape[1])
