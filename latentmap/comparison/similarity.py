"""All similarity indexes between several spaces, with intervals, two nulls, and what they say.

All is of images of different units (see ``units_of``): two images of a person are near to each
other in any space, so that unrelated spaces would seem alike, and more than by random pairings,
which part the two (benchmarks/coverage.py). Intervals come from a grouped jackknife: images are
left out, a twentieth at a time. A bootstrap would draw images twice, and an image is its own
nearest neighbour, so that it biases what looks at neighbours and distances. The null pairs the
images of one space at random with those of the other, by the same orders for all spaces; beside it
stands one of spaces that share nothing but have the same spectra (``spectra.py``).

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import one_of_each
from latentmap.comparison.calibration import (
    calibrated,
    enough_permutations,
    holm_over_pairs,
    thresholds,
)
from latentmap.comparison.directions import SharedVariates
from latentmap.comparison.indexes import FEWEST, INDEXES, SimilarityIndex
from latentmap.comparison.measuring import measure, n_steps
from latentmap.comparison.nearer import Nearer, nearer_of
from latentmap.comparison.resampled import Resampled, Resampling, jackknife_error
from latentmap.comparison.spectra import SpectraPlan, spectra_null
from latentmap.comparison.steps import Steps
from latentmap.errors import MapError, PairError
from latentmap.intervals import student_quantile
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.thin_moments import ThinJointMoments
from latentmap.progress import Progress

_LEVEL = 0.95
_ROUNDING = 1e-6
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class SimilarityMatrix:
    """One index between all spaces, ``(m, m)`` float64 each; NaN where it is not defined.

    ``low`` and ``high`` are 95 % intervals over images. ``null_mean`` is the mean over random
    pairings of the images, ``p_value`` how often these are as alike, and ``p_holm`` the same
    corrected for the number of pairs of spaces. ``threshold`` is what an index passes where its
    ``p_value`` is at most ``alpha``, and ``calibrated`` how much of the way from there to equal
    spaces it is, at least 0; its interval takes the threshold for known. ``spectra_mean``,
    ``spectra_threshold`` and ``spectra_p`` are the same of spaces that share nothing but have the
    same spectra. The diagonal, a space with itself, has no null. Row ``i``, column ``j`` goes from
    space ``i`` to ``j``.
    """

    index: SimilarityIndex
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null_mean: np.ndarray
    p_value: np.ndarray
    p_holm: np.ndarray
    threshold: np.ndarray
    calibrated: np.ndarray
    calibrated_low: np.ndarray
    calibrated_high: np.ndarray
    spectra_mean: np.ndarray
    spectra_threshold: np.ndarray
    spectra_p: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """The index and its matrices, as lists of rows; None where a number is not defined."""
        names = [one.name for one in fields(self) if one.name != "index"]
        return {
            **self.index.to_json(),
            **{name: _rows(getattr(self, name)) for name in names},
        }


@dataclass(frozen=True, eq=False)
class Similarities:
    """All indexes between several spaces, and the canonical variates that each two share.

    ``nearer`` says by index which of two spaces a third is nearer to; tests are at the level
    ``alpha``, and ``permutations`` random pairings.
    """

    matrices: Mapping[str, SimilarityMatrix]
    variates: Sequence[SharedVariates]
    nearer: Mapping[str, Sequence[Nearer]]
    n: int
    permutations: int
    alpha: float

    def __repr__(self) -> str:
        return f"<Similarities: {', '.join(self.matrices)}, on {self.n} images>"


def compare_codes(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    *,
    seed: int = 0,
    units: np.ndarray | None = None,
    permutations: int | None = None,
    alpha: float = ALPHA,
    progress: Progress | None = None,
) -> Similarities:
    """All indexes of ``INDEXES`` between the codes of the same images in several spaces.

    Canonical directions, rotations and what whitens for GULP are those of the moments ``fitted``,
    which should be of other images: those of the same would fit them the better, the fewer there
    are. Their intervals hold the directions fixed. Of each of the ``units`` ``(n,)`` one random
    image is taken; without them every image is one. Random pairings are so many that Holm's
    correction can pass, by default (``enough_permutations``); of fewer than ``1 / alpha - 1``
    nothing is calibrated. Memory holds three numbers for every space and pair of images.

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
    if permutations is None:
        permutations = enough_permutations(len(codes), alpha)
    if permutations < 1:
        raise MapError(f"a null needs at least 1 permutation, not {permutations}: give 99 or more")
    resampling = _resampling(n, permutations, seed)
    plan = SpectraPlan.of([part.shape[1] for part in codes], permutations)
    steps = Steps(progress, n_steps(len(codes), permutations) + plan.steps)
    found, variates = measure(codes, fitted, resampling, steps)
    spectra = spectra_null(fitted, plan, n, seed=seed, steps=steps)
    return Similarities(
        {name: _summary(name, one, spectra[name], alpha) for name, one in found.items()},
        variates,
        {
            name: nearer_of(one, higher_is_alike=INDEXES[name].higher_is_alike)
            for name, one in found.items()
            # Variates that share nothing have whatever axes the fit gave them, and so do weights
            # that depend on the axes: of two spaces that are as near one would seem nearer.
            if INDEXES[name].invariances["orthogonal"]
        },
        n,
        permutations,
        alpha,
    )


def _resampling(n: int, permutations: int, seed: int) -> Resampling:
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(n, generator=generator) for _ in range(permutations)]
    return Resampling.of(n, orders, seed=seed)


def _summary(name: str, found: Resampled, spectra: np.ndarray, alpha: float) -> SimilarityMatrix:
    index = INDEXES[name]
    higher = index.higher_is_alike
    groups = len(found.without)
    reach = student_quantile((1 + _LEVEL) / 2, groups - 1) * jackknife_error(found.without)
    low, high = (np.clip(found.value + side * reach, *index.bounds) for side in (-1, 1))
    null = _one_of_both(found.null) if index.symmetric else found.null
    spectra = _one_of_both(spectra) if index.symmetric else spectra
    threshold = thresholds(null, alpha, higher_is_alike=higher)
    p_value = _p_values(found.value, null, higher_is_alike=higher)
    of_low, of_high = (
        calibrated(side, threshold, index.same) for side in ((low, high) if higher else (high, low))
    )
    itself = np.diag_indices(len(p_value))
    scores = calibrated(found.value, threshold, index.same)
    for matrix, same in (
        *((one, index.same) for one in (found.value, low, high)),
        *((one, 1.0) for one in (scores, of_low, of_high)),
    ):
        matrix[itself] = same
    matrices = {
        "null_mean": null.mean(0),
        "p_value": p_value,
        "threshold": threshold,
        "spectra_mean": spectra.mean(0),
        "spectra_threshold": thresholds(spectra, alpha, higher_is_alike=higher),
        "spectra_p": _p_values(found.value, spectra, higher_is_alike=higher),
    }
    for matrix in matrices.values():
        matrix[itself] = np.nan
    return SimilarityMatrix(
        index=index,
        value=found.value,
        low=low,
        high=high,
        p_holm=holm_over_pairs(p_value, symmetric=index.symmetric),
        calibrated=scores,
        calibrated_low=of_low,
        calibrated_high=of_high,
        **matrices,
    )


def _one_of_both(null: np.ndarray) -> np.ndarray:
    """The same ``(b, m, m)`` with the lower half as the upper one: both are of one null, and the
    second is not an independent test.
    """
    lower = np.tril_indices(null.shape[1], -1)
    null = null.copy()
    null[:, lower[0], lower[1]] = null[:, lower[1], lower[0]]
    return null


def _p_values(value: np.ndarray, null: np.ndarray, *, higher_is_alike: bool) -> np.ndarray:
    """How often a null ``(b, m, m)`` is as alike as a value: the value counts as one of it."""
    # A null that is as alike counts, and most nulls are computed in float32.
    least = value - _ROUNDING if higher_is_alike else value + _ROUNDING
    alike = null >= least if higher_is_alike else null <= least
    p_value = (1 + alike.sum(0)) / (1 + len(null))
    return np.where(np.isnan(value), np.nan, p_value)


def _rows(matrix: np.ndarray) -> list[Any]:
    rows = matrix.astype(object)
    rows[~np.isfinite(matrix)] = None
    listed: list[Any] = rows.tolist()
    return listed
