"""Scores: what a map loses, beside what is lost without it, with intervals over images.

Shapes: ``n`` images, ``q`` target variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmap.codes import Pairs
from latentmap.images import ImageSource
from latentmap.intervals import N_BOOTSTRAP, UNDEFINED, Estimate, defined, resample, shares
from latentmap.mapping import LinearMap
from latentmap.mapping.held_out_error import HeldOutError, psnr_of
from latentmap.model import Model
from latentmap.progress import ProgressLike, reporting
from latentmap.relocation.activity import inactive_models
from latentmap.relocation.baselines import BASELINES
from latentmap.relocation.beside import Beside, BesideKind, Ceiling, context_json
from latentmap.relocation.gains import Bounded, Drawn, Gain, MapErrors
from latentmap.relocation.measuring import ImageErrors, Measured, measure
from latentmap.relocation.scored_figures import FIGURES, Figures, figures_in_words
from latentmap.relocation.travel import Travel, travels_of
from latentmap.report import Shown, Table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Scores(Figures, Shown):
    """The figures of a map over ``n_test`` images of ``n_units`` units (see ``units_of``); the map
    was fitted on ``n_pairs``.

    ``r2_per_variable`` is NaN for a variable that is constant. ``errors`` holds what each image
    contributes. ``psnr`` is ``l_mse`` in decibels where codes are pixels, see ``psnr_of``, and else
    not defined. Where they were asked for, ``baselines`` are what other codes do in place of the
    source's, and ``gain`` what the map has over the best; ``ceiling`` is what a nonlinear map
    reaches. ``network`` is what the target's own encoder reaches from images whose codes in the
    target are known. ``travel`` says how far the source codes are from those of the fit.
    """

    n_pairs: int
    n_test: int
    n_units: int
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    errors: ImageErrors
    psnr: Estimate = UNDEFINED
    record: Mapping[str, Any] = field(default_factory=dict)
    baselines: tuple[Beside, ...] = ()
    gain: Gain | None = None
    ceiling: Ceiling | None = None
    network: Beside | None = None
    travel: Travel | None = None

    def __repr__(self) -> str:
        return f"<Scores: {figures_in_words(self)}, on {self.n_test} images>"

    @property
    def held_out(self) -> HeldOutError:
        """What is kept of them in the file of the map."""
        return HeldOutError(self.r2, self.l_mse, self.psnr, self.n_test, self.n_units)

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import beside_table, scores_table

        # As wide as a terminal: of L_mse the same follows as of R2.
        beside = beside_table(self).bare("L_mse")
        return [scores_table(self), *[beside] * bool(beside.rows)]

    def to_frame(self) -> DataFrame:
        """The figures as a DataFrame, a row each: the ``codes`` that are read, those of this
        map first, then those of what stands beside it; ``figure``, ``value``, and the ends ``low``
        and ``high`` of its interval; for ``m_mse`` its ``floor`` and its ``baseline``.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.relocation.score_rows import rows_of
        from latentmap.report.data_frames import pandas_library

        return pandas_library().DataFrame(rows_of(self))

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``; None where one is not defined."""
        return {
            **super().to_json(),
            **self.psnr.to_json("psnr"),
            "n_pairs": self.n_pairs,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "l_mse_per_variable": [defined(value) for value in self.l_mse_per_variable],
            "r2_per_variable": [defined(value) for value in self.r2_per_variable],
            **self.context(),
            "verdicts": self.verdicts,
            "travel": None if self.travel is None else self.travel.to_json(),
            "record": dict(self.record),
        }

    @property
    def verdicts(self) -> list[str]:
        """What follows from the figures, a sentence each."""
        from latentmap.relocation.verdicts import verdicts

        return verdicts(self)

    def context(self) -> dict[str, Any]:
        """What stands beside the figures, as JSON: baselines, gain, ceiling, network."""
        return {
            **context_json(self, self.baselines, self.gain, self.ceiling),
            "network": None if self.network is None else self.network.to_json(),
        }


def evaluate(
    maps: Sequence[LinearMap],
    pairs: Pairs,
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    seed: int = 0,
    n_bootstrap: int = 1000,
    progress: ProgressLike = None,
) -> list[Scores]:
    """The scores of maps between two spaces on some pairs and their images.

    The codes are those of the pairs; see ``measure``. All maps meet the same ``n_bootstrap``
    resamplings, of units: images of one of the groups of ``images``, and copies, are drawn
    together. Ratios are formed inside each resampling, with mean image and mean code held fixed.
    The record of each is that of its map and, as ``skipped``, the images that could not be encoded.

    Raises:
        SpaceError, PairError: as ``measure`` raises them.
    """
    with reporting(progress, "scoring") as told:
        measured = measure(maps, pairs, source, target, images, progress=told)
    travels = travels_of(maps, pairs.source, images)
    return [
        scores_of(linear_map, found, travel=travel, seed=seed, n_bootstrap=n_bootstrap)
        for linear_map, found, travel in zip(maps, measured, travels, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class BesideMeasured:
    """What is measured beside a map on the same images: a ``kind`` and the name of the ``model``
    whose codes are read, of so many ``numbers``; of a ceiling ``by`` says what the map is.
    """

    kind: BesideKind
    model: str
    numbers: int
    measured: Measured
    by: str = ""

    def beside(self, *, seed: int = 0, n_bootstrap: int = N_BOOTSTRAP) -> Beside:
        """Its figures with their intervals."""
        found = {
            **estimates_of(self.measured.errors, seed=seed, n_bootstrap=n_bootstrap),
            "r_mse": UNDEFINED,
        }
        return Beside(self.kind, self.model, self.numbers, Figures(**found))


def scores_of(
    linear_map: LinearMap,
    measured: Measured,
    *,
    others: Sequence[BesideMeasured] = (),
    travel: Travel | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
    record: Mapping[str, Any] | None = None,
) -> Scores:
    """The figures of a map with their intervals, and of what stands beside it; ``record`` is added
    to that of the map.
    """
    figures: dict[str, Any] = {**estimates_of(measured.errors, seed=seed, n_bootstrap=n_bootstrap)}
    scores = Scores(
        **figures,
        psnr=psnr_of(figures["l_mse"], linear_map.target),
        n_pairs=linear_map.n_pairs,
        n_test=len(measured.errors.ids),
        n_units=len(np.unique(measured.errors.units)),
        l_mse_per_variable=measured.l_mse_per_variable,
        r2_per_variable=measured.r2_per_variable,
        errors=measured.errors,
        travel=travel,
        record=record_of(
            linear_map, measured, seed=seed, n_bootstrap=n_bootstrap, record=record or {}
        ),
    )
    drawn = Drawn(measured.errors.units, seed, n_bootstrap)
    return _with_context(scores, others, drawn, linear_map.method)


def record_of(
    linear_map: LinearMap,
    measured: Measured,
    *,
    seed: int,
    n_bootstrap: int,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """What made the scores of a map: its own record, what is known of the images, ``record``."""
    return {
        **linear_map.record,
        "scored_data": measured.data,
        "score_seed": seed,
        "n_bootstrap": n_bootstrap,
        "skipped": list(measured.skipped),
        "inactive": inactive_models([linear_map]),
        "without_decoder": list(measured.without_decoder),
        **record,
    }


def _with_context(
    scores: Scores, others: Sequence[BesideMeasured], drawn: Drawn, method: str
) -> Scores:
    """The scores of a map by some ``method`` with what stands beside them."""
    mine = scores.errors
    images = Bounded(mine.relocation, mine.floor, mine.baseline)
    errors = MapErrors(mine.code, mine.code_variance, drawn, images, drawn)
    shown = [(one, one.beside(seed=drawn.seed, n_bootstrap=drawn.n_bootstrap)) for one in others]
    among = {one.model: one.measured.errors for one in others if one.kind in BASELINES}
    by_code = {name: one.code for name, one in among.items()}
    by_image = {name: one.relocation for name, one in among.items()}
    found = {one.kind: (one, beside) for one, beside in shown if one.kind not in BASELINES}
    ceiling = network = None
    if "ceiling" in found:
        one, beside = found["ceiling"]
        theirs = one.measured.errors
        linearity = errors.linearity(theirs.code, theirs.relocation)
        ceiling = Ceiling(one.by, beside, linearity, method)
    if "network" in found:
        network = found["network"][1]
    return replace(
        scores,
        baselines=tuple(beside for one, beside in shown if one.kind in BASELINES),
        gain=errors.gain(by_code, by_image) if among else None,
        ceiling=ceiling,
        network=network,
    )


def figures_of(errors: ImageErrors) -> dict[str, float]:
    """The figures of some images without intervals, by name."""
    return dict(zip(FIGURES, _figures(errors.rows().mean(1)).tolist(), strict=True))


def estimates_of(
    errors: ImageErrors, *, seed: int = 0, n_bootstrap: int = N_BOOTSTRAP
) -> dict[str, Estimate]:
    """The figures with their intervals, by name."""
    rows = errors.rows()
    found = resample(rows, errors.units, seed=seed, n_bootstrap=n_bootstrap)
    return {
        name: found.estimate(values)
        for name, values in zip(FIGURES, _figures(found.means.T), strict=True)
    }


def _figures(means: np.ndarray) -> np.ndarray:
    """The figures, in the order of ``FIGURES``, from means ``(7, ...)`` in that of
    ``ImageErrors``.
    """
    reconstruction, code, code_variance, cell_variance, relocation, floor, baseline = means
    r2, r2_cells = 1 - shares(code, code_variance), 1 - shares(code, cell_variance)
    # A target that shows images no better than their mean has no scale for an efficiency.
    efficiency = shares(baseline - relocation, baseline - floor)
    return np.stack([reconstruction, code, r2, r2_cells, relocation, floor, baseline, efficiency])
