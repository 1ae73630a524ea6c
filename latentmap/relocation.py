"""Relocation: from two models and images to a map, its scores, and images carried across.

What the commands ``fit``, ``evaluate`` and ``apply`` do, in one call each. The steps themselves
(encode, pair, fit, evaluate) know neither of splits nor of a cache; here they are put together.

Shapes: ``n`` images, images ``(n, c, h, w)`` in [0, 1], codes ``(n, p)`` and ``(n, q)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.errors import MapError
from latentmap.images import ImageSource, OnError
from latentmap.mapping.linear_map import LinearMap, fit
from latentmap.model import Model, Precision
from latentmap.pairs import Pairs, is_known, pair
from latentmap.progress import Progress
from latentmap.scores import Scores, evaluate, require_models
from latentmap.splits import Split

# Called with what is done next; gives the progress for it.
Stage = Callable[[str], AbstractContextManager[Progress | None]]
_BATCH = 64  # Images at a time.


@dataclass(frozen=True, eq=False)
class Relocated:
    """Images before and after: as the source sees them, by the source, and by the target."""

    originals: torch.Tensor
    reconstructions: torch.Tensor
    relocated: torch.Tensor


def fit_models(
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    cache: LatentCache,
    split: Split = "train",
    n_pairs: int | None = None,
    penalty: float | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
) -> LinearMap:
    """The ridge map between two models, fitted on one split of some images.

    All images are encoded that ``cache`` lacks, so that the other splits can be scored next.
    ``n_pairs`` takes that many random pairs of the split. ``references`` and ``record`` go into the
    map as they are; its ``record["fit_skipped"]`` are the images of the split that could not be
    read.

    Raises:
        MapError: ``split`` is ``test``, which is kept for the scores.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    if split == "test":
        raise MapError(
            "a map cannot be fitted on the split test: it is kept for the scores, which would "
            "otherwise be of images that the map has seen; choose train or val"
        )
    stage = stage or _silent
    chosen = images.split(split).ids
    known = set(chosen.tolist())
    pairs = _pair_images(source, target, images, cache, precision, batch_size, on_error, stage)
    pairs = pairs.take(np.flatnonzero(np.isin(pairs.ids, chosen)))
    if n_pairs is not None:
        pairs = pairs.sample(n_pairs, seed=seed)
    skipped = dict.fromkeys((*pairs.source.skipped, *pairs.target.skipped))
    made = {
        "split": split,
        "seed": seed,
        "precision": precision,
        "images": images.fingerprint,
        "fit_skipped": [name for name in skipped if name in known],
    }
    with stage("fitting") as progress:
        return fit(
            pairs,
            penalty=penalty,
            references=references,
            record={**made, **(record or {})},
            progress=progress,
        )


def score_models(
    linear_map: LinearMap,
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    cache: LatentCache,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    stage: Stage | None = None,
) -> Scores:
    """The scores of a map on all images that it was not fitted on.

    An image is known by its content, so a copy under another name is left out as well;
    ``record["n_left_out"]`` says how many were. Codes that ``cache`` lacks are computed.

    Raises:
        SpaceError: the map does not belong to the models.
        MapError: it was fitted on every one of these images.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    require_models(linear_map, source, target)
    stage = stage or _silent
    pairs = _pair_images(source, target, images, cache, precision, batch_size, on_error, stage)
    unseen = np.flatnonzero(~_contains(linear_map.train_digests, pairs.digests))
    if not len(unseen):
        raise MapError(
            f"the map was fitted on every one of these {len(pairs)} images, so there is nothing to "
            "score it on: give other images, such as --split test"
        )
    with stage("scoring") as progress:
        return evaluate(
            linear_map,
            pairs.take(unseen),
            source,
            target,
            images,
            seed=seed,
            batch_size=batch_size,
            record={"n_left_out": len(pairs) - len(unseen), "score_precision": precision},
            progress=progress,
        )


def relocate(
    linear_map: LinearMap,
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    on_error: OnError = "stop",
) -> Relocated:
    """A few images carried from one model to another; all of them are in memory.

    Raises:
        SpaceError: the map does not belong to the models.
        ImageError: an image cannot be read, and ``on_error`` is ``stop`` or none can.
    """
    require_models(linear_map, source, target)
    parts = []
    for batch in images.batches([source.view], batch_size=_BATCH, on_error=on_error):
        originals = batch.images[0].float().div(255)
        codes = source.encode(originals)
        moved = target.decode(linear_map.apply(codes))
        parts.append((originals, source.decode(codes).cpu(), moved.cpu()))
    return Relocated(*(torch.cat(row) for row in zip(*parts, strict=True)))


def _pair_images(
    source: Model,
    target: Model,
    images: ImageSource,
    cache: LatentCache,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    stage: Stage,
) -> Pairs:
    with stage("reading images") as progress:
        images.examine(progress)
    with stage("encoding") as progress:
        codes = cache.get_or_encode_all(
            [source, target],
            images,
            precision=precision,
            batch_size=batch_size,
            on_error=on_error,
            progress=progress,
        )
    return pair(*codes)


def _contains(digests: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of ``wanted`` ``(n, 16)`` are among ``digests``; what is not known is not, ``(n,)``."""
    whole = np.dtype((np.void, 16))
    have, asked = (np.ascontiguousarray(part).view(whole)[:, 0] for part in (digests, wanted))
    return np.asarray(np.isin(asked, have) & is_known(wanted))


def _silent(_: str) -> AbstractContextManager[Progress | None]:
    return nullcontext()
