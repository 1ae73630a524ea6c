"""Measuring what maps lose on images: image by image, before any statistics.

Shapes: ``n`` images, ``q`` target variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch

from latentmap.codes import Codes, Pairs, find_ids, units_of
from latentmap.errors import PairError, SpaceError
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.relocation.measuring_codes import Way, code_rows
from latentmap.relocation.scene import Launched, Scene
from latentmap.transfers import a_batch_late

Side = Literal["source", "target"]
_BATCH = 64  # The decoders' inner images are what fills the memory.


@dataclass(frozen=True, eq=False)
class ImageErrors:
    """What each scored image contributes, float64 ``(n,)`` each; ``units`` are numbers of units.

    ``reconstruction``, ``relocation``, ``floor`` and ``baseline`` are means over pixels and
    channels, ``code`` is the mean over target variables, ``code_variance`` the mean squared
    distance of the target code from the mean code. The baseline and the variance are those from the
    mean of all images of the kind; see ``of_own_mean``. ``cell_variance`` is the mean squared
    distance of a target code that is a grid from the mean of each channel over all images and
    positions, which is all that a map of patches has for a constant; NaN of other codes.

    What a decoder is needed for is NaN where there is none: ``reconstruction`` without that of the
    source; ``relocation``, and with it ``floor`` and ``baseline``, without that of the target.
    """

    ids: np.ndarray
    units: np.ndarray
    reconstruction: np.ndarray
    code: np.ndarray
    code_variance: np.ndarray
    cell_variance: np.ndarray
    relocation: np.ndarray
    floor: np.ndarray
    baseline: np.ndarray

    def rows(self) -> np.ndarray:
        """All but ids and units, in this order, ``(7, n)``."""
        named = [row.name for row in fields(self) if row.name not in ("ids", "units")]
        return np.stack([getattr(self, name) for name in named])

    def take(self, index: np.ndarray) -> ImageErrors:
        """Those of the images at ``index``."""
        return ImageErrors(*(getattr(self, row.name)[index] for row in fields(self)))


@dataclass(frozen=True, eq=False)
class Measured:
    """What a map gives on some images, before any statistics: the errors of every image, and the
    means over images for each target variable, ``(q,)``. ``data`` is the fingerprint of the images,
    ``skipped`` are those that could not be encoded; ``without_decoder`` are the names of the models
    that make no images of codes.
    """

    errors: ImageErrors
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    data: str
    skipped: tuple[str, ...]
    without_decoder: tuple[str, ...]


def measure(
    maps: Sequence[LinearMap],
    pairs: Pairs,
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    others: Sequence[Way] = (),
    decoding: Sequence[Side] = ("source", "target"),
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """What maps between two spaces give on some pairs and their images; and after these what
    ``others`` give, maps to the target that read other codes of the same images, row by row.

    What does not depend on the map (images, reconstructions, floor, baseline) is computed once.
    Images stream through twice, once for their mean, so memory holds a few batches, a row of
    figures for each image, and 256 MB of pixels at most, which spare decoding them again; images
    that are in no pair are not read, and none is where no model decodes. Of an encoder alone there
    are the figures of codes, see ``ImageErrors``. ``decoding`` says who
    decodes: without the source there is no error of reconstructions, without the target none of
    what is relocated.

    Raises:
        SpaceError: a map or the pairs do not belong to the models.
        PairError: there are fewer than two pairs, or a pair whose image is not among the images.
    """
    if any(not np.array_equal(codes.ids, pairs.ids) for _, codes in others):
        raise PairError("codes of other maps must be of the images of the pairs, row by row")
    for linear_map in maps:
        require_models(linear_map, source, target)
    source.space.require(pairs.source.space, "the source codes of these pairs")
    target.space.require(pairs.target.space, "the target codes of these pairs")
    if len(pairs) < 2:
        raise PairError(f"scores need at least 2 images, not {len(pairs)}: give more test images")
    order, images = _in_order_of(images, pairs)
    source_codes, pairs = pairs.source, pairs.take(order)
    ways: list[Way] = [(linear_map, pairs.source) for linear_map in maps]
    # Most read the codes of the source, which are read once.
    ways += [
        (one, pairs.source if codes is source_codes else codes.take(order)) for one, codes in others
    ]
    with images.remembered():
        return _measured(
            ways, pairs, source, target, images, decoding, batch_size or _BATCH, progress
        )


def _measured(
    ways: Sequence[Way],
    pairs: Pairs,
    source: Model,
    target: Model,
    images: ImageSource,
    decoding: Sequence[Side],
    step: int,
    progress: Progress | None,
) -> list[Measured]:
    """What ``measure`` gives of maps and the codes that they read, of pairs in the order of their
    images.
    """
    n, m = len(images), len(ways)
    units = units_of(pairs.digests, images.groups)
    sides = {"source": source, "target": target}
    shows = [model for side, model in sides.items() if side in decoding and model.can_decode]
    silent = [model.name for model in (source, target) if not model.can_decode]
    if not shows:
        errors, spread, misses, mean_code = code_rows(ways, pairs.target, progress)
        rows = torch.full((5 + 2 * m, n), torch.nan, dtype=torch.float64)
        rows[1:3], rows[5 : 5 + m] = errors[:2], errors[2:]
        raised = of_own_mean(pairs.target, units)
        return _joined(rows, spread, misses, pairs, images, mean_code, raised, units, silent)
    views = list(dict.fromkeys(model.view for model in shows))
    mean_code, mean_image = pairs.target.mean, None
    if target.can_decode:
        mean_image = _mean_image(target, images, step, progress).float().to(target.device)
    scene = Scene(
        [one for one, _ in ways], source, target, views, mean_image, mean_code, "source" in decoding
    )
    before, passes = (n, 2) if target.can_decode else (0, 1)

    def launched() -> Iterator[Launched]:
        for batch in images.batches(views, batch_size=step):
            here = (batch.start, batch.stop)
            x, y = pairs.source.read(*here), pairs.target.read(*here)
            # Most read the codes of the source, which are there.
            read = [x if codes is pairs.source else codes.read(*here) for _, codes in ways]
            yield scene.launch(batch.images, x, read, y, pairs.ids[slice(*here)])
            if progress:
                progress((before + batch.stop) // passes, n)

    # In one place: small results of their own would keep memory of large images from being freed.
    rows, done = torch.empty(5 + 2 * m, n, dtype=torch.float64), 0
    spread, misses = torch.zeros_like(mean_code), mean_code.new_zeros(m, len(mean_code))
    for one in a_batch_late(launched()):
        rows[:, done : done + len(one.ids)] = one.errors()
        done += len(one.ids)
        spread += one.spread
        misses += one.misses
    raised = of_own_mean(pairs.target, units)
    return _joined(rows, spread, misses, pairs, images, mean_code, raised, units, silent)


def _joined(
    rows: torch.Tensor,
    spread: torch.Tensor,
    misses: torch.Tensor,
    pairs: Pairs,
    images: ImageSource,
    mean_code: torch.Tensor,
    raised: float,
    units: np.ndarray,
    without_decoder: Sequence[str],
) -> list[Measured]:
    reconstruction, code_variance, cell_variance, floor, baseline, *own = rows.numpy()
    # A constant variable varies by the rounding of its float32 codes alone.
    constant = spread <= len(images) * (torch.finfo(torch.float32).eps * mean_code).square()
    if constant.all():
        code_variance[:] = 0
    code_variance, baseline, spread = raised * code_variance, raised * baseline, raised * spread
    m = len(misses)
    skipped = tuple(dict.fromkeys((*pairs.source.skipped, *pairs.target.skipped)))
    return [
        Measured(
            ImageErrors(
                pairs.ids,
                units,
                reconstruction,
                code,
                code_variance,
                cell_variance,
                relocation,
                floor,
                baseline,
            ),
            (missed / len(images)).numpy(),
            torch.where(constant, torch.nan, 1 - missed / spread).numpy(),
            images.fingerprint,
            skipped,
            tuple(without_decoder),
        )
        for code, relocation, missed in zip(own[:m], own[m:], misses, strict=True)
    ]


def _mean_image(
    target: Model, images: ImageSource, step: int, progress: Progress | None
) -> torch.Tensor:
    """The mean image ``(c, h, w)`` as the target sees it, float64."""
    mean = torch.zeros(target.image_shape, dtype=torch.float64)
    for batch in images.batches([target.view], batch_size=step):
        mean += batch.images[0].sum(0, dtype=torch.float64) / 255
        if progress:
            progress(batch.stop // 2, len(images))  # The first of two passes.
    return mean / len(images)


def of_own_mean(codes: Codes, units: np.ndarray | None = None) -> float:
    """What the mean squared distance of images from their own mean is to be multiplied with to be
    that from the mean of all images of their kind.

    The own mean is nearer to them, by its variance. Of ``n`` independent images that is ``1 / n``
    of it, so that the factor is ``n / (n - 1)``; images of one of the ``units`` ``(n,)`` vary
    together, and their sums over units tell how much: ``u / (u - 1) sum_u |sum_i (x_i - mean)|^2 /
    n^2`` is the variance of the mean. It is taken from ``codes`` for images and codes alike. NaN
    where all images are of one unit.

    Example:
        >>> from latentmap.codes import Space
        >>> space = Space("z", 1, "a", "aa")
        >>> codes = Codes.from_array(list("abcd"), [[0], [0], [2], [2]], space=space)
        >>> of_own_mean(codes, np.arange(4)), of_own_mean(codes, np.array([0, 0, 1, 1]))
        (1.3333333333333333, 2.0)
    """
    given = np.arange(len(codes)) if units is None else units
    _, numbers = np.unique(given, return_inverse=True)
    n, u = len(numbers), int(numbers.max()) + 1
    if u < 2:
        return math.nan
    if u == n:
        return n / (n - 1)
    mean = torch.zeros(codes.space.dim, dtype=torch.float64)
    for block in codes.blocks():
        mean += block.sum(0, dtype=torch.float64) / n
    sums = torch.zeros(u, codes.space.dim, dtype=torch.float64)
    spread, start = 0.0, 0
    for block in codes.blocks():
        away = block.double() - mean
        spread += float(away.square().sum())
        sums.index_add_(0, torch.from_numpy(numbers[start : start + len(away)]), away)
        start += len(away)
    if spread == 0:
        return n / (n - 1)
    return 1 + float(sums.square().sum()) / spread / n * u / (u - 1)


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


def _in_order_of(images: ImageSource, pairs: Pairs) -> tuple[np.ndarray, ImageSource]:
    """The pairs' positions in the order of the images, and the images that they are."""
    row = find_ids(pairs.ids, images.ids)
    positions = np.flatnonzero(row >= 0)
    if len(positions) != len(pairs):
        missing = pairs.ids[~np.isin(pairs.ids, images.ids)]
        raise PairError(
            f"{len(missing)} of {len(pairs)} pairs have no image ({missing[0]} is the first): "
            "score with the images that were encoded"
        )
    return row[positions], images.subset(positions)
