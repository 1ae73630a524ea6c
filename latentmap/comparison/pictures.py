"""The images of all maps: what they lose, some examples, and walks along shared factors.

Shapes: ``m`` models, ``n`` images, ``k`` examples or factors, ``s`` steps, images ``(n, c, h, w)``
in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs
from latentmap.images import ImageSource
from latentmap.images.views import Batch, View
from latentmap.intervals import UNDEFINED, Estimate, Resampled, resample, shares
from latentmap.mapping import LinearMap, SharedFactors
from latentmap.model import Model
from latentmap.model.late_check import LateCheck
from latentmap.progress import Progress
from latentmap.relocation.factors import cells_along
from latentmap.relocation.gains import Bounded
from latentmap.relocation.measuring import of_own_mean
from latentmap.relocation.measuring_codes import CodeMap
from latentmap.transfers import Arriving, a_batch_late

_BATCH = 64  # The decoders' inner images are what fills the memory.
STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # Of a walk, in standard deviations.

Maps = Mapping[tuple[int, int], LinearMap]
# Any that carry codes from one space to another, by their numbers.
CodeMaps = Mapping[tuple[int, int], CodeMap]


@dataclass(frozen=True, eq=False)
class ImageFigures:
    """The errors of images with their intervals, by the numbers of the models.

    ``reconstruction`` is that of a model by itself, ``baseline`` that of the mean test image as it
    sees it; ``relocated`` and ``efficiency`` are of the map from one model to another. None of them
    is defined of a model that has no decoder, or of a map to one. ``moved`` are the errors of each
    image ``(n,)`` by these maps, ``floors`` and ``baselines`` ``(m, n)`` those of each model, NaN
    where they are not defined.
    """

    reconstruction: Sequence[Estimate]
    baseline: Sequence[Estimate]
    relocated: Mapping[tuple[int, int], Estimate]
    efficiency: Mapping[tuple[int, int], Estimate]
    moved: Mapping[tuple[int, int], np.ndarray]
    floors: np.ndarray
    baselines: np.ndarray

    def bounded(self, place: tuple[int, int]) -> Bounded:
        """The errors of a map, between those that bound them."""
        return Bounded(self.moved[place], self.floors[place[1]], self.baselines[place[1]])


@dataclass(frozen=True, eq=False)
class Examples:
    """Some images as each model sees them, as it reconstructs them, and after each map.

    ``ids`` ``(k,)``; ``originals`` and ``reconstructions`` hold images of each model,
    ``relocated[i, j]`` those of model ``j`` from mapped codes of model ``i``. A model that has no
    decoder has originals alone, a file of codes not even these.
    """

    ids: np.ndarray
    originals: Sequence[Tensor | None]
    reconstructions: Sequence[Tensor | None]
    relocated: Mapping[tuple[int, int], Tensor]


def image_figures(
    models: Sequence[Model],
    codes: Sequence[Codes],
    maps: CodeMaps,
    images: ImageSource,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> ImageFigures:
    """What relocated images lose, beside floors and baselines; ``codes`` are those of ``images``,
    row by row, two or more, of ``units`` ``(n,)``; without these each is one. After the codes of
    the models may come others that ``maps`` read.

    The baseline is that of ``evaluate``: the error of the mean image, without the part that is due
    to its being the mean of these images, see ``of_own_mean``.

    Every image is read twice, once for the mean image, and decoded once by each model for each
    other one.
    """
    m, n = len(models), len(images)
    step = batch_size or _BATCH
    shows = [number for number, model in enumerate(models) if model.can_decode]
    views = list(dict.fromkeys(models[i].view for i in shows))
    order = [(i, j) for i, j in maps if j in shows]
    # What no model decodes is not defined.
    rows = np.full((2 * m + len(order), n), np.nan)
    if not shows:
        return _estimated(rows, resample(rows, units, seed=seed), m, order, maps)
    means = {i: torch.zeros(models[i].image_shape, dtype=torch.float64) for i in shows}
    for batch in images.batches(views, batch_size=step):
        for i, mean in means.items():
            seen = batch.images[views.index(models[i].view)]
            mean += seen.sum(0, dtype=torch.float64) / 255 / n
        if progress:
            progress(batch.stop // 2, n)  # The first of two passes.
    shown = {i: mean.float().to(models[i].device) for i, mean in means.items()}
    scene = _Scene(models, maps, order, views, shown)

    def launched() -> Iterator[_Launched]:
        for batch in images.batches(views, batch_size=step):
            read = [part.read(batch.start, batch.stop) for part in codes]
            yield scene.launch(batch, read)
            if progress:
                progress((n + batch.stop) // 2, n)

    known = [*shows, *(m + i for i in shows), *range(2 * m, len(rows))]
    for one in a_batch_late(launched()):
        rows[known, one.rows] = one.errors(codes[0].ids[one.rows])
    rows[m : 2 * m] *= np.array([of_own_mean(part, units) for part in codes[:m]])[:, None]
    return _estimated(rows, resample(rows, units, seed=seed), m, order, maps)


def _estimated(
    rows: np.ndarray, found: Resampled, m: int, order: Sequence[tuple[int, int]], maps: CodeMaps
) -> ImageFigures:
    """The figures of ``m`` models from means of their floors, their baselines, and the errors of
    those of the ``maps`` that stand in ``order``; of the others they are not defined.
    """
    floors, baselines = found.means[:, :m], found.means[:, m : 2 * m]
    relocated = {pair: found.means[:, 2 * m + c] for c, pair in enumerate(order)}
    undefined = dict.fromkeys(maps, UNDEFINED)
    return ImageFigures(
        [found.estimate(floors[:, i]) for i in range(m)],
        [found.estimate(baselines[:, i]) for i in range(m)],
        undefined | {pair: found.estimate(values) for pair, values in relocated.items()},
        # A target that shows images no better than their mean has no scale for an efficiency.
        undefined
        | {
            (i, j): found.estimate(shares(baselines[:, j] - values, (baselines - floors)[:, j]))
            for (i, j), values in relocated.items()
        },
        dict.fromkeys(maps, np.full(rows.shape[1], np.nan))
        | {pair: rows[2 * m + c] for c, pair in enumerate(order)},
        rows[:m],
        rows[m : 2 * m],
    )


def examples_of(
    models: Sequence[Model], codes: Sequence[Codes], maps: Maps, images: ImageSource
) -> Examples:
    """All images of a small source, which ``codes`` are the codes of, row by row."""
    seers = [number for number, model in enumerate(models) if model.sees_images]
    views = [models[i].view for i in seers]
    seen: dict[int, Tensor] = {}
    for batch in images.batches(views, batch_size=len(images)) if views else ():
        seen = {i: batch.floats(place) for place, i in enumerate(seers)}
    vectors = [part.vectors for part in codes]
    return Examples(
        images.ids,
        [seen.get(i) for i in range(len(models))],
        [
            model.decode(part).cpu() if model.can_decode else None
            for model, part in zip(models, vectors, strict=True)
        ],
        {
            (i, j): models[j].decode(linear_map.apply(vectors[i])).cpu()
            for (i, j), linear_map in maps.items()
            if models[j].can_decode
        },
    )


def walk(
    models: tuple[Model, Model],
    linear_map: LinearMap,
    factors: SharedFactors,
    *,
    count: int,
    pairs: Pairs | None = None,
) -> tuple[Tensor, Tensor]:
    """Images of both models ``(k, s, c, h, w)``, from -2 to 2 standard deviations along the
    ``count`` leading factors that their spaces share; none of a model that has no decoder. With a
    map of patches all cells of the mean codes of ``pairs`` are moved alike.
    """
    steps, numbers = torch.tensor(STEPS), range(min(count, len(factors.share)))
    if linear_map.patches is None:
        moments = linear_map.require_moments("a walk along shared factors")
        walked = [factors.traversal(number, steps, moments) for number in numbers]
    else:
        assert pairs is not None, "maps of patches walk from the mean codes of pairs"
        means = pairs.source.mean, pairs.target.mean
        walked = [
            cells_along(factors, number, steps, means, linear_map.patches) for number in numbers
        ]
    shown = []
    for side, model in enumerate(models):
        images = torch.empty(0, len(STEPS), *model.image_shape)
        if walked and model.can_decode:
            decoded = model.decode(torch.cat([pair[side].float() for pair in walked])).cpu()
            images = decoded.reshape(len(walked), len(STEPS), *model.image_shape)
        shown.append(images)
    return shown[0], shown[1]


@dataclass(frozen=True, eq=False)
class _Launched:
    """What a batch gives: its ``rows``, the errors ``(k,)`` of each row of figures on their way,
    and the ``checks`` of all that was decoded.
    """

    rows: slice
    arriving: list[Arriving]
    checks: list[LateCheck]

    def errors(self, ids: np.ndarray) -> np.ndarray:
        """The errors of the batch ``(rows of figures, k)``, of images ``ids`` ``(k,)``."""
        for check in self.checks:
            check.require(ids)
        return torch.stack([one.wait() for one in self.arriving]).numpy()


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all batches are measured by: the maps in some ``order``, to models that decode, and the
    mean images of these, by their numbers.
    """

    models: Sequence[Model]
    maps: CodeMaps
    order: Sequence[tuple[int, int]]
    views: Sequence[View]
    means: Mapping[int, Tensor]

    def launch(self, batch: Batch, codes: Sequence[Tensor]) -> _Launched:
        """Images and what is decoded of their codes meet on the models' devices."""
        models, checks = self.models, []
        seen = {
            i: batch.floats(self.views.index(models[i].view), models[i].device) for i in self.means
        }
        errors = []
        for i, images in seen.items():
            shown, check = models[i].launch(codes[i])
            errors.append(_errors(images, shown))
            checks.append(check)
        errors += [_errors(seen[i], mean.expand_as(seen[i])) for i, mean in self.means.items()]
        for i, j in self.order:
            shown, check = models[j].launch(self.maps[i, j].apply(codes[i]))
            errors.append(_errors(seen[j], shown))
            checks.append(check)
        rows = slice(batch.start, batch.stop)
        return _Launched(rows, [Arriving(one) for one in errors], checks)


def _errors(images: Tensor, others: Tensor) -> Tensor:
    """The mean squared error of each image ``(k,)``, float64, on the device of the images."""
    others = others.to(images.device)
    return (images - others).square().flatten(1).mean(1).double()
