"""Several maps between the same two models: by all methods, and from ever more pairs.

Shapes: ``n`` images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.cache import CoderLike
from latentmap.codes import Space
from latentmap.errors import MapError, ModelError
from latentmap.images import ImageSource
from latentmap.intervals import Estimate, defined
from latentmap.mapping import METHODS, FitOptions, LinearMap
from latentmap.mapping.shared_fits import SharedFits
from latentmap.relocation.baselines import Baseline
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.pairing import TrainingPairs
from latentmap.relocation.relocating import score_models
from latentmap.relocation.scores import Scores
from latentmap.report import Shown, Table, with_interval

_CURVE_SIZES = (16, 64, 256, 1024)
_CURVE_FIGURES = ("l_mse", "r2", "m_mse", "efficiency")


@dataclass(frozen=True, eq=False)
class MethodResult:
    """A map by one method, what it scores, and how long fitting it took, selection included."""

    linear_map: LinearMap
    scores: Scores
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The method, its settings and its scores."""
        one = self.linear_map
        return {
            "method": one.method,
            "settings": dict(one.settings),
            "figures": dict(one.figures),
            "rank": one.rank,
            "condition": one.condition,
            "seconds": self.seconds,
            **self.scores.to_json(),
        }


@dataclass(frozen=True, eq=False)
class MethodComparison(Shown):
    """All methods on the same pairs and images; ``failed`` says of the others why they have no
    map.
    """

    results: Sequence[MethodResult]
    failed: dict[str, str]

    def __repr__(self) -> str:
        best = max(self.results, key=lambda one: one.scores.r2.value)
        r2 = with_interval(best.scores.r2, 3)
        name = best.linear_map.method
        return f"<MethodComparison: {len(self.results)} methods, {name} with an R2 of {r2}>"

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import beside_methods, methods_table

        tables = [methods_table(self), *beside_methods(self)]
        return [table.bare("R2", "L_mse", "M_mse", "efficiency") for table in tables]

    def to_json(self) -> dict[str, Any]:
        """The results, and why methods have none."""
        return {"results": [one.to_json() for one in self.results], "failed": self.failed}


def compare_methods(
    training: TrainingPairs,
    test: ImageSource,
    coder: CoderLike,
    *,
    options: FitOptions | None = None,
    baselines: Sequence[Baseline] = (),
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> MethodComparison:
    """Every method of ``METHODS``, fitted on the training pairs and scored on the ``test`` images;
    what ``baselines`` give on these stands beside each.

    ``options`` hold for those methods that take them: a given rank goes to all that have one, a
    criterion to those whose penalty is that of ridge. ``record`` goes into each result.

    Raises:
        MapError: no method has a map.
    """
    coder = training.coder_of(coder)
    options = options or FitOptions()
    training = training.in_memory()
    shared = SharedFits(training.pairs, list(METHODS), options, groups=training.groups, seed=seed)
    fitted, failed = [], {}
    for name, method in METHODS.items():
        started = time.perf_counter()
        with coder.stage(f"fitting {name}", "steps") as progress:
            try:
                linear_map = fit_training(
                    training,
                    options=options.of(method),
                    seed=seed,
                    shared=shared,
                    record=record,
                    progress=progress,
                )
            except (MapError, ModelError) as error:
                failed[name] = str(error)
                continue
        fitted.append((linear_map, time.perf_counter() - started))
    if not fitted:
        raise MapError(f"no method has a map of these pairs: {next(iter(failed.values()))}")
    maps = [linear_map for linear_map, _ in fitted]
    scores = score_models(
        maps,
        training.source,
        training.target,
        test,
        coder,
        seen=[training.seen],
        baselines=baselines,
        seed=seed,
    )
    results = [
        MethodResult(linear_map, score, seconds)
        for (linear_map, seconds), score in zip(fitted, scores, strict=True)
    ]
    return MethodComparison(results, failed)


@dataclass(frozen=True)
class CurvePoint:
    """The scores of maps from ``n_pairs`` pairs of ``n_units`` units, ``draws`` times drawn.

    For each figure the mean over the draws, and the range that holds 95 % of them; a single draw,
    of all pairs, has the interval over images.
    """

    n_pairs: int
    n_units: int
    draws: int
    figures: dict[str, Estimate]


@dataclass(frozen=True, eq=False)
class LearningCurve(Shown):
    """The scores against the number of pairs, with the bounds that hold at any number, of maps from
    the space ``source`` to ``target``; the bounds are NaN where the target does not decode.
    """

    source: Space
    target: Space
    method: str
    points: Sequence[CurvePoint]
    floor_mse: float
    baseline_mse: float
    n_test: int
    n_units: int
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        sizes = ", ".join(str(point.n_pairs) for point in self.points)
        return f"<LearningCurve of {self.method} with {sizes} pairs>"

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import curve_table

        return [curve_table(self)]

    def to_json(self) -> dict[str, Any]:
        """All points: each figure with ``_low`` and ``_high``."""
        points = []
        for point in self.points:
            row: dict[str, Any] = {
                "n_pairs": point.n_pairs,
                "n_units": point.n_units,
                "draws": point.draws,
            }
            for name, estimate in point.figures.items():
                row |= estimate.to_json(name)
            points.append(row)
        return {
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "method": self.method,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "floor_mse": defined(self.floor_mse),
            "baseline_mse": defined(self.baseline_mse),
            "points": points,
            "record": dict(self.record),
        }


def curve_sizes(sizes: Sequence[int | None] | None, n: int) -> list[int]:
    """The numbers of pairs of a learning curve over ``n`` pairs, in order: None among them is all
    of these; by default those of 16, 64, 256 and 1024 that there are, and all.

    Raises:
        MapError: a size is below 2 or above ``n``, or there is none.
    """
    if sizes is None:
        sizes = [*(size for size in _CURVE_SIZES if size < n), None]
    found = sorted({n if size is None else size for size in sizes})
    wrong = [size for size in found if not 2 <= size <= n]
    if wrong or not found:
        raise MapError(
            f"a learning curve takes sizes from 2 to the {n} training pairs, not "
            f"{', '.join(map(str, wrong)) or 'none'}"
        )
    return found


def learning_curve(
    training: TrainingPairs,
    test: ImageSource,
    coder: CoderLike,
    *,
    sizes: Sequence[int | None] | None = None,
    draws: int = 5,
    options: FitOptions | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> LearningCurve:
    """Maps from random subsets of the training pairs, each size ``draws`` times, all scored on the
    same images; for ``sizes`` see ``curve_sizes``. A subset is of as many units as it can be.
    ``record`` goes into the result.

    Raises:
        MapError: a size is below 2 or above the number of pairs, or a fit fails.
    """
    coder = training.coder_of(coder)
    options = options or FitOptions()
    every = len(training)
    training = training.in_memory()
    chosen = curve_sizes(sizes, every)
    plan = [(size, draw) for size in chosen for draw in range(1 if size == every else draws)]
    maps = []
    with coder.stage("fitting", "maps") as progress:
        for done, (size, draw) in enumerate(plan):
            part = training.sample(size, seed=seed + draw)
            maps.append(fit_training(part, options=options, seed=seed, record=record))
            if progress:
                progress(done + 1, len(plan))
    scores = score_models(
        maps,
        training.source,
        training.target,
        test,
        coder,
        seen=[training.seen],
        seed=seed,
    )
    points, n_units = [], training.n_units
    for size in chosen:
        mine = [s for (n, _), s in zip(plan, scores, strict=True) if n == size]
        points.append(
            CurvePoint(
                size,
                min(size, n_units),
                len(mine),
                {f: _over_draws(mine, f) for f in _CURVE_FIGURES},
            )
        )
    first = scores[0]
    # Of the last map; what was chosen for it is not what was chosen for all.
    made = {name: value for name, value in scores[-1].record.items() if name != "selection"}
    return LearningCurve(
        source=training.source.space,
        target=training.target.space,
        method=maps[-1].method,
        points=points,
        floor_mse=first.floor_mse.value,
        baseline_mse=first.baseline_mse.value,
        n_test=first.n_test,
        n_units=first.n_units,
        record=made,
    )


def _over_draws(scores: Sequence[Scores], name: str) -> Estimate:
    if len(scores) == 1:
        alone: Estimate = getattr(scores[0], name)
        return alone
    values = [getattr(one, name).value for one in scores]
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(float(np.mean(values)), float(low), float(high))
