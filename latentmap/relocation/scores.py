"""Scores: what a map loses, beside what is lost without it, with intervals over images.

Shapes: ``n`` images, ``q`` target variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from latentmap.codes import Pairs
from latentmap.images import ImageSource
from latentmap.intervals import N_BOOTSTRAP, UNDEFINED, Estimate, defined, resample, shares
from latentmap.mapping import LinearMap
from latentmap.mapping.held_out_error import HeldOutError, psnr_of
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.relocation.activity import inactive_models
from latentmap.relocation.measuring import ImageErrors, Measured, measure
from latentmap.report import Shown, Table, with_interval


@dataclass(frozen=True)
class Figures:
    """How well a map relocates images, each with its interval.

    All errors are means over images, pixels and channels in [0, 1]. ``r_mse``: image against its
    reconstruction by the source. ``l_mse``: target code against mapped code, mean over variables.
    ``r2``: the share of the variance of the target codes that is predicted, all variables together;
    ``r2_cells``, of grids alone, the same of the variance about the mean of each channel over all
    images and positions, so that what depends on the position alone has to be predicted, too.
    ``m_mse``: image, as the target sees it, against the target's image of the mapped code; it lies
    between ``floor_mse``, the target's own reconstruction, and ``baseline_mse``, the error of the
    mean image, without the part that is due to its being the mean of these images (see
    ``of_own_mean``), and so is the variance of ``r2``. ``efficiency`` is (baseline - m) / (baseline
    - floor); NaN when the target's floor is not below the baseline.

    Without a decoder of the source there is no ``r_mse``; without one of the target there are
    neither ``m_mse``, ``floor_mse`` and ``baseline_mse`` nor ``efficiency``. These are NaN then.
    """

    r_mse: Estimate
    l_mse: Estimate
    r2: Estimate
    r2_cells: Estimate
    m_mse: Estimate
    floor_mse: Estimate
    baseline_mse: Estimate
    efficiency: Estimate

    def to_json(self) -> dict[str, Any]:
        """Each with ``_low`` and ``_high``; None where one is not defined."""
        result: dict[str, Any] = {}
        for name in FIGURES:
            result |= getattr(self, name).to_json(name)
        return result


FIGURES = tuple(one.name for one in fields(Figures))


def figures_in_words(figures: Figures, decimals: int = 3) -> str:
    """R2 and, where the target decodes, efficiency, with their intervals."""
    said = f"R2 {with_interval(figures.r2, decimals)}"
    if math.isfinite(figures.m_mse.value):
        said += f", efficiency {with_interval(figures.efficiency, decimals)}"
    return said


@dataclass(frozen=True)
class Beside:
    """What a ``thumbnail`` of so many ``numbers`` does in place of the source's codes: the
    ``figures`` of a map by the same method, fitted and scored on the same images.
    """

    thumbnail: str
    numbers: int
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """All of it, figures as those of scores."""
        figures = self.figures.to_json()
        return {"model": self.thumbnail, "numbers": self.numbers, **figures}


@dataclass(frozen=True, eq=False)
class Scores(Figures, Shown):
    """The figures of a map over ``n_test`` images of ``n_units`` units (see ``units_of``); the map
    was fitted on ``n_pairs``.

    ``r2_per_variable`` is NaN for a variable that is constant. ``errors`` holds what each image
    contributes. ``psnr`` is ``l_mse`` in decibels where codes are pixels, see ``psnr_of``, and else
    not defined. ``thumbnail`` is what a thumbnail of about as many numbers as the source's codes
    does in their place, where that was asked for.
    """

    n_pairs: int
    n_test: int
    n_units: int
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    errors: ImageErrors
    psnr: Estimate = UNDEFINED
    record: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: Beside | None = None

    def __repr__(self) -> str:
        return f"<Scores: {figures_in_words(self)}, on {self.n_test} images>"

    @property
    def held_out(self) -> HeldOutError:
        """What is kept of them in the file of the map."""
        return HeldOutError(self.r2, self.l_mse, self.psnr, self.n_test, self.n_units)

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import scores_table

        return [scores_table(self)]

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
            "thumbnail": None if self.thumbnail is None else self.thumbnail.to_json(),
            "record": dict(self.record),
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
    progress: Progress | None = None,
) -> list[Scores]:
    """The scores of maps between two spaces on some pairs and their images.

    The codes are those of the pairs; see ``measure``. All maps meet the same ``n_bootstrap``
    resamplings, of units: images of one of the groups of ``images``, and copies, are drawn
    together. Ratios are formed inside each resampling, with mean image and mean code held fixed.
    The record of each is that of its map and, as ``skipped``, the images that could not be encoded.

    Raises:
        SpaceError, PairError: as ``measure`` raises them.
    """
    measured = measure(maps, pairs, source, target, images, progress=progress)
    return [
        scores_of(linear_map, found, seed=seed, n_bootstrap=n_bootstrap)
        for linear_map, found in zip(maps, measured, strict=True)
    ]


def scores_of(
    linear_map: LinearMap,
    measured: Measured,
    *,
    thumbnail: Beside | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
    record: Mapping[str, Any] | None = None,
) -> Scores:
    """The figures of a map with their intervals; ``record`` is added to that of the map."""
    figures = _estimates(measured.errors, n_bootstrap, seed)
    return Scores(
        **figures,
        psnr=psnr_of(figures["l_mse"], linear_map.target),
        n_pairs=linear_map.n_pairs,
        n_test=len(measured.errors.ids),
        n_units=len(np.unique(measured.errors.units)),
        l_mse_per_variable=measured.l_mse_per_variable,
        r2_per_variable=measured.r2_per_variable,
        errors=measured.errors,
        thumbnail=thumbnail,
        record={
            **linear_map.record,
            "scored_data": measured.data,
            "score_seed": seed,
            "n_bootstrap": n_bootstrap,
            "skipped": list(measured.skipped),
            "inactive": inactive_models([linear_map]),
            "without_decoder": list(measured.without_decoder),
            **(record or {}),
        },
    )


def beside_of(thumbnail: Model, measured: Measured, *, seed: int = 0) -> Beside:
    """The figures of a map that reads a thumbnail, with their intervals."""
    found = {**_estimates(measured.errors, N_BOOTSTRAP, seed), "r_mse": UNDEFINED}
    return Beside(thumbnail.name, thumbnail.latent_dim, Figures(**found))


def figures_of(errors: ImageErrors) -> dict[str, float]:
    """The figures of some images without intervals, by name."""
    return dict(zip(FIGURES, _figures(errors.rows().mean(1)).tolist(), strict=True))


def _estimates(errors: ImageErrors, n_bootstrap: int, seed: int) -> dict[str, Estimate]:
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
