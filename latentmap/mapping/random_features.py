"""Kernel ridge by random features: a nonlinear map in closed form, from one pass over the pairs.

Features are the codes themselves and cosines of random projections of them, whose products are
those of a Gaussian kernel in the mean (Rahimi and Recht, "Random features for large-scale kernel
machines", 2007); the map is ridge on these, with the sums and the choice of penalty that maps
have. Shapes: ``n`` pairs, ``p`` source variables, ``d`` random features.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs, Space
from latentmap.mapping.fitting import fit
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.mapped_rows import MappedRows
from latentmap.mapping.options import FitOptions
from latentmap.progress import Progress

Scaling = Literal["as they are", "each variable by its deviation"]
_SCALINGS: tuple[Scaling, ...] = ("as they are", "each variable by its deviation")
_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # Times the median distance of two codes.
_TRIED, _FEW = 4096, 512  # Pairs and features by which width and scaling are chosen.
_MANY = 1536  # Features of the map.
_MEDIAN_OF = 1000  # Codes whose distances give the median.
_DEAD = 1e-6  # Of the largest deviation: what varies less is not made to vary.


@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """Codes ``(n, p)`` beside their random features, ``(n, p + d)`` float32.

    Codes are centred by ``mean`` ``(p,)`` and multiplied with ``scale`` ``(p,)``; ``projection``
    ``(p, d)`` is normal, over the width of the kernel, and ``phase`` ``(d,)`` uniform on a circle.
    """

    mean: Tensor
    scale: Tensor
    projection: Tensor
    phase: Tensor

    def apply(self, codes: Tensor) -> Tensor:
        """The features of some codes."""
        scaled = (codes - self.mean) * self.scale
        waves = torch.cos(torch.addmm(self.phase, scaled, self.projection))
        return torch.cat([scaled, waves * math.sqrt(2 / len(self.phase))], 1)

    def of(self, codes: Codes) -> Codes:
        """The features of codes, made when they are read."""
        dim = len(self.mean) + len(self.phase)
        name = hashlib.sha256(self.projection.numpy().tobytes() + codes.space.fingerprint.encode())
        space = Space("latent", dim, f"features of {codes.space.model}", name.hexdigest())
        return replace(codes, rows=MappedRows(codes.rows, self.apply, dim), space=space)


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Ridge on random features; ``width`` is in units of the median distance of two codes."""

    features: RandomFeatures
    ridge: LinearMap
    width: float
    scaling: Scaling

    def apply(self, codes: Tensor) -> Tensor:
        """The codes ``(n, q)`` in the target space, float32."""
        return self.ridge.apply(self.features.apply(codes))

    def refit(self, pairs: Pairs, *, groups: np.ndarray | None = None, seed: int = 0) -> FeatureMap:
        """The same features, with the ridge of other pairs."""
        return replace(self, ridge=_fit(self.features, pairs, groups, seed))

    @property
    def settings(self) -> dict[str, float | str | int | None]:
        """What was chosen, as JSON."""
        return {
            "width": self.width,
            "scaling": self.scaling,
            "features": len(self.features.phase),
            "penalty": self.ridge.penalty,
        }


def fit_features(
    pairs: Pairs,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FeatureMap:
    """The map by random features; width and scaling are those with the smallest error by
    cross-validation on at most 4,096 of the pairs, the penalty is chosen on all.

    Raises:
        MapError: as ``fit`` raises it.
    """
    some = np.arange(len(pairs))
    if len(pairs) > _TRIED:
        some = pairs.draw(_TRIED, groups=groups, seed=seed)
    few = pairs.take(some)
    few_groups = None if groups is None else groups[some]
    best: tuple[float, float, Scaling] | None = None
    steps = [(scaling, width) for scaling in _SCALINGS for width in _WIDTHS]
    codes = few.source.vectors
    for done, (scaling, width) in enumerate(steps):
        features = _draw(codes, scaling, width, _FEW, seed)
        error = _least_error(_fit(features, few, few_groups, seed))
        if best is None or error < best[0]:
            best = (error, width, scaling)
        if progress:
            progress(done + 1, len(steps) + 1)
    assert best is not None
    _, width, scaling = best
    features = _draw(codes, scaling, width, _MANY, seed)
    ridge = _fit(features, pairs, groups, seed)
    if progress:
        progress(len(steps) + 1, len(steps) + 1)
    return FeatureMap(features, ridge, width, scaling)


def _fit(features: RandomFeatures, pairs: Pairs, groups: np.ndarray | None, seed: int) -> LinearMap:
    wide = replace(pairs, source=features.of(pairs.source))
    return fit(wide, FitOptions(patch="full"), groups=groups, seed=seed)


def _least_error(ridge: LinearMap) -> float:
    errors: Sequence[float | None] = ridge.record["selection"][0]["errors"]
    return min((error for error in errors if error is not None), default=math.inf)


def _draw(codes: Tensor, scaling: Scaling, width: float, d: int, seed: int) -> RandomFeatures:
    """Random features for codes ``(n, p)``."""
    mean = codes.double().mean(0)
    deviations = (codes.double() - mean).square().mean(0).sqrt()
    scale = torch.ones_like(deviations)
    if scaling != "as they are":
        alive = deviations > _DEAD * deviations.max()
        scale = torch.where(alive, 1 / deviations, 0)
    scaled = (codes[:_MEDIAN_OF].double() - mean) * scale
    distances = torch.pdist(scaled)
    median = float(distances.median()) if len(distances) else 1.0
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(len(mean), d, generator=generator, dtype=torch.float64)
    phase = 2 * math.pi * torch.rand(d, generator=generator, dtype=torch.float64)
    return RandomFeatures(
        mean.float(), scale.float(), (normal / (width * (median or 1.0))).float(), phase.float()
    )
