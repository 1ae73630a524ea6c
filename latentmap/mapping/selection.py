"""Selection: which penalty, rank or number of components predicts pairs that the map has not seen.

Generalised cross-validation and k-fold, from moments alone; ``leaving_out.py`` and
``near_minimum.py`` have what reads the pairs once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import torch

from latentmap.errors import MapError
from latentmap.mapping.methods import Method, find_method
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.nested import EXACT, NestedMaps
from latentmap.mapping.options import Criterion
from latentmap.mapping.solution import NotConverged, Solution
from latentmap.progress import Progress

# Fourteen decades about the mean eigenvalue of the source codes: from no penalty to no map.
_DECADES = (-10.0, 4.0)
_STEPS = 65
_UNFELT = 2.0  # Decades below an eigenvalue at which a penalty leaves its direction alone.
_COARSE = 15  # Penalties, where each is tried with every size.
_SIZES = 40
# Below this 1 - h is rounding: the pair decides its own prediction, and leaving it out is not
# defined.
FREE = 1e-9
# Errors that differ by a smaller share are alike.
EQUAL = 1e-10


@dataclass(frozen=True, eq=False)
class Selection:
    """The mean squared errors (over pairs and target variables) of some candidates.

    ``candidates`` are settings such as ``{"penalty": 3.0}``, ``errors`` ``(m,)`` theirs by the
    ``criterion``, which left out ``n_units`` (see ``units_of``), one by one or fold by fold; None
    where each pair is one. Among equals the calmest is ``chosen``: the smallest of the setting
    ``size``, the largest penalty.
    """

    criterion: Criterion
    candidates: Sequence[Mapping[str, float]]
    errors: torch.Tensor
    size: str = ""
    n_units: int | None = None

    @property
    def chosen(self) -> Mapping[str, float]:
        """The candidate with the smallest error."""
        equal = self.errors <= self.errors.min() * (1 + EQUAL)
        among = [self.candidates[i] for i in equal.nonzero()[:, 0].tolist()]
        return max(among, key=lambda one: (-one.get(self.size, 0), one.get("penalty", 0.0)))

    def to_json(self) -> dict[str, Any]:
        """What the record of a map says of it."""
        errors = [float(e) if np.isfinite(float(e)) else None for e in self.errors]
        return {
            "criterion": self.criterion,
            "n_units": self.n_units,
            "chosen": dict(self.chosen),
            "candidates": [dict(candidate) for candidate in self.candidates],
            "errors": errors,
        }


def assign_folds(n: int, *, folds: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """The number of a fold for each of ``n`` pairs, ``(n,)``; pairs of one group are in one fold.

    They are those of scikit-learn's ``KFold`` with ``shuffle``, and of its ``GroupKFold``.

    Raises:
        MapError: there are fewer pairs, or groups, than folds.
    """
    units = n if groups is None else len(np.unique(groups))
    what = "pairs" if groups is None else "groups"
    if units < 2:
        raise MapError(f"cross-validation needs at least 2 {what}, not {units}: give more {what}")
    if not 2 <= folds <= units:
        raise MapError(f"{units} {what} can be cut into 2 to {units} folds, not {folds}")
    if groups is None:
        order = np.random.RandomState(seed % 2**32).permutation(n)
        numbers = np.empty(n, dtype=np.int64)
        numbers[order] = np.sort(np.arange(n) % folds)
        return numbers
    # The largest group first, each into the fold that has least as yet.
    _, named, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    fold_of, filled = np.empty(units, dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for group in np.argsort(sizes, kind="stable")[::-1].tolist():
        fold_of[group] = lightest = int(filled.argmin())
        filled[lightest] += sizes[group]
    return np.asarray(fold_of[named])


def penalty_grid(moments: Moments, *, steps: int = _STEPS) -> torch.Tensor:
    """Penalties ``(m,)`` in equal ratios, about the mean eigenvalue of ``G``.

    There are ``steps``, and as many more below as it takes to come to no penalty for the direction
    in which codes vary least. One penalty, 1, when the source codes do not vary: then every penalty
    gives the same map.
    """
    values = moments.source_spectrum.values
    if not len(values):
        return torch.ones(1, dtype=torch.float64)
    mean = values.sum().cpu() / moments.p
    first, last = _DECADES
    ratio = (last - first) / (steps - 1)
    beyond = first + _UNFELT - float((values[-1].cpu() / mean).log10())
    more = max(0, math.ceil(beyond / ratio))
    return mean * torch.logspace(first - more * ratio, last, steps + more, dtype=torch.float64)


def ridge_penalties(moments: Moments, settings: Mapping[str, Any]) -> list[float]:
    """What is tried for the penalty of ridge: ``penalty_grid``."""
    return penalty_grid(moments).tolist()


def cca_penalties(moments: Moments, settings: Mapping[str, Any]) -> list[float]:
    """What is tried for the penalty of CCA: fewer, where each is tried with every size."""
    return penalty_grid(moments, steps=_STEPS if "components" in settings else _COARSE).tolist()


def candidates_for(
    method: Method, moments: Moments, fixed: Mapping[str, Any], free: Sequence[str]
) -> list[dict[str, float]]:
    """What is tried for the ``free`` settings of a method, beside the ``fixed`` ones.

    Raises:
        MapError: the method knows no candidates for one.
    """
    sizes = method.sizes
    size = sizes.setting if sizes else ""
    tried = []
    for name in sorted(free, key=size.__eq__):  # The size varies fastest.
        values: Sequence[float]
        if name in method.candidates:
            given = method.candidates[name]
            values = given(moments, fixed) if callable(given) else given
        elif sizes and name == size:
            values = size_grid(sizes.largest(moments)).tolist()
        else:
            raise MapError(f"the method {method.name} knows no candidates for {name}: give it")
        tried.append([(name, value) for value in values])
    return [dict(combination) for combination in product(*tried)]


def size_grid(limit: int) -> np.ndarray:
    """Sizes from 1 to ``limit``, all small ones and ever fewer of the large."""
    return np.unique(np.round(np.geomspace(1, limit, _SIZES)).astype(np.int64))


def k_fold(
    method: Method,
    folds: Sequence[Moments],
    candidates: Sequence[Mapping[str, float]],
    *,
    fixed: Mapping[str, Any] | None = None,
    others: Sequence[Moments] | None = None,
    progress: Progress | None = None,
) -> Selection:
    """The errors on each fold of the maps that the others give, from the moments of the folds.

    They are exactly those of refitting on the rows. ``fixed`` are settings of the method that all
    candidates share, ``others`` the moments of all folds but each, where they are known.

    Raises:
        MapError: there are fewer than two folds, or a candidate cannot be.
    """
    if len(folds) < 2:
        raise MapError(f"cross-validation needs at least 2 folds, not {len(folds)}")
    total = torch.zeros(len(candidates), dtype=torch.float64)
    size = method.sizes.setting if method.sizes else ""
    runs = _runs(candidates, size)
    for number, held in enumerate(folds):
        if others is None:
            train = merge_all([fold for other, fold in enumerate(folds) if other != number])
        else:
            train = others[number]
        errors = _errors_on(held, method, train, fixed or {})
        done = number * len(candidates)
        for places in runs:
            total[places] += errors([candidates[place] for place in places]).cpu()
            done += len(places)
            if progress:
                progress(done, len(folds) * len(candidates))
    errors_of_all = total / (sum(fold.n for fold in folds) * folds[0].q)
    return Selection("kfold", list(candidates), errors_of_all, size)


def chosen_by_folds(
    method: Method,
    parts: Sequence[Moments],
    moments: Moments,
    names: Sequence[str],
    *,
    settings: Mapping[str, Any],
    others: Sequence[Moments] | None = None,
    progress: Progress | None = None,
) -> Selection:
    """The selection of the settings ``names`` of a method by the ``parts`` of some moments, beside
    the ``settings`` that are known; the penalty of methods like ridge is that of ridge.

    Raises:
        MapError: as ``candidates_for`` and ``k_fold`` raise it.
    """
    if method.ridge_like and "penalty" in names:
        method, settings = find_method("ridge"), {}
    tried = candidates_for(method, moments, settings, names)
    return k_fold(method, parts, tried, fixed=settings, others=others, progress=progress)


def _runs(candidates: Sequence[Mapping[str, float]], size: str) -> list[list[int]]:
    """The places of candidates that differ in nothing but their size."""
    runs: dict[Any, list[int]] = {}
    for place, candidate in enumerate(candidates):
        others = tuple((name, value) for name, value in candidate.items() if name != size)
        runs.setdefault(others if size in candidate else place, []).append(place)
    return list(runs.values())


def _errors_on(
    held: Moments, method: Method, train: Moments, fixed: Mapping[str, Any]
) -> Callable[[Sequence[Mapping[str, float]]], torch.Tensor]:
    """A function from settings that differ in their size alone to the squared errors on ``held`` of
    the maps from ``train``.
    """
    solve = solver_of(method, train, fixed)
    sizes = method.sizes

    def errors(run: Sequence[Mapping[str, float]]) -> torch.Tensor:
        every = {**fixed, **run[0]}
        if sizes and sizes.setting in run[0]:
            del every[sizes.setting]
            maps = sizes.maps(train, **every)
            if isinstance(maps, NestedMaps):
                return maps.squared_errors(held, [int(one[sizes.setting]) for one in run])
        return torch.tensor([missed(one) for one in run], dtype=torch.float64)

    def missed(candidate: Mapping[str, float]) -> float:
        try:
            solution = solve(candidate)
        except NotConverged:
            return math.inf
        return float(held.squared_error(solution.weight, solution.bias).sum())

    return errors


def solver_of(
    method: Method, moments: Moments, fixed: Mapping[str, Any]
) -> Callable[[Mapping[str, float]], Solution]:
    """A function from settings to the solution; what settings share is computed once."""
    sizes = method.sizes
    if sizes is None:
        solve_one = method.path(moments) if method.path else partial(method.solve, moments)
        return lambda settings: solve_one(**fixed, **settings)
    maps = cache(lambda **others: sizes.maps(moments, **others))

    def solve(settings: Mapping[str, float]) -> Solution:
        every = {**fixed, **settings}
        size = int(every.pop(sizes.setting))
        solution: Solution = maps(**every)(size)
        return solution

    return solve


def generalised(moments: Moments, *, penalties: torch.Tensor | None = None) -> Selection:
    """Generalised cross-validation of ridge (Golub, Heath, Wahba 1979), from moments alone.

    ``RSS / n / (1 - df / n)^2``, with the trace of the hat matrix, intercept included, as ``df``.

    Raises:
        MapError: there are fewer than two pairs.
    """
    if moments.n < 2:
        raise MapError(f"cross-validation needs at least 2 pairs, not {moments.n:g}")
    grid = penalty_grid(moments) if penalties is None else penalties.double()
    values = moments.source_spectrum.values
    rotated = moments.source_spectrum.directions.T @ moments.xy
    explained = rotated.square().sum(1)
    shrink = 1 / (values[:, None] + grid.to(values))
    removed = explained @ (2 * shrink - values[:, None] * shrink.square())
    residual = (moments.squares_y.sum() - removed).clamp(min=0)
    free = 1 - (float(moments.centred) + values @ shrink) / moments.n
    residual = residual.clamp(min=EXACT * float(moments.squares_y.sum()))
    errors = torch.where(free > FREE, residual / free.square(), torch.inf)
    errors = errors / (moments.n * moments.q)
    return Selection("gcv", [{"penalty": value} for value in grid.tolist()], errors.cpu())
