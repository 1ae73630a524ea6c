"""compare_parts: how spaces relate, from the moments of the parts of a data set.

What of a comparison moments tell, of all images however many: the maps between all spaces and what
they lose, ways by a third space, and the indexes that need no image beside another. Shapes: ``m``
spaces, ``u`` parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.cache.manifest import Manifest
from latentmap.comparison.projections import Rotation, canonical_directions
from latentmap.comparison.resampled import jackknife_error
from latentmap.errors import MapError
from latentmap.images import Split
from latentmap.intervals import Estimate, resample_sums, shares, student_quantile
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.norm_moments import NormMoments, linear_cka, merge_norms
from latentmap.mapping.orthogonal import solve_similarity
from latentmap.mapping.patches import patches_between
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import generalised
from latentmap.mapping.solution import Solution
from latentmap.progress import Progress
from latentmap.relocation.part_moments import PartMoments
from latentmap.report import Shown, Table

_GROUPS = 20  # Of parts, of which one is left out at a time.
_LEVEL = 0.95
_ROUNDING = 1e-7  # Of scores of float32 codes, relative to their size.

_LEAST = 5  # Of them, where products are large,
_BYTES = 2 << 30  # so that all take no more than this.

Pair = tuple[int, int]
Affine = tuple[Tensor, Tensor]
Norms = tuple[JointMoments, NormMoments]


@dataclass(frozen=True, eq=False)
class PartComparison(Shown):
    """How the spaces of several ``models``, by their names, relate over ``n_test`` images.

    From one space to another: ``r2`` and ``l_mse`` of the affine map, ``rotation_r2`` of the best
    rotation with one scale and a shift, ``cycle``, the share of the variance that is lost there and
    back; ``composed_r2`` by way of the second of three. Of two spaces: ``cka``, ``cca`` and
    ``procrustes`` as ``INDEXES`` has them, of all images. Intervals are over ``n_parts`` runs of
    images.
    """

    models: tuple[str, ...]
    n_fit: int
    n_test: int
    n_parts: int
    r2: Mapping[Pair, Estimate]
    l_mse: Mapping[Pair, Estimate]
    rotation_r2: Mapping[Pair, Estimate]
    cycle: Mapping[Pair, Estimate]
    composed_r2: Mapping[tuple[int, int, int], Estimate]
    cka: Mapping[Pair, Estimate]
    cca: Mapping[Pair, Estimate]
    procrustes: Mapping[Pair, Estimate]
    record: Mapping[str, Any] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        from latentmap.comparison.part_tables import part_comparison_tables

        return part_comparison_tables(self)

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``, by the numbers of the models."""
        ways, pairs = [], []
        for i, j in self.r2:
            figures: dict[str, Any] = {"source": i, "target": j}
            for name in ("r2", "l_mse", "rotation_r2", "cycle"):
                figures |= getattr(self, name)[i, j].to_json(name)
            ways.append(figures)
        for i, j in self.cka:
            figures = {"first": i, "second": j}
            for name in ("cka", "cca", "procrustes"):
                figures |= getattr(self, name)[i, j].to_json(name)
            pairs.append(figures)
        return {
            "models": list(self.models),
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "n_parts": self.n_parts,
            "pairs": ways,
            "spaces": pairs,
            "compositions": [
                {"source": i, "by": j, "target": k, **found.to_json("r2")}
                for (i, j, k), found in self.composed_r2.items()
            ],
            "record": dict(self.record),
        }


def require_flat(manifests: Sequence[Manifest]) -> None:
    """Refuses spaces between which a map is one of patches.

    Raises:
        MapError: two are such ones.
    """
    for one, other in combinations(manifests, 2):
        if patches_between(one.space, other.space, None) is not None:
            raise MapError(
                f"between {one.space} and {other.space} a map is of patches, which workers fit one "
                "by one: `latentmap fit --workers` for these two, or compare without workers"
            )


def compare_parts(
    moments: PartMoments,
    manifests: Sequence[Manifest],
    *,
    names: Sequence[str],
    split: Split = "train",
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PartComparison:
    """Maps between all spaces, fitted on one split by ridge as ``fit_parts`` does it, and what they
    and the indexes say of the split test. ``manifests`` are those of the entries of a task with
    norms, ``names`` what the models are called.

    Raises:
        PairError: a split has no images.
        MapError: a map between two of the spaces is one of patches.
    """
    require_flat(manifests)
    (train,) = moments.all(split)
    assert isinstance(train, JointMoments), "of spaces that are no grids"
    (every,) = moments.all("test")
    assert isinstance(every, JointMoments), "as those that were fitted on"
    m = len(manifests)
    affine, turned, penalties = {}, {}, {}
    every_way = list(permutations(range(m), 2))
    for done, (i, j) in enumerate(every_way):
        if progress:
            progress(done, len(every_way) + 1)
        between = train.between(i, j)
        penalty = generalised(between).chosen["penalty"]
        penalties[f"{names[i]} to {names[j]}"] = penalty
        affine[i, j] = _of(solve_ridge(between, penalty=penalty))
        turned[i, j] = _of(solve_similarity(between))
    wanted: dict[str, dict[Any, tuple[int, int, Affine]]] = {
        "r2": {way: (way[0], way[1], one) for way, one in affine.items()},
        "rotation_r2": {way: (way[0], way[1], one) for way, one in turned.items()},
        "cycle": {(i, j): (i, i, _after(affine[i, j], affine[j, i])) for i, j in affine},
        "composed_r2": {
            (i, j, k): (i, k, _after(affine[i, j], affine[j, k]))
            for i, j, k in permutations(range(m), 3)
        },
    }
    judged = _Judged(wanted, every, seed)
    groups = _Groups(len(moments.task), every)
    for part, norms in moments.with_norms("test"):
        judged.add(part)
        groups.add(part, norms)
    indexes = _indexes(train, groups, m)
    if progress:
        progress(len(every_way) + 1, len(every_way) + 1)
    return PartComparison(
        models=tuple(names),
        n_fit=round(train.n),
        n_test=round(every.n),
        n_parts=judged.n_parts,
        r2=judged.estimates("r2", _r2),
        l_mse=judged.estimates("r2", _error),
        rotation_r2=judged.estimates("rotation_r2", _r2),
        cycle=judged.estimates("cycle", shares),
        composed_r2=judged.estimates("composed_r2", _r2),
        **indexes,
        record={
            "split": split,
            "seed": seed,
            "penalties": penalties,
            **(record or {}),
        },
    )


def _of(solution: Solution) -> tuple[Tensor, Tensor]:
    return solution.weight, solution.bias


def _after(one: tuple[Tensor, Tensor], then: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The map that applies one, and then the other."""
    return one[0] @ then[0], one[1] @ then[0] + then[1]


def _error(errors: np.ndarray, variances: np.ndarray) -> np.ndarray:
    return errors


def _r2(errors: np.ndarray, variances: np.ndarray) -> np.ndarray:
    return 1 - shares(errors, variances)


class _Judged:
    """What maps ``wanted`` by a name and a way, from one space to another, lose of the codes of
    all parts, which are added one after the other.
    """

    def __init__(
        self,
        wanted: Mapping[str, Mapping[Any, tuple[int, int, Affine]]],
        every: JointMoments,
        seed: int,
    ) -> None:
        self._wanted, self._seed = wanted, seed
        self._raised = every.n / (every.n - 1) if every.n > 1 else math.nan
        self._means = [every.between(i, i).mean_x for i in range(len(every.dims))]
        self._sums: dict[tuple[str, Any], list[list[float]]] = {}
        self._sizes: list[float] = []

    @property
    def n_parts(self) -> int:
        return len(self._sizes)

    def add(self, part: JointMoments) -> None:
        self._sizes.append(part.n)
        for name, ways in self._wanted.items():
            for way, (i, j, (weight, bias)) in ways.items():
                pair = part.between(i, j)
                varies = pair.squares_y + pair.n * (pair.mean_y - self._means[j]).square()
                missed = pair.squared_error(weight, bias)
                sums = [float(missed.sum()) / pair.q, float(varies.sum()) / pair.q]
                self._sums.setdefault((name, way), []).append(sums)

    def estimates(
        self, name: str, figure: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> dict[Any, Estimate]:
        """A figure, of errors and variances, of all ways of a name."""
        found = {}
        for way in self._wanted[name]:
            sums = np.array(self._sums[name, way]).T
            drawn = resample_sums(sums, np.array(self._sizes), seed=self._seed)
            errors, variances = drawn.means.T
            found[way] = drawn.estimate(figure(errors, self._raised * variances))
        return found


class _Groups:
    """The parts in a few groups, so that one can be left out at a time."""

    def __init__(self, parts: int, every: JointMoments) -> None:
        most = max(_LEAST, min(_GROUPS, _BYTES // (8 * sum(every.dims) ** 2)))
        self._groups: list[Norms | None] = [None] * min(most, parts)
        self._added = 0

    def add(self, part: JointMoments, norms: NormMoments) -> None:
        place = self._added % len(self._groups)
        held = self._groups[place]
        more = (part, norms)
        self._groups[place] = more if held is None else merge_norms([held, more])
        self._added += 1

    def samples(self) -> Iterator[Norms]:
        """All together, and then all but each, if there are several."""
        groups = [one for one in self._groups if one is not None]
        yield merge_norms(groups)
        for place in range(len(groups) if len(groups) > 1 else 0):
            yield merge_norms([*groups[:place], *groups[place + 1 :]])


def _indexes(train: JointMoments, groups: _Groups, m: int) -> dict[str, dict[Pair, Estimate]]:
    """CKA, CCA and Procrustes of every two spaces, with intervals of a grouped jackknife."""
    ways = list(combinations(range(m), 2))
    fitted = {way: train.between(*way) for way in ways}
    directions = {way: canonical_directions(one) for way, one in fitted.items()}
    rotations = {way: Rotation.of(one) for way, one in fitted.items()}
    values: dict[tuple[str, Pair], list[float]] = {}
    for moments, norms in groups.samples():
        kernels = linear_cka(moments, norms)
        for way in ways:
            pair, along = moments.between(*way), directions[way]
            found = {
                "cka": float(kernels[way]),
                "cca": _correlation(pair, along.left, along.right),
                "procrustes": _procrustes(pair, rotations[way]),
            }
            for name, value in found.items():
                values.setdefault((name, way), []).append(value)
    bounds = {"cka": (-1.0, 1.0), "cca": (-1.0, 1.0), "procrustes": (0.0, 1.0)}
    return {
        name: {way: _jackknifed(np.array(values[name, way]), ends) for way in ways}
        for name, ends in bounds.items()
    }


def _correlation(moments: Moments, left: Tensor, right: Tensor) -> float:
    """The mean correlation of variates ``(p, k)`` and ``(q, k)``, of those that vary."""
    one = (left * (moments.xx @ left)).sum(0)
    other = (right * (moments.products_y @ right)).sum(0)
    both = (left * (moments.xy @ right)).sum(0)
    # As scores say it, whose own size is that of their mean as well.
    sizes = [
        varies + moments.n * (mean @ along).square()
        for varies, mean, along in ((one, moments.mean_x, left), (other, moments.mean_y, right))
    ]
    known = torch.ones_like(both, dtype=torch.bool)
    for varies, size in zip((one, other), sizes, strict=True):
        known &= varies > _ROUNDING**2 * size
    values = (both / (one * other).sqrt())[known].clamp(-1, 1)
    return float(values.mean()) if len(values) else math.nan


def _procrustes(moments: Moments, rotation: Rotation) -> float:
    """The Procrustes distance by a rotation that was fitted before."""
    shared = float((rotation.left * (moments.xy @ rotation.right)).sum())
    lengths = float(moments.squares_x.sum() * moments.squares_y.sum()) ** 0.5
    if not lengths > 0:
        return math.nan
    share = max(shared / lengths, 0.0)
    return math.sqrt(max(1 - share**2, 0.0))


def _jackknifed(values: np.ndarray, bounds: tuple[float, float]) -> Estimate:
    """The first of some values, with the interval of the others, without a group each."""
    value, without = float(values[0]), values[1:]
    if len(without) < 2:
        return Estimate(value, math.nan, math.nan)
    reach = student_quantile((1 + _LEVEL) / 2, len(without) - 1) * float(jackknife_error(without))
    low, high = (min(max(value + side * reach, bounds[0]), bounds[1]) for side in (-1, 1))
    return Estimate(value, low, high)
