"""From two models and images to pairs: the images of a data set, or those that one model makes.

What ``fit`` does first, in one call each. ``codes.pairs`` only joins codes, and knows no models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import FITTED, Pairs, Seen, find_ids, pair, units_of
from latentmap.codes.codes import ArrayRows
from latentmap.codes.pairs import draw_pairs
from latentmap.errors import MapError
from latentmap.images import ImageSource, Split
from latentmap.images.finding import groups_of
from latentmap.mapping.map_checks import KNOWN_BY
from latentmap.model import Model, images_between, maker_of

_HELD = 1 << 29  # Bytes of codes up to which they are held in memory.


@dataclass(frozen=True, eq=False)
class TrainingPairs:
    """What a map between two models is fitted on.

    ``images`` are those that were encoded for the pairs, others may be among them; ``groups``
    ``(n,)`` are the groups of the pairs, where they have some; ``record`` is what a map's file is
    to say of them.
    """

    pairs: Pairs
    source: Model
    target: Model
    images: ImageSource
    groups: np.ndarray | None
    record: dict[str, Any]

    def __len__(self) -> int:
        return len(self.pairs)

    def take(self, index: np.ndarray) -> TrainingPairs:
        """The pairs at ``index``, in that order."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, pairs=self.pairs.take(index), groups=groups)

    def in_memory(self) -> TrainingPairs:
        """The same with its codes in memory, where they take no more than 512 MB."""
        sides = (self.pairs.source, self.pairs.target)
        if 4 * len(self) * sum(codes.space.dim for codes in sides) > _HELD:
            return self
        held = [replace(codes, rows=ArrayRows(codes.vectors.numpy())) for codes in sides]
        return replace(self, pairs=replace(self.pairs, source=held[0], target=held[1]))

    @property
    def n_units(self) -> int:
        """Of how many units the pairs are, see ``units_of``."""
        return len(np.unique(units_of(self.pairs.digests, self.groups)))

    @property
    def seen(self) -> Seen:
        """The images of the pairs, which no map from them may be judged on."""
        return Seen(FITTED, self.pairs.digests, self.groups)

    def coder_of(self, given: CoderLike) -> Coder:
        """A coder that has codes in the precision of these."""
        coder = Coder.of(given)
        return replace(coder, precision=self.record.get("precision", coder.precision))

    def sample(self, n: int, *, seed: int = 0) -> TrainingPairs:
        """``n`` random pairs, none twice, and of as many units as there can be; see ``Pairs.draw``.

        Raises:
            PairError: there are fewer pairs than that.
        """
        return self.take(self.pairs.draw(n, groups=self.groups, seed=seed))


def require_fitted_split(split: Split | None) -> None:
    """Passes where maps can be fitted on a split; None is no split as a whole.

    Raises:
        MapError: it is ``test``, which is kept for the scores.
    """
    if split == "test":
        raise MapError(
            "maps cannot be fitted on the split test: it is kept for the scores, which would "
            "otherwise be of images that the map has seen; choose train or val"
        )


def training_pairs(
    source: Model,
    target: Model,
    images: ImageSource,
    coder: CoderLike = None,
    *,
    split: Split = "train",
    chosen: ImageSource | None = None,
    n_pairs: int | None = None,
    beside: Sequence[Model] = (),
    seed: int = 0,
) -> TrainingPairs:
    """The pairs of one split of some images; or of the ``chosen`` ones, in whatever split they are.

    All images are encoded whose codes are missing, so that the other splits can be scored next; but
    where ``n_pairs`` takes that many random pairs, those of these alone. Models ``beside`` the two
    have their codes in the same pass over the images, for later. ``record["fit_skipped"]`` are
    those that could not be read.

    Raises:
        MapError: ``split`` is ``test``, which is kept for the scores.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    coder = Coder.of(coder)
    fitted_split = split if chosen is None else None
    require_fitted_split(fitted_split)
    if chosen is None:
        chosen = images.split(split)
    models, known = [source, target, *beside], set(chosen.ids.tolist())
    if n_pairs is None:
        pairs = pair(*coder.codes(models, images)[:2])
        pairs, seen = pairs.take(np.flatnonzero(find_ids(chosen.ids, pairs.ids) >= 0)), images
    else:
        coder.examine(images)
        pairs, seen = _random_pairs(models, chosen, coder, n_pairs, seed)
    skipped = dict.fromkeys((*pairs.source.skipped, *pairs.target.skipped))
    record = {
        "split": fitted_split,
        "seed": seed,
        "precision": coder.precision,
        "images": images.fingerprint,
        "choice": images.choice.to_json(),
        KNOWN_BY: images.known_by,
        "fit_skipped": [name for name in skipped if name in known],
    }
    groups = groups_of(chosen, pairs.ids)
    return TrainingPairs(pairs, source, target, seen, groups, record)


def _random_pairs(
    models: Sequence[Model], images: ImageSource, coder: Coder, n: int, seed: int
) -> tuple[Pairs, ImageSource]:
    """``n`` random pairs of codes of the first two models, as ``TrainingPairs.sample`` draws them,
    and the images that were encoded for it: no others, unless some cannot be read.
    """
    # A file of codes knows which images it has.
    stored = [model for model in models[:2] if model.stored is not None]
    for codes in coder.codes(stored, images) if stored else ():
        images = images.subset(np.flatnonzero(find_ids(codes.ids, images.ids) >= 0))
    n_drawn = n
    while True:
        drawn = images.subset(draw_pairs(images.digests, n_drawn, groups=images.groups, seed=seed))
        pairs = pair(*coder.codes(models, drawn)[:2])
        if len(pairs) == n:
            return pairs, drawn
        if n_drawn == len(images):
            pairs.draw(n)  # Refuses, since there are fewer.
        # Others stand in for those that cannot be read.
        n_drawn = min(n_drawn + n - len(pairs), len(images))


def sample_pairs(
    source: Model,
    target: Model,
    n: int,
    coder: CoderLike = None,
    *,
    sample_from: Literal["source", "target"] | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    box: str | None = None,
    progress: bool = False,
) -> Pairs:
    """The codes of ``n`` images that one of the two models makes, in both spaces: no data needed.

    The maker's codes are those that the images were made of; unless it is given, ``maker_of``
    chooses it. ``box`` and ``truncation``: see ``images_between``. What was made before, by the
    same generator and seed, is taken from the cache. ``progress=True`` shows how far it is.

    Raises:
        ModelError: the maker cannot make images, or not truncate their codes.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    coder = Coder.of(coder, progress=progress)
    sample_from = sample_from or maker_of(source, target)
    maker, other = (source, target) if sample_from == "source" else (target, source)
    with coder.stage("generating") as told:
        images, maker, other = images_between(
            maker,
            other,
            n,
            seed=seed,
            truncation=truncation,
            folder=coder.keep_generated(),
            box=box,
            progress=told,
        )
    source, target = (maker, other) if sample_from == "source" else (other, maker)
    return coder.pairs(source, target, images)
