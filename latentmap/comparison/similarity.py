"""All similarity indexes between several spaces, with intervals and permutation nulls.

All is of images of different units (see ``units_of``): two images of a person are near to each
other in any space, so that unrelated spaces would seem alike, and more than by random pairings,
which part the two (benchmarks/coverage.py). Intervals come from a grouped jackknife: images are
left out, a twentieth at a time. A bootstrap would draw images twice, and an image is its own
nearest neighbour, so that it biases what looks at neighbours and distances. The null pairs the
images of one space at random with those of the other.

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import one_of_each
from latentmap.comparison.indexes import FEWEST, INDEXES, RELATIONS, SimilarityIndex
from latentmap.comparison.projections import (
    Rotation,
    canonical_directions,
    correlations,
    normalised,
    procrustes_distances_of,
    standardised,
)
from latentmap.comparison.relations import by_relation
from latentmap.comparison.steps import Steps
from latentmap.errors import MapError, PairError
from latentmap.intervals import student_quantile
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.thin_moments import ThinJointMoments
from latentmap.progress import Progress

_GROUPS = 20
_LEVEL = 0.95
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class SimilarityMatrix:
    """One index between all spaces, ``(m, m)`` float64 each; NaN where it is not defined.

    ``low`` and ``high`` are 95 % intervals over images. ``null_mean`` is the mean over random
    pairings of the images, and ``p_value`` how often these are as alike. The diagonal, a space with
    itself, has neither. Row ``i``, column ``j`` goes from space ``i`` to ``j``.
    """

    index: SimilarityIndex
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null_mean: np.ndarray
    p_value: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """The index and its matrices, as lists of rows; None where a number is not defined."""
        names = ("value", "low", "high", "null_mean", "p_value")
        return {
            **self.index.to_json(),
            **{name: _rows(getattr(self, name)) for name in names},
        }


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
            "correlations": _rows(self.correlations),
            "level": self.level if np.isfinite(self.level) else None,
            "shared": self.shared,
        }


@dataclass(frozen=True, eq=False)
class Similarities:
    """All indexes between several spaces, and the canonical variates that each two share."""

    matrices: Mapping[str, SimilarityMatrix]
    variates: Sequence[SharedVariates]
    n: int
    permutations: int

    def __repr__(self) -> str:
        return f"<Similarities: {', '.join(self.matrices)}, on {self.n} images>"


def compare_codes(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    *,
    seed: int = 0,
    units: np.ndarray | None = None,
    permutations: int = 99,
    progress: Progress | None = None,
) -> Similarities:
    """All indexes of ``INDEXES`` between the codes of the same images in several spaces.

    Canonical directions and rotations are those of the moments ``fitted``, which should be of other
    images: those of the same would fit them the better, the fewer there are. Their intervals hold
    the directions fixed. Of each of the ``units`` ``(n,)`` one random image is taken; without them
    every image is one. Memory holds two numbers for every space and pair of images.

    Raises:
        PairError: fewer than 20 images or units, or codes of different numbers of images.
        MapError: fewer than 1 permutation.
    """
    if units is not None:
        independent = torch.from_numpy(one_of_each(units, seed=seed))
        codes = [part[independent] for part in codes]
    n = len(codes[0])
    if n < FEWEST or any(len(part) != n for part in codes):
        raise PairError(
            f"similarity indexes compare codes of the same images, {FEWEST} or more, not of "
            f"{', '.join(str(len(part)) for part in codes)}: give more test images"
        )
    if permutations < 1:
        raise MapError(f"a null needs at least 1 permutation, not {permutations}: give 99 or more")
    folds = assign_folds(n, folds=_GROUPS, seed=seed)
    kept = [torch.from_numpy(np.flatnonzero(folds != fold)) for fold in range(folds.max() + 1)]
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(n, generator=generator) for _ in range(permutations)]
    steps = Steps(progress, len(RELATIONS) + 2 * (len(codes) * (len(codes) - 1) // 2))
    matrices: dict[str, SimilarityMatrix] = {}
    for name, relation in RELATIONS.items():
        matrices[name] = _summary(name, *by_relation(codes, relation, kept, orders))
        steps.next()
    found, variates_of = _by_canonical_variates(codes, fitted, kept, orders, steps)
    for name, parts in found.items():
        matrices[name] = _summary(name, *parts)
    matrices["procrustes"] = _summary(
        "procrustes", *_by_procrustes(codes, fitted, kept, orders, steps)
    )
    ordered = {name: matrices[name] for name in INDEXES}
    return Similarities(ordered, variates_of, n, permutations)


# What an index gives for all images, without each group, and for each random pairing.
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def _by_canonical_variates(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    kept: Sequence[Tensor],
    orders: Sequence[Tensor],
    steps: Steps,
) -> tuple[dict[str, _Parts], list[SharedVariates]]:
    m = len(codes)
    parts = {name: _empty(m, len(kept), len(orders)) for name in ("cca", "pwcca")}
    shared = []
    for i, j in combinations(range(m), 2):
        directions = canonical_directions(fitted.between(i, j))
        scores = (codes[i].double() @ directions.left, codes[j].double() @ directions.right)
        value = correlations(*scores)
        without = [correlations(*(part[rows] for part in scores)) for rows in kept]
        left, right = standardised(scores[0]), standardised(scores[1])
        null = [(left * right[order]).sum(0) for order in orders]
        every = [value, *without, *null]
        weights = (directions.left_weights, directions.right_weights)
        _fill(parts["cca"], i, j, [float(c.nanmean()) for c in every])
        _fill(parts["cca"], j, i, [float(c.nanmean()) for c in every])
        _fill(parts["pwcca"], i, j, [_weighted(c, weights[0]) for c in every])
        _fill(parts["pwcca"], j, i, [_weighted(c, weights[1]) for c in every])
        shared.append(_shared(i, j, value, null))
        steps.next()
    return parts, shared


def _by_procrustes(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    kept: Sequence[Tensor],
    orders: Sequence[Tensor],
    steps: Steps,
) -> _Parts:
    m = len(codes)
    parts = _empty(m, len(kept), len(orders))
    every = [normalised(part) for part in codes]
    without = [[normalised(part[rows]) for part in codes] for rows in kept]
    for i, j in combinations(range(m), 2):
        rotation = Rotation.of(fitted.between(i, j))
        rotated = rotation.apply(every[i])
        shares = [(rotated * every[j]).sum()]
        shares += [(rotation.apply(part[i]) * part[j]).sum() for part in without]
        shares += [(rotated[order] * every[j]).sum() for order in orders]
        values = procrustes_distances_of(torch.stack(shares)).tolist()
        _fill(parts, i, j, values)
        _fill(parts, j, i, values)
        steps.next()
    return parts


def _weighted(found: Tensor, weights: Tensor) -> float:
    known = torch.isfinite(found)
    if not bool(known.any()):
        return float("nan")
    return float((found[known] * weights[known]).sum() / weights[known].sum())


def _shared(i: int, j: int, value: Tensor, null: Sequence[Tensor]) -> SharedVariates:
    if not len(value) or not bool(torch.isfinite(value).any()):
        return SharedVariates(i, j, value.numpy(), float("nan"), 0)
    best = [float(c[torch.isfinite(c)].max()) for c in null]
    level = float(np.quantile(best, _LEVEL))
    below = (~(value > level)).nonzero()
    return SharedVariates(i, j, value.numpy(), level, int(below[0]) if len(below) else len(value))


def _empty(m: int, folds: int, permutations: int) -> _Parts:
    value, without, null = (
        np.full((*head, m, m), np.nan) for head in ((), (folds,), (permutations,))
    )
    return value, without, null


def _fill(parts: _Parts, i: int, j: int, values: Sequence[float]) -> None:
    value, without, null = parts
    value[i, j] = values[0]
    without[:, i, j] = values[1 : 1 + len(without)]
    null[:, i, j] = values[1 + len(without) :]


def _summary(
    name: str, value: np.ndarray, without: np.ndarray, null: np.ndarray
) -> SimilarityMatrix:
    index = INDEXES[name]
    # Rounding alone passes a bound.
    value, without, null = (np.clip(part, *index.bounds) for part in (value, without, null))
    groups = len(without)
    deviations = without - without.mean(0)
    error = np.sqrt((groups - 1) / groups * np.square(deviations).sum(0))
    reach = student_quantile((1 + _LEVEL) / 2, groups - 1) * error
    # A null that is as alike counts, and most nulls are computed in float32.
    least = value - _ROUNDING if index.higher_is_alike else value + _ROUNDING
    alike = null >= least if index.higher_is_alike else null <= least
    p_value = (1 + alike.sum(0)) / (1 + len(null))
    null_mean = null.mean(0)
    low, high = (np.clip(value + side * reach, *index.bounds) for side in (-1, 1))
    if index.symmetric:
        # Both halves are estimates of one null: the second is not an independent test.
        lower = np.tril_indices(len(value), -1)
        for matrix in (null_mean, p_value):
            matrix[lower] = matrix.T[lower]
    undefined = np.isnan(value)
    p_value[undefined] = np.nan
    itself = np.diag_indices(len(value))
    for matrix in (value, low, high):
        matrix[itself] = index.same
    for matrix in (null_mean, p_value):
        matrix[itself] = np.nan
    return SimilarityMatrix(index, value, low, high, null_mean, p_value)


def _rows(matrix: np.ndarray) -> list[Any]:
    rows = matrix.astype(object)
    rows[~np.isfinite(matrix)] = None
    listed: list[Any] = rows.tolist()
    return listed
