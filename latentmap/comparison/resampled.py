"""The values of a similarity index in resamplings of the images.

Shapes: ``m`` spaces, ``k`` groups of images, ``b`` random pairings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.mapping.selection import assign_folds

_GROUPS = 20


def jackknife_error(without: np.ndarray) -> np.ndarray:
    """The standard error of a value from those ``without`` each of ``k`` groups, ``(k, ...)``."""
    k = len(without)
    spread = np.square(without - without.mean(0)).sum(0)
    error: np.ndarray = np.sqrt((k - 1) / k * spread)
    return error


@dataclass(frozen=True)
class Resampling:
    """The images of which an index is computed besides all: those that are ``kept`` without each of
    ``k`` groups, by their positions, and ``b`` random ``orders`` of all.
    """

    kept: Sequence[Tensor]
    orders: Sequence[Tensor]

    @classmethod
    def of(cls, n: int, orders: Sequence[Tensor], *, seed: int) -> Resampling:
        """That of ``n`` images in twenty random groups, by the seed."""
        folds = assign_folds(n, folds=_GROUPS, seed=seed)
        kept = [torch.from_numpy(np.flatnonzero(folds != fold)) for fold in range(folds.max() + 1)]
        return cls(kept, orders)


@dataclass(frozen=True, eq=False)
class Resampled:
    """What an index is between all spaces: of all images ``value`` ``(m, m)``, ``without`` each
    group ``(k, m, m)``, and in random pairings ``null`` ``(b, m, m)``, float64.
    """

    value: np.ndarray
    without: np.ndarray
    null: np.ndarray

    @classmethod
    def empty(cls, spaces: int, resampling: Resampling) -> Resampled:
        """NaN everywhere."""
        shape = (spaces, spaces)
        heads = ((), (len(resampling.kept),), (len(resampling.orders),))
        return cls(*(np.full((*head, *shape), np.nan) for head in heads))

    def fill(self, i: int, j: int, values: Sequence[float]) -> None:
        """Writes the values ``(1 + k + b,)`` from space ``i`` to space ``j``."""
        k = len(self.without)
        self.value[i, j] = values[0]
        self.without[:, i, j] = values[1 : 1 + k]
        self.null[:, i, j] = values[1 + k :]

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Resampled:
        """The same after a change of all matrices."""
        return Resampled(change(self.value), change(self.without), change(self.null))
