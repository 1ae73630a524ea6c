"""Scores: what a map loses, beside what is lost without it, with intervals over images.

Shapes: ``n`` images, ``q`` target variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.errors import PairError, SpaceError
from latentmap.images import ImageSource
from latentmap.intervals import Estimate, defined, interval, resample
from latentmap.mapping import LinearMap
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.report import Shown, Table, with_interval

_BATCH = 64  # The decoders' inner images are what fills the memory.


@dataclass(frozen=True)
class Figures:
    """How well a map relocates images, each with its interval.

    All errors are means over images, pixels and channels in [0, 1]. ``r_mse``: image against its
    reconstruction by the source. ``l_mse``: target code against mapped code, mean over variables.
    ``r2``: the share of the variance of the target codes that is predicted, all variables together.
    ``m_mse``: image, as the target sees it, against the target's image of the mapped code; it lies
    between ``floor_mse``, the target's own reconstruction, and ``baseline_mse``, the mean of the
    scored images. ``efficiency`` is (baseline - m) / (baseline - floor); NaN when the target's
    floor is not below the baseline.
    """

    r_mse: Estimate
    l_mse: Estimate
    r2: Estimate
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


@dataclass(frozen=True, eq=False)
class ImageErrors:
    """What each scored image contributes, float64 ``(n,)`` each.

    ``reconstruction``, ``relocation``, ``floor`` and ``baseline`` are means over pixels and
    channels, ``code`` is the mean over target variables, ``code_variance`` the mean squared
    distance of the target code from the mean code.
    """

    ids: np.ndarray
    reconstruction: np.ndarray
    code: np.ndarray
    code_variance: np.ndarray
    relocation: np.ndarray
    floor: np.ndarray
    baseline: np.ndarray


@dataclass(frozen=True, eq=False)
class Scores(Figures, Shown):
    """The figures of a map over ``n_test`` images; the map was fitted on ``n_pairs``.

    ``r2_per_variable`` is NaN for a variable that is constant. ``errors`` holds what each image
    contributes.
    """

    n_pairs: int
    n_test: int
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    errors: ImageErrors
    record: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        r2, efficiency = (with_interval(one, 3) for one in (self.r2, self.efficiency))
        return f"<Scores: R2 {r2}, efficiency {efficiency}, on {self.n_test} images>"

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import scores_table

        return [scores_table(self)]

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``; None where one is not defined."""
        return {
            **super().to_json(),
            "n_pairs": self.n_pairs,
            "n_test": self.n_test,
            "l_mse_per_variable": [defined(value) for value in self.l_mse_per_variable],
            "r2_per_variable": [defined(value) for value in self.r2_per_variable],
            "record": dict(self.record),
        }


@dataclass(frozen=True, eq=False)
class Measured:
    """What a map gives on some images, before any statistics: the errors of every image, and the
    means over images for each target variable, ``(q,)``. ``data`` is the fingerprint of the images,
    ``skipped`` are those that could not be encoded.
    """

    errors: ImageErrors
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    data: str
    skipped: tuple[str, ...]

    def figures(self) -> dict[str, float]:
        """The figures of ``Scores`` without intervals, by name."""
        return dict(zip(FIGURES, _figures(_rows(self.errors).mean(1)).tolist(), strict=True))


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

    The codes are those of the pairs; images that are in no pair are not read. What does not depend
    on the map (images, reconstructions, floor, baseline) is computed once, and all maps meet the
    same resamplings. Intervals are percentiles over ``n_bootstrap`` resamplings of the images, the
    same for all figures; ratios are formed inside each resampling, with the mean image and the mean
    code held fixed. The record of each is that of its map and, as ``skipped``, the images that
    could not be encoded.

    Raises:
        SpaceError: a map or the pairs do not belong to the models.
        PairError: there are fewer than two pairs, or a pair whose image is not among the images.
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
    seed: int = 0,
    n_bootstrap: int = 1000,
    record: Mapping[str, Any] | None = None,
) -> Scores:
    """The figures of a map with their intervals; ``record`` is added to that of the map."""
    return Scores(
        **_estimates(measured.errors, n_bootstrap, seed),
        n_pairs=linear_map.n_pairs,
        n_test=len(measured.errors.ids),
        l_mse_per_variable=measured.l_mse_per_variable,
        r2_per_variable=measured.r2_per_variable,
        errors=measured.errors,
        record={
            **linear_map.record,
            "scored_data": measured.data,
            "score_seed": seed,
            "n_bootstrap": n_bootstrap,
            "skipped": list(measured.skipped),
            **(record or {}),
        },
    )


def measure(
    maps: Sequence[LinearMap],
    pairs: Pairs,
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """What maps between two spaces give on some pairs and their images, without intervals.

    Images stream through twice, once for their mean, so memory holds a few batches and a row of
    figures for each image.

    Raises:
        SpaceError, PairError: as for ``evaluate``.
    """
    for linear_map in maps:
        require_models(linear_map, source, target)
    source.space.require(pairs.source.space, "the source codes of these pairs")
    target.space.require(pairs.target.space, "the target codes of these pairs")
    if len(pairs) < 2:
        raise PairError(f"scores need at least 2 images, not {len(pairs)}: give more test images")
    pairs, images = _in_order_of(images, pairs)
    step = batch_size or _BATCH
    mean_image, mean_code = _means(pairs, target, images, step, progress)
    shared, own = [], []
    misses = torch.zeros(len(maps), target.latent_dim, dtype=torch.float64)
    spread = torch.zeros_like(mean_code)
    for batch in images.batches([source.view, target.view], batch_size=step):
        x, y = (part.read(batch.start, batch.stop) for part in (pairs.source, pairs.target))
        variance = (y.double() - mean_code).square()
        spread += variance.sum(0)
        # Images and what is decoded meet on the models' devices; only errors come back.
        seen_by_source = batch.floats(0, source.device)
        seen_by_target = batch.floats(1, target.device)
        shared.append(
            torch.stack(
                [
                    _image_errors(seen_by_source, source.decode(x)),
                    variance.mean(1),
                    _image_errors(seen_by_target, target.decode(y)),
                    _image_errors(seen_by_target, mean_image.float().expand_as(seen_by_target)),
                ]
            )
        )
        carried = []
        for number, linear_map in enumerate(maps):
            mapped = linear_map.apply(x)
            miss = (y.double() - mapped).square()
            misses[number] += miss.sum(0)
            relocated = _image_errors(seen_by_target, target.decode(mapped))
            carried.append(torch.stack([miss.mean(1), relocated]))
        own.append(torch.stack(carried))
        if progress:
            progress(len(images) + batch.stop, 2 * len(images))
    reconstruction, code_variance, floor, baseline = torch.cat(shared, 1).numpy()
    # A constant variable varies by the rounding of its float32 codes alone.
    constant = spread <= len(images) * (torch.finfo(torch.float32).eps * mean_code).square()
    if constant.all():
        code_variance[:] = 0
    skipped = tuple(dict.fromkeys((*pairs.source.skipped, *pairs.target.skipped)))
    return [
        Measured(
            ImageErrors(
                pairs.ids, reconstruction, code, code_variance, relocation, floor, baseline
            ),
            (missed / len(images)).numpy(),
            torch.where(constant, torch.nan, 1 - missed / spread).numpy(),
            images.fingerprint,
            skipped,
        )
        for (code, relocation), missed in zip(torch.cat(own, 2).numpy(), misses, strict=True)
    ]


def _means(
    pairs: Pairs, target: Model, images: ImageSource, step: int, progress: Progress | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean image ``(c, h, w)`` as the target sees it and its mean code ``(q,)``, float64."""
    mean_image = torch.zeros(target.image_shape, dtype=torch.float64)
    mean_code = torch.zeros(target.latent_dim, dtype=torch.float64)
    for batch in images.batches([target.view], batch_size=step):
        mean_image += batch.images[0].sum(0, dtype=torch.float64) / 255
        mean_code += pairs.target.read(batch.start, batch.stop).sum(0, dtype=torch.float64)
        if progress:
            progress(batch.stop, 2 * len(images))
    return mean_image / len(images), mean_code / len(images)


def _rows(errors: ImageErrors) -> np.ndarray:
    return np.stack([getattr(errors, row.name) for row in fields(errors) if row.name != "ids"])


def _estimates(errors: ImageErrors, n_bootstrap: int, seed: int) -> dict[str, Estimate]:
    """The figures with their intervals, by name."""
    rows = _rows(errors)
    value = _figures(rows.mean(1))
    resampled = np.stack([_figures(mean) for mean in resample(rows, n_bootstrap, seed=seed)])
    return {
        name: Estimate(float(number), *interval(resampled[:, column]))
        for column, (name, number) in enumerate(zip(FIGURES, value, strict=True))
    }


def require_models(linear_map: LinearMap, source: Model, target: Model) -> None:
    """Refuses models whose spaces are not those of a map.

    Raises:
        SpaceError: the map goes from, or to, another space.
    """
    if not linear_map.source.same_as(source.space):
        raise SpaceError(
            f"this map goes from {linear_map.source}: give that model with --src, not "
            f"{source.name} ({source.space})"
        )
    if not linear_map.target.same_as(target.space):
        raise SpaceError(
            f"this map goes to {linear_map.target}: give that model with --dst, not "
            f"{target.name} ({target.space})"
        )


def _in_order_of(images: ImageSource, pairs: Pairs) -> tuple[Pairs, ImageSource]:
    """The pairs in the order of the images, and the images that they are."""
    order = np.argsort(pairs.ids)
    place = np.searchsorted(pairs.ids, images.ids, sorter=order)
    row = order[np.minimum(place, len(order) - 1)]
    positions = np.flatnonzero(pairs.ids[row] == images.ids)
    if len(positions) != len(pairs):
        missing = pairs.ids[~np.isin(pairs.ids, images.ids)]
        raise PairError(
            f"{len(missing)} of {len(pairs)} pairs have no image ({missing[0]} is the first): "
            "score with the images that were encoded"
        )
    return pairs.take(row[positions]), images.subset(positions)


def _image_errors(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each image, ``(n,)``."""
    others = others.to(images.device)
    return (images - others).square().flatten(1).mean(1, dtype=torch.float64).cpu()


def _figures(means: np.ndarray) -> np.ndarray:
    """The figures, in the order of ``FIGURES``, from means in the order of ``ImageErrors``."""
    reconstruction, code, code_variance, relocation, floor, baseline = means
    r2 = 1 - code / code_variance if code_variance > 0 else np.nan
    # A target that shows images no better than their mean has no scale for an efficiency.
    efficiency = (baseline - relocation) / (baseline - floor) if baseline > floor else np.nan
    return np.array([reconstruction, code, r2, relocation, floor, baseline, efficiency])
