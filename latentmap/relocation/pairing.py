"""From models and images to pairs: the images of a data set, or those that one model makes.

What ``fit`` does first, in one call each. ``pairs.py`` only joins codes, and knows no models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from latentmap.cache import LatentCache
from latentmap.codes import Codes, Pairs, pair
from latentmap.errors import MapError
from latentmap.images import ImageSource, OnError, Split
from latentmap.model import Model, Precision, images_between, maker_of
from latentmap.progress import Progress

# Called with what is done next; gives the progress for it.
Stage = Callable[[str], AbstractContextManager[Progress | None]]


@dataclass(frozen=True, eq=False)
class TrainingPairs:
    """What a map between two models is fitted on.

    ``groups`` ``(n,)`` are those of the images, where they have some; ``record`` is what a map's
    file is to say of them.
    """

    pairs: Pairs
    groups: np.ndarray | None
    record: dict[str, Any]

    def take(self, index: np.ndarray) -> TrainingPairs:
        """The pairs at ``index``, in that order."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, pairs=self.pairs.take(index), groups=groups)

    def sample(self, n: int, *, seed: int) -> TrainingPairs:
        """``n`` random pairs, none twice.

        Raises:
            PairError: there are fewer pairs than that.
        """
        return self.take(self.pairs.draw(n, seed=seed))


def training_pairs(
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    cache: LatentCache,
    split: Split = "train",
    chosen: ImageSource | None = None,
    n_pairs: int | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    stage: Stage | None = None,
) -> TrainingPairs:
    """The pairs of one split of some images; or of the ``chosen`` ones, in whatever split they are.

    All images are encoded that ``cache`` lacks, so that the other splits can be scored next.
    ``n_pairs`` takes that many random pairs of these. ``record["fit_skipped"]`` are those that
    could not be read.

    Raises:
        MapError: ``split`` is ``test``, which is kept for the scores.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    fitted_split = split if chosen is None else None
    if fitted_split == "test":
        raise MapError(
            "a map cannot be fitted on the split test: it is kept for the scores, which would "
            "otherwise be of images that the map has seen; choose train or val"
        )
    if chosen is None:
        chosen = images.split(split)
    known = set(chosen.ids.tolist())
    pairs = pair_images(
        source, target, images, cache, precision, batch_size, on_error, stage or silent
    )
    pairs = pairs.take(np.flatnonzero(np.isin(pairs.ids, chosen.ids)))
    skipped = dict.fromkeys((*pairs.source.skipped, *pairs.target.skipped))
    groups = None
    if chosen.groups is not None:
        order = np.argsort(chosen.ids)
        groups = chosen.groups[order[np.searchsorted(chosen.ids, pairs.ids, sorter=order)]]
    record = {
        "split": fitted_split,
        "seed": seed,
        "precision": precision,
        "images": images.fingerprint,
        "fit_skipped": [name for name in skipped if name in known],
    }
    training = TrainingPairs(pairs, groups, record)
    return training if n_pairs is None else training.sample(n_pairs, seed=seed)


def sample_pairs(
    source: Model,
    target: Model,
    n: int,
    *,
    cache: LatentCache,
    sample_from: Literal["source", "target"] | None = None,
    seed: int = 0,
    view: str | None = None,
    stage: Stage | None = None,
) -> Pairs:
    """The codes of ``n`` images that one of the two models makes, in both spaces: no data needed.

    The maker's codes are those that the images were made of; unless it is given, ``maker_of``
    chooses it. ``view``: see ``images_between``. What was made before, by the same generator and
    seed, is taken from ``cache``.

    Raises:
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    stage = stage or silent
    sample_from = sample_from or maker_of(source, target)
    maker, other = (source, target) if sample_from == "source" else (target, source)
    with stage("generating") as progress:
        images, maker, other = images_between(
            maker,
            other,
            n,
            seed=seed,
            folder=cache.path / "generated",
            view=view,
            progress=progress,
        )
    source, target = (maker, other) if sample_from == "source" else (other, maker)
    return pair_images(source, target, images, cache, "float32", None, "stop", stage)


def pair_images(
    source: Model,
    target: Model,
    images: ImageSource,
    cache: LatentCache,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    stage: Stage,
) -> Pairs:
    """The codes of all images in the spaces of both models; those that ``cache`` lacks are
    computed.
    """
    return pair(
        *encode_for_all(
            [source, target],
            images,
            cache=cache,
            precision=precision,
            batch_size=batch_size,
            on_error=on_error,
            stage=stage,
        )
    )


def encode_for_all(
    models: Sequence[Model],
    images: ImageSource,
    *,
    cache: LatentCache,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    stage: Stage,
) -> list[Codes]:
    """The codes of all images in the space of each model: those that they were made of, where the
    model made them, else those in ``cache``, or computed now.

    Raises:
        ImageError, CacheError: as encoding raises them.
    """
    with stage("reading images") as progress:
        images.examine(progress)
    made = [images.codes_in(model.space) for model in models]
    missing = [model for model, codes in zip(models, made, strict=True) if codes is None]
    with stage("encoding") as progress:
        encoded = iter(
            cache.get_or_encode_all(
                missing,
                images,
                precision=precision,
                batch_size=batch_size,
                on_error=on_error,
                progress=progress,
            )
        )
    return [next(encoded) if codes is None else codes for codes in made]


def silent(_: str) -> AbstractContextManager[Progress | None]:
    """A stage that shows nothing."""
    return nullcontext()
