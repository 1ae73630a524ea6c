"""The learning curve between two models: how scores grow with the pairs that a map is fitted on.

Shapes: ``n`` images.
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
from latentmap.intervals import N_BOOTSTRAP, Estimate, defined
from latentmap.mapping import FitOptions, LinearMap
from latentmap.relocation.baselines import Baseline
from latentmap.relocation.curve_baselines import BaselineLevel
from latentmap.relocation.curve_scoring import scored_curve
from latentmap.relocation.enough import Enough
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.judged import judged_on
from latentmap.relocation.pairing import TrainingPairs
from latentmap.relocation.scored_figures import is_high
from latentmap.relocation.scores import record_of
from latentmap.report import Shown, Table

if TYPE_CHECKING:
    from pandas import DataFrame

_SIZES = (16, 64, 256, 1024)
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
    Codes are those of ``n_test`` images of ``n_units`` units, and errors of images are over
    ``n_images`` of them. ``enough`` says of R2, and of efficiency where it is defined, how many
    pairs are; ``baselines`` are what maps from other codes reach with all of them.
    """

    source: Space
    target: Space
    method: str
    points: Sequence[CurvePoint]
    floor_mse: float
    baseline_mse: float
    enough: Mapping[str, Enough]
    baselines: Sequence[BaselineLevel]
    n_test: int
    n_units: int
    n_images: int
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
        from latentmap.relocation.curve_table import baselines_table, curve_table

        return [curve_table(self), *([baselines_table(self)] if self.baselines else [])]

    def to_frame(self) -> DataFrame:
        """The points as a DataFrame, a row a figure: numbers of ``pairs`` and ``draws``,
        ``figure``, ``value``, the ends ``low`` and ``high`` of its interval over images, and
        ``draws_low`` and ``draws_high`` of where another draw is.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.report.data_frames import pandas_library

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
        """All points, what is enough, and the baselines."""
        enough: dict[str, Any] = {}
        for name, one in self.enough.items():
            enough |= one.to_json(f"enough_pairs_{name}")
        return {
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "method": self.method,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "n_images": self.n_images,
            "floor_mse": defined(self.floor_mse),
            "baseline_mse": defined(self.baseline_mse),
            "points": [point.to_json() for point in self.points],
            **enough,
            "baselines": [one.to_json() for one in self.baselines],
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
    n_images: int = 500,
    options: FitOptions | None = None,
    baselines: Sequence[Baseline] = (),
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> LearningCurve:
    """Maps from random subsets of the training pairs, each size ``draws`` times, all scored on the
    same images; for ``sizes`` see ``curve_sizes``. A subset is of as many units as it can be.
    The target decodes ``n_images`` random ones of these, each once for a size, from the draws in
    turn; see ``latentmap.relocation.draws``. ``baselines``, fitted on all pairs, are scored on the
    same images. ``record`` goes into the result. ``progress=True``
    shows how far it is.

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
        found, figures = scored_curve(maps, baselines, judged, test, coder, n_images, seed)
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
        floor_mse=figures.floor,
        baseline_mse=figures.baseline,
        enough=figures.enough(chosen, seed=seed),
        baselines=[
            BaselineLevel(
                one.kind,
                one.model.name,
                one.linear_map.source.dim,
                every,
                figures.at(len(chosen) + number)[0],
            )
            for number, one in enumerate(baselines)
        ],
        n_test=len(found.errors.ids),
        n_units=len(np.unique(found.errors.units)),
        n_images=min(n_images, len(found.errors.ids)),
        # Of the last map; what was chosen for it is not what was chosen for all.
        record={name: value for name, value in made.items() if name != "selection"},
    )
