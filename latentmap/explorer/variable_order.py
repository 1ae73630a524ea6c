"""The order of a source's variables: measured on a few images, and kept in the cache of the codes.

Shapes: ``n`` images, ``d`` latent variables of ``c`` channels.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.cache import Coder
from latentmap.cache.sums import Sums
from latentmap.codes import Codes, find_ids
from latentmap.codes.channel_means import channel_space
from latentmap.diagnostics import are_active, has_unit_prior
from latentmap.errors import CacheError, OutputError
from latentmap.images import ImageSource
from latentmap.model import Model
from latentmap.support import Ordering, OrderOptions
from latentmap.support.ordering import order_by_gain
from latentmap.support.variances import (
    means_of_channels,
    moments_of_codes,
    order_by_variance,
    traversal_units,
)

# Pixels that may be decoded to order the variables, and how many images that is to be at least.
_PIXELS, _FEWEST, _MOST = 1 << 24, 4, 256
_LEADING = 7  # Variables whose order is to be sure.
_ARRAYS = ("order", "gain", "low", "high", "images")
_COUNTS = ("n_images", "n_units", "decodes", "exhaustive_decodes", "leading")


def order_for_sliders(
    source: Model, images: ImageSource, codes: Codes, coder: Coder, *, seed: int
) -> Ordering:
    """The order of the variables by their gain on a few random images, so that it takes seconds,
    and once; of channels at positions, whose decoders work more for an image, and where images were
    too few, by the variance of the codes. Center, unit and which are inactive are those of all
    codes.

    Raises:
        ImageError, SupportError: as ``order_by_gain``.
    """
    channels = channel_space(source.space).dim
    options = OrderOptions(leading=min(_LEADING, channels))
    n = _affordable(source, channels)
    if n < _FEWEST:
        return order_by_variance(source, images, codes, options, seed=seed)
    few = images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:n]))
    mean, variance = moments_of_codes(codes)
    inactive = None
    if has_unit_prior(source.space):
        inactive = tuple(np.flatnonzero(~are_active(variance)).tolist())
    about: dict[str, Any] = {
        "center": means_of_channels(mean, source.latent_shape),
        "unit": traversal_units(codes, variance),
        "mean": mean,
        "inactive": inactive,
    }
    kept = Sums(coder.cache.path, _task(source, few, codes, options, seed), 1)
    if kept.has(0):
        with suppress(ValueError):
            return _read(next(iter(kept)), channels, about)
    with coder.stage("ordering variables", "decodes") as told:
        ordering = order_by_gain(source, few, codes, options, seed=seed, progress=told)
    with suppress(CacheError, OutputError):  # Of a cache that is read alone it is measured again.
        coder.cache.claim()
        kept.write(0, _tensors(ordering))
    return replace(ordering, **about)


def _affordable(source: Model, channels: int) -> int:
    """How many images may be decoded without each of the channels; none of a file of codes, which
    has no images, and where codes have positions.
    """
    if not source.can_decode or len(source.latent_shape) > 1:
        return 0
    return min(_PIXELS // (math.prod(source.image_shape[1:]) * (channels + 1)), _MOST)


def _task(source: Model, few: ImageSource, codes: Codes, options: OrderOptions, seed: int) -> str:
    """The name of what is measured: of the model, the images, their codes, and how."""
    rows = find_ids(codes.ids, few.ids)
    rows = rows[rows >= 0]
    told = hashlib.blake2b(digest_size=8)
    for part in ("order of variables 1", source.fingerprint, source.space.kind, options, seed):
        told.update(f"{part}\n".encode())
    told.update(codes.digests[rows].tobytes())
    told.update(codes.take(rows).vectors.numpy().tobytes())
    return told.hexdigest()


def _tensors(ordering: Ordering) -> dict[str, Tensor]:
    found = {name: torch.from_numpy(np.array(getattr(ordering, name))) for name in _ARRAYS}
    found["ties"] = torch.tensor(ordering.ties, dtype=torch.int64).reshape(-1, 2)
    found["dropped"] = torch.tensor(ordering.dropped, dtype=torch.int64)
    found["counts"] = torch.tensor([getattr(ordering, name) for name in _COUNTS])
    found["confidence"] = torch.tensor([ordering.confidence], dtype=torch.float64)
    return found


def _read(tensors: dict[str, Tensor], channels: int, about: Mapping[str, Any]) -> Ordering:
    """What was kept, with what all codes say.

    Raises:
        ValueError: it is something else.
    """
    names = {*_ARRAYS, "ties", "dropped", "counts", "confidence"}
    if tensors.keys() != names or any(tensors[name].shape != (channels,) for name in _ARRAYS):
        raise ValueError("no order of so many variables")
    arrays: dict[str, Any] = {name: tensors[name].numpy() for name in _ARRAYS}
    if not np.array_equal(np.sort(arrays["order"]), np.arange(channels)):
        raise ValueError("no order")
    counts = dict(zip(_COUNTS, tensors["counts"].tolist(), strict=True))
    return Ordering(
        **arrays,
        **counts,
        **about,
        confidence=float(tensors["confidence"][0]),
        ties=tuple((first, second) for first, second in tensors["ties"].tolist()),
        dropped=tuple(tensors["dropped"].tolist()),
    )
