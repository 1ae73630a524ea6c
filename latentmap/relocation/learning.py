"""The learning curve between two models: how scores grow with the pairs that a map is fitted on.

Shapes: ``n`` images, ``d`` draws, ``s`` sizes, ``b`` resamplings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Space
from latentmap.errors import MapError
from latentmap.images import ImageSource
from latentmap.images.finding import positions_of
from latentmap.intervals import N_BOOTSTRAP, Estimate, Resampled, defined, resample, shares
from latentmap.mapping import FitOptions, LinearMap
from latentmap.relocation.draws import Missed, in_turn, mapped_in_turn, turns_of
from latentmap.relocation.enough import Enough, enough_pairs
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.judged import Judged, judged_on
from latentmap.relocation.measuring import ImageErrors, Measured, measure
from latentmap.relocation.measuring_codes import AsTheyAre, code_rows
from latentmap.relocation.pairing import TrainingPairs
from latentmap.relocation.scored_figures import is_high
from latentmap.relocation.scores import record_of
from latentmap.report import Shown, Table

if TYPE_CHECKING:
    from pandas import DataFrame

_SIZES = (16, 64, 256, 1024)
CURVE_FIGURES = ("l_mse", "r2", "m_mse", "efficiency")
GROWING = ("r2", "efficiency")


@dataclass(frozen=True)
class CurvePoint:
    """The scores of maps from ``n_pairs`` pairs of ``n_units`` units, ``draws`` times drawn.

    Each of the ``figures`` is the mean over the draws with its interval over images; ``over_draws``
    are the ranges within which another draw is with 95 %, NaN of a single draw, such as that of all
    pairs.
    """

    n_pairs: int
    n_units: int
    draws: int
    figures: dict[str, Estimate]
    over_draws: dict[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Each figure, with ``_low`` and ``_high`` over images, and ``_draws_low`` and
        ``_draws_high``.
        """
        row: dict[str, Any] = {
            "n_pairs": self.n_pairs,
            "n_units": self.n_units,
            "draws": self.draws,
        }
        for name, estimate in self.figures.items():
            low, high = self.over_draws[name]
            row |= estimate.to_json(name)
            row |= {f"{name}_draws_low": defined(low), f"{name}_draws_high": defined(high)}
        return row


@dataclass(frozen=True, eq=False)
class LearningCurve(Shown):
    """The scores against the number of pairs, with the bounds that hold at any number, of maps from
    the space ``source`` to ``target``; the bounds are NaN where the target does not decode.
    ``enough`` says of R2, and of efficiency where it is defined, how many pairs are.
    """

    source: Space
    target: Space
    method: str
    points: Sequence[CurvePoint]
    floor_mse: float
    baseline_mse: float
    enough: Mapping[str, Enough]
    n_test: int
    n_units: int
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        sizes = ", ".join(str(point.n_pairs) for point in self.points)
        return f"<LearningCurve of {self.method} with {sizes} pairs>"

    @property
    def has_high_floor(self) -> bool:
        """Whether an efficiency says little; see ``Figures``."""
        return is_high(self.floor_mse, self.baseline_mse)

    @property
    def verdicts(self) -> list[str]:
        """What follows from the figures, a sentence each."""
        from latentmap.relocation.curve_table import enough_in_words

        return enough_in_words(self)

    def tables(self) -> list[Table]:
        from latentmap.relocation.curve_table import curve_table

        return [curve_table(self)]

    def to_frame(self) -> DataFrame:
        """The points as a frame of pandas, a row a figure: numbers of ``pairs`` and ``draws``,
        ``figure``, ``value``, the ends ``low`` and ``high`` of its interval over images, and
        ``draws_low`` and ``draws_high`` of where another draw is.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.report.frames import pandas_library

        rows = [
            {
                "pairs": point.n_pairs,
                "draws": point.draws,
                "figure": name,
                **dict(zip(("value", "low", "high"), estimate, strict=True)),
                **dict(zip(("draws_low", "draws_high"), point.over_draws[name], strict=True)),
            }
            for point in self.points
            for name, estimate in point.figures.items()
            if math.isfinite(estimate.value)
        ]
        return pandas_library().DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """All points, and what is enough."""
        enough: dict[str, Any] = {}
        for name, one in self.enough.items():
            enough |= one.to_json(f"enough_pairs_{name}")
        return {
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "method": self.method,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "floor_mse": defined(self.floor_mse),
            "baseline_mse": defined(self.baseline_mse),
            "points": [point.to_json() for point in self.points],
            **enough,
            "verdicts": self.verdicts,
            "record": dict(self.record),
        }


def curve_sizes(sizes: Sequence[int | None] | None, n: int) -> list[int]:
    """The numbers of pairs of a learning curve over ``n`` pairs, in order: None among them is all
    of these; by default those of 16, 64, 256 and 1024 that there are, and all.

    Raises:
        MapError: a size is below 2 or above ``n``, or there is none.
    """
    if sizes is None:
        sizes = [*(size for size in _SIZES if size < n), None]
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
    coder: CoderLike = None,
    *,
    sizes: Sequence[int | None] | None = None,
    draws: int = 5,
    options: FitOptions | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> LearningCurve:
    """Maps from random subsets of the training pairs, each size ``draws`` times, all scored on the
    same images; for ``sizes`` see ``curve_sizes``. A subset is of as many units as it can be.
    Of images that the target decodes each is decoded once for a size, from the draws in turn, see
    ``latentmap.relocation.draws``. ``record`` goes into the result. ``progress=True`` shows how far
    it is.

    Raises:
        MapError: a size is below 2 or above the number of pairs, or a fit fails.
    """
    coder = Coder.of(training.coder_of(coder), progress=progress)
    every = len(training)
    training = training.in_memory()
    chosen = curve_sizes(sizes, every)
    drawn = {size: 1 if size == every else draws for size in chosen}
    maps: dict[int, list[LinearMap]] = {size: [] for size in chosen}
    with coder.stage("fitting", "maps") as told:
        done = 0
        for size, times in drawn.items():
            for draw in range(times):
                part = training.sample(size, seed=seed + draw)
                maps[size].append(
                    fit_training(part, options=options or FitOptions(), seed=seed, record=record)
                )
                done += 1
                if told:
                    told(done, sum(drawn.values()))
    flat = [one for of in maps.values() for one in of]
    with test.remembered():
        judged = judged_on(
            flat, training.source, training.target, test, coder, seen=[training.seen]
        )
        found, codes, images = _missed(maps, judged, test, coder, seed)
    figures = CurveFigures.of(found.errors, codes, images, seed)
    points = [
        CurvePoint(size, min(size, training.n_units), times, *figures.at(number))
        for number, (size, times) in enumerate(drawn.items())
    ]
    made = record_of(flat[-1], found, seed=seed, n_bootstrap=N_BOOTSTRAP, record=judged.record)
    return LearningCurve(
        source=training.source.space,
        target=training.target.space,
        method=flat[-1].method,
        points=points,
        floor_mse=float(found.errors.floor.mean()),
        baseline_mse=float(found.errors.baseline.mean()),
        enough=figures.enough(chosen, seed=seed),
        n_test=len(found.errors.ids),
        n_units=len(np.unique(found.errors.units)),
        # Of the last map; what was chosen for it is not what was chosen for all.
        record={name: value for name, value in made.items() if name != "selection"},
    )


def _missed(
    maps: Mapping[int, Sequence[LinearMap]],
    judged: Judged,
    images: ImageSource,
    coder: Coder,
    seed: int,
) -> tuple[Measured, list[Missed], list[Missed]]:
    """What the last map gives, and what the maps of each size miss of codes and of images."""
    # In the order in which images are read, which is that of all errors then.
    pairs = judged.pairs.take(np.argsort(positions_of(images, judged.pairs.ids)))
    space = judged.target.space
    turns = [turns_of(len(pairs), len(of), seed=seed) for of in maps.values()]
    with coder.stage("scoring") as progress:
        found = measure(
            [],
            pairs,
            judged.source,
            judged.target,
            images,
            others=[
                (AsTheyAre(), mapped_in_turn(of, pairs.source, space, turn))
                for of, turn in zip(maps.values(), turns, strict=True)
            ],
            reconstructions=False,
            batch_size=coder.batch_size,
            progress=progress,
        )
    codes = []
    for of in maps.values():
        errors, *_ = code_rows([(one, pairs.source) for one in of], pairs.target, None)
        mine = errors[2:].numpy()
        codes.append(Missed(mine.mean(0), mine.mean(1)))
    rows = [one.errors.relocation for one in found]
    bounds = [found[-1].errors.floor, found[-1].errors.baseline]
    moved = [
        in_turn(row, turn, np.mean([*bounds, *rows[:number], *rows[number + 1 :]], axis=0))
        for number, (row, turn) in enumerate(zip(rows, turns, strict=True))
    ]
    return found[-1], codes, moved


@dataclass(frozen=True, eq=False)
class CurveFigures:
    """What maps of ``s`` sizes miss of ``codes`` and of ``images``, with the mean over images of
    the variance of codes, the floor, the baseline, and then codes and images of every size:
    ``means`` ``(3 + 2 s,)``, and in resamplings of the images ``(b, 3 + 2 s)``.
    """

    codes: Sequence[Missed]
    images: Sequence[Missed]
    resampled: Resampled

    @classmethod
    def of(
        cls, errors: ImageErrors, codes: Sequence[Missed], images: Sequence[Missed], seed: int
    ) -> CurveFigures:
        rows = [errors.code_variance, errors.floor, errors.baseline]
        rows += [one.errors for one in (*codes, *images)]
        return cls(codes, images, resample(np.stack(rows), errors.units, seed=seed))

    def at(self, number: int) -> tuple[dict[str, Estimate], dict[str, tuple[float, float]]]:
        """The figures of a size, and within what they are of other draws."""
        s, means = len(self.codes), self.resampled.means.T
        mine = _figures_of(means[:3], means[3 + number], means[3 + s + number])
        figures = {name: self.resampled.estimate(values) for name, values in mine.items()}
        # An error from the low end of its range to the high one; a share the other way round.
        code, moved = (np.array(of[number].range) for of in (self.codes, self.images))
        bounds = np.repeat(self.resampled.every[:3, None], 2, axis=1)
        ranges = _figures_of(bounds, code, moved)
        return figures, {name: (min(ends), max(ends)) for name, ends in ranges.items()}

    def enough(self, sizes: Sequence[int], *, seed: int) -> dict[str, Enough]:
        """How many pairs are enough, of R2, and of efficiency where there is one."""
        s, every, drawn = len(sizes), self.resampled.every, self.resampled.drawn
        random = np.random.default_rng(seed)
        again = np.hstack(
            [drawn[:, :3]]
            + [
                drawn[:, [3 + at]] + _other_draws(one, len(drawn), random)
                for at, one in enumerate((*self.codes, *self.images))
            ]
        )
        found = {}
        for name in GROWING:
            values, others = (
                np.stack(
                    [_figures_of(of[:3], of[3 + k], of[3 + s + k])[name] for k in range(s)], axis=-1
                )
                for of in (every, again.T)
            )
            if np.isfinite(values).all():
                found[name] = enough_pairs(sizes, values, others)
        return found


def _other_draws(missed: Missed, rounds: int, random: np.random.Generator) -> np.ndarray:
    """How far the mean of other draws is from that of these, ``(b, 1)``: of one draw fewer, drawn
    with replacement, which vary as the mean of all does (Rao & Wu 1988).
    """
    away = missed.away
    if len(away) < 2:
        return np.zeros((rounds, 1))
    chosen = random.integers(0, len(away), (rounds, len(away) - 1))
    moved: np.ndarray = away[chosen].mean(1, keepdims=True)
    return moved


def _figures_of(bounds: np.ndarray, code: np.ndarray, moved: np.ndarray) -> dict[str, np.ndarray]:
    """The figures of a curve from mean errors of codes and images, and what they lie between:
    variance of codes, floor and baseline.
    """
    variance, floor, baseline = bounds
    r2 = 1 - shares(code, variance)
    return {
        "l_mse": code,
        "r2": r2,
        "m_mse": moved,
        "efficiency": shares(baseline - moved, baseline - floor),
    }
