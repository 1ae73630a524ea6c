"""The variance of every latent variable, or channel, and the order that it gives where there is no
decoder.

Shapes: ``n`` images of ``u`` units, ``d`` latent variables of ``c`` channels, which are the
variables themselves where codes are vectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from latentmap.codes import Codes, find_ids, units_of
from latentmap.codes.channel_means import channel_means, channel_space
from latentmap.codes.channels import by_position, word_of
from latentmap.diagnostics import are_active, has_unit_prior
from latentmap.errors import SupportError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.intervals import student_quantile
from latentmap.model import Model
from latentmap.support.activity import inactivity_of
from latentmap.support.centers import centers_of, scales_of
from latentmap.support.ordered import Ordering, OrderOptions

_ROUNDING = 16 * float(np.finfo(np.float32).eps)
_SHARE = 0.5 + 0.95 / 2  # Of a two-sided interval of 95 %.


def order_by_variance(
    model: Model, images: ImageSource, codes: Codes, options: OrderOptions, *, seed: int = 0
) -> Ordering:
    """The latent variables of a ``model`` that has no decoder, by what its codes lose without each:
    the mean over images, and over the positions of a channel, of (z - center)^2, its variance about
    the center.

    Every image counts, and nothing is decoded. Intervals are over units, by Student's t.

    Raises:
        SupportError: fewer than two images have a code, or all codes are the same.
    """
    positions, rows = join_codes(images, codes)
    chosen, shape = codes.take(rows), model.latent_shape
    mean, variance = moments_of_codes(chosen)
    center = centers_of(channel_space(model.space), mean, center=options.center)
    lost = _lost(chosen, center)
    units = units_of(chosen.digests, groups_of(images, chosen.ids))
    gain = lost.mean(axis=0)
    half = _half_widths(lost, units)
    order = np.argsort(-gain, kind="stable")
    neighbours = list(itertools.pairwise(order[: options.leading + 1].tolist()))
    apart = np.array([lost[:, a] - lost[:, b] for a, b in neighbours]).reshape(-1, len(rows)).T
    reach = _half_widths(apart, units)
    ties = tuple(
        pair
        for pair, difference, width in zip(neighbours, apart.mean(axis=0), reach, strict=True)
        if not abs(difference) > width
    )
    judged = has_unit_prior(model.space)
    without = np.setdiff1d(np.arange(len(images)), positions)
    return Ordering(
        order,
        gain,
        gain - half,
        gain + half,
        np.full(len(gain), len(rows)),
        center=means_of_channels(center, shape),
        unit=traversal_units(chosen, variance),
        mean=mean,
        n_images=len(rows),
        n_units=int(units.max()) + 1,
        decodes=0,
        exhaustive_decodes=0,
        leading=options.leading,
        confidence=1.0,
        ties=ties,
        inactive=tuple(np.flatnonzero(~are_active(variance)).tolist()) if judged else None,
        skipped=tuple(map(str, images.ids[without])),
        warning=inactivity_of(chosen),
        record=record_of(model, codes, options, seed),
        what=word_of(shape),
        by="variance",
    )


def _lost(codes: Codes, center: np.ndarray) -> np.ndarray:
    """What each code loses without each channel, ``(n, c)`` float64."""
    shape = codes.space.shape
    middle = torch.from_numpy(center)
    parts = [
        by_position((block.double() - middle).square(), shape).mean(1) for block in codes.blocks()
    ]
    return np.asarray(torch.cat(parts).numpy())


def _half_widths(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Half of the 95 % intervals of the means of values ``(n, k)`` over images of some ``units``
    ``(n,)``, ``(k,)``; NaN of one unit.
    """
    n, u = len(values), int(units.max()) + 1
    if u < 2:
        return np.full(values.shape[1], np.nan)
    sums = np.zeros((u, values.shape[1]))
    np.add.at(sums, units, values - values.mean(axis=0))
    deviation = np.sqrt(np.square(sums).sum(axis=0) * u / (u - 1)) / n
    return np.asarray(student_quantile(_SHARE, u - 1) * deviation)


def means_of_channels(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The means over positions ``(c,)`` of a number for each variable ``(d,)`` of codes of a
    shape.
    """
    return np.asarray(by_position(torch.from_numpy(values), shape)[0].mean(0).numpy())


def traversal_units(codes: Codes, variance: np.ndarray) -> np.ndarray:
    """The units ``(c,)`` of traversals: of variables of some ``variance`` ``(d,)``, or of the means
    of channels.
    """
    means = channel_means(codes)
    if means is not codes:
        variance = moments_of_codes(means)[1]
    return scales_of(means.space, variance)


def record_of(model: Model, codes: Codes, options: OrderOptions, seed: int) -> dict[str, Any]:
    return {
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "space": model.space.kind,
        "data": codes.data,
        "seed": seed,
        "exhaustive": options.exhaustive,
        "centered_on": options.center,
    }


def join_codes(images: ImageSource, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images that have codes, and the rows of these; in the order of their ids."""
    rows = find_ids(codes.ids, images.ids)
    positions = np.flatnonzero(rows >= 0)
    positions = positions[np.argsort(images.ids[positions], kind="stable")]
    if len(positions) < 2:
        raise SupportError(
            f"the gain of variables needs at least 2 images with codes, not {len(positions)}: give "
            "more images"
        )
    return positions, rows[positions]


def moments_of_codes(codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the variance of every variable, float64 ``(d,)``.

    Raises:
        SupportError: all codes are the same.
    """
    first = codes.read(0, 1).numpy().astype(np.float64)[0]
    total, squares = np.zeros((2, len(first)))
    for block in codes.blocks():
        about = block.numpy() - first  # Near the mean, so that nothing cancels.
        total += about.sum(axis=0)
        squares += np.square(about).sum(axis=0)
    mean = total / len(codes)
    variance = np.maximum(squares / len(codes) - np.square(mean), 0)
    mean += first
    if (np.sqrt(variance) <= _ROUNDING * np.abs(mean)).all():
        raise SupportError(
            f"{codes.space.model} gives all {len(codes)} images the same code, so its variables "
            "have no gain: check the model, or give images that differ"
        )
    return mean, variance
