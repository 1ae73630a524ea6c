"""Relocation: from two models and images to a map, its scores, and images carried across.

What the commands ``fit``, ``evaluate`` and ``apply`` do, in one call each. The steps themselves
(encode, pair, fit, evaluate) know neither of splits nor of a cache; here they are put together.

Shapes: ``n`` images, images ``(n, c, h, w)`` in [0, 1], codes ``(n, p)`` and ``(n, q)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.codes import is_known
from latentmap.errors import MapError
from latentmap.images import ImageSource, OnError, Split
from latentmap.mapping import FitOptions, LinearMap, fit
from latentmap.mapping.methods import find_method
from latentmap.model import Model, Precision
from latentmap.progress import Progress
from latentmap.relocation.pairing import Stage, TrainingPairs, pair_images, silent, training_pairs
from latentmap.relocation.scores import Scores, evaluate_all, require_models

_BATCH = 64  # Images at a time.
_NOISE = 2048  # Images whose posterior variances stand for all.


@dataclass(frozen=True, eq=False)
class Relocated:
    """Images before and after: as the source sees them, by the source, and by the target."""

    originals: torch.Tensor
    reconstructions: torch.Tensor
    relocated: torch.Tensor


def fit_training(
    training: TrainingPairs,
    source: Model,
    images: ImageSource,
    *,
    options: FitOptions | None = None,
    seed: int = 0,
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The map that some training pairs give.

    A method that needs the noise of the source codes has it from the posterior of the ``source``,
    over at most 2,048 of the ``images`` that the pairs are of. ``references`` are how the two
    models are called.

    Raises:
        MapError: as ``fit`` raises it.
        ModelError: the method needs a posterior, and the source has none.
    """
    options = options or FitOptions()
    settings = dict(options.settings)
    if "noise" in find_method(options.method).needs and "noise" not in settings:
        mine = images.subset(np.flatnonzero(np.isin(images.ids, training.pairs.ids)))
        settings["noise"] = posterior_noise(source, mine.subset(np.arange(min(len(mine), _NOISE))))
    linear_map = fit(
        training.pairs,
        options,
        settings=settings,
        groups=training.groups,
        seed=seed,
        record={**training.record, **(record or {})},
        progress=progress,
    )
    return replace(linear_map, source_reference=references[0], target_reference=references[1])


def posterior_noise(model: Model, images: ImageSource) -> torch.Tensor:
    """The mean variance ``(d,)``, float64, of a model's posterior over some images."""
    total = torch.zeros(model.latent_dim, dtype=torch.float64)
    seen = 0
    for batch in images.batches([model.view], batch_size=_BATCH, on_error="skip"):
        variance = model.posterior(batch.images[0].float().div(255)).variance
        total += variance.double().sum(0).cpu()
        seen += len(variance)
    return total / max(seen, 1)


def fit_models(
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    cache: LatentCache,
    split: Split = "train",
    n_pairs: int | None = None,
    options: FitOptions | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
) -> LinearMap:
    """The map between two models, fitted on one split of some images; by default ridge.

    It is ``training_pairs`` and then ``fit_training``. ``references`` and ``record`` go into the
    map as they are.

    Raises:
        MapError, ImageError, CacheError, PairError: as these two raise them.
    """
    stage = stage or silent
    training = training_pairs(
        source,
        target,
        images,
        cache=cache,
        split=split,
        n_pairs=n_pairs,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=on_error,
        stage=stage,
    )
    with stage("fitting") as progress:
        return fit_training(
            training,
            source,
            images,
            options=options,
            seed=seed,
            references=references,
            record=record,
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
    return score_all_models(
        [linear_map],
        source,
        target,
        images,
        cache=cache,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=on_error,
        stage=stage,
    )[0]


def score_all_models(
    maps: Sequence[LinearMap],
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    cache: LatentCache,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    n_bootstrap: int = 1000,
    stage: Stage | None = None,
) -> list[Scores]:
    """The scores of several maps on all images that none of them was fitted on, each as
    ``score_models`` gives it.
    """
    for linear_map in maps:
        require_models(linear_map, source, target)
    stage = stage or silent
    source, target = as_fitted(maps[0], source, target)
    pairs = pair_images(source, target, images, cache, precision, batch_size, on_error, stage)
    seen = np.zeros(len(pairs), dtype=bool)
    for linear_map in maps:
        seen |= contains(linear_map.train_digests, pairs.digests)
    unseen = np.flatnonzero(~seen)
    if not len(unseen):
        raise MapError(
            f"the map was fitted on every one of these {len(pairs)} images, so there is nothing to "
            "score it on: give other images, such as --split test"
        )
    with stage("scoring") as progress:
        return evaluate_all(
            maps,
            pairs.take(unseen),
            source,
            target,
            images,
            seed=seed,
            n_bootstrap=n_bootstrap,
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
    source, target = as_fitted(linear_map, source, target)
    made = images.codes_in(source.space)
    parts = []
    for batch in images.batches([source.view], batch_size=_BATCH, on_error=on_error):
        originals = batch.images[0].float().div(255)
        codes = source.encode(originals) if made is None else made.vectors[batch.positions]
        moved = target.decode(linear_map.apply(codes))
        parts.append((originals, source.decode(codes).cpu(), moved.cpu()))
    return Relocated(*(torch.cat(row) for row in zip(*parts, strict=True)))


def as_fitted(linear_map: LinearMap, source: Model, target: Model) -> tuple[Model, Model]:
    """The models as they saw images when the map was fitted: perhaps a box of what one of them
    makes.
    """
    return (
        source.seen_through(linear_map.source_frame),
        target.seen_through(linear_map.target_frame),
    )


def contains(digests: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of ``wanted`` ``(n, 16)`` are among ``digests``; what is not known is not, ``(n,)``."""
    whole = np.dtype((np.void, 16))
    have, asked = (np.ascontiguousarray(part).view(whole)[:, 0] for part in (digests, wanted))
    return np.asarray(np.isin(asked, have) & is_known(wanted))
