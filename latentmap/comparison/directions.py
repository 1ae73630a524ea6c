"""The indexes that compare spaces along fitted directions, of all spaces and resamplings.

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.comparison.projections import (
    Rotation,
    canonical_directions,
    correlations,
    normalised,
    procrustes_distances_of,
    standardised,
)
from latentmap.comparison.resampled import Resampled, Resampling
from latentmap.comparison.steps import Steps
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.thin_moments import ThinJointMoments

_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class SharedVariates:
    """The held-out canonical correlations of two spaces, in the order of the fit.

    ``level`` is what the best of all reaches in 95 % of random pairings; ``shared`` counts the
    leading ones above it.
    """

    first: int
    second: int
    correlations: np.ndarray
    level: float
    shared: int

    def to_json(self) -> dict[str, Any]:
        """All of it, the spaces by their numbers."""
        return {
            "first": self.first,
            "second": self.second,
            "correlations": [one if np.isfinite(one) else None for one in self.correlations],
            "level": self.level if np.isfinite(self.level) else None,
            "shared": self.shared,
        }


def by_canonical_variates(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    resampling: Resampling,
    steps: Steps,
) -> tuple[dict[str, Resampled], list[SharedVariates]]:
    """CCA and PWCCA of the codes, by the directions of the moments ``fitted``, and the variates."""
    parts = {name: Resampled.empty(len(codes), resampling) for name in ("cca", "pwcca")}
    shared = []
    for i, j in combinations(range(len(codes)), 2):
        directions = canonical_directions(fitted.between(i, j))
        scores = (codes[i].double() @ directions.left, codes[j].double() @ directions.right)
        value = correlations(*scores)
        without = [correlations(*(part[rows] for part in scores)) for rows in resampling.kept]
        left, right = standardised(scores[0]), standardised(scores[1])
        null = [(left * right[order]).sum(0) for order in resampling.orders]
        every = torch.stack([value, *without, *null])
        weights = (directions.left_weights, directions.right_weights)
        mean = every.nanmean(1).tolist()
        for weight, (one, other) in zip(weights, ((i, j), (j, i)), strict=True):
            parts["cca"].fill(one, other, mean)
            parts["pwcca"].fill(one, other, _weighted(every, weight))
        shared.append(_shared(i, j, value, null))
        steps.next()
    return parts, shared


def by_rotation(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    resampling: Resampling,
    steps: Steps,
) -> Resampled:
    """The Procrustes distances of the codes, by the rotations of the moments ``fitted``."""
    parts = Resampled.empty(len(codes), resampling)
    every = [normalised(part) for part in codes]
    without = [[normalised(part[rows]) for part in codes] for rows in resampling.kept]
    for i, j in combinations(range(len(codes)), 2):
        rotation = Rotation.of(fitted.between(i, j))
        # Of each image with each, of which an order takes some.
        products = rotation.apply(every[i]) @ every[j].T
        shares = [products.trace()]
        shares += [(rotation.apply(part[i]) * part[j]).sum() for part in without]
        images = torch.arange(len(products))
        shares += [products[order, images].sum() for order in resampling.orders]
        values = procrustes_distances_of(torch.stack(shares)).tolist()
        parts.fill(i, j, values)
        parts.fill(j, i, values)
        steps.next()
    return parts


def _weighted(found: Tensor, weights: Tensor) -> list[float]:
    """The weighted means ``(r,)`` of correlations ``(r, k)``, of those that are defined."""
    known = torch.isfinite(found)
    sums = torch.where(known, found * weights, 0).sum(1)
    listed: list[float] = (sums / torch.where(known, weights, 0).sum(1)).tolist()
    return listed


def _shared(i: int, j: int, value: Tensor, null: Sequence[Tensor]) -> SharedVariates:
    if not (len(value) and len(null) and bool(torch.isfinite(value).any())):
        return SharedVariates(i, j, value.numpy(), float("nan"), 0)
    best = [float(c[torch.isfinite(c)].max()) for c in null]
    level = float(np.quantile(best, _LEVEL))
    below = (~(value > level)).nonzero()
    return SharedVariates(i, j, value.numpy(), level, int(below[0]) if len(below) else len(value))
