"""Relocation: from two models and images to a map, its scores, and images carried across.

What the commands ``fit``, ``evaluate`` and ``apply`` do, in one call each. The steps themselves
(encode, pair, fit, evaluate) know neither of splits nor of a cache; here they are put together.

Shapes: ``n`` images, images ``(n, c, h, w)`` in [0, 1], codes ``(n, p)`` and ``(n, q)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latentmap.cache import Coder, CoderLike
from latentmap.cache.encoding import BATCH_SIZE, encode_seen
from latentmap.codes import Codes, Pairs, Seen, find_ids
from latentmap.images import ImageSource, Split
from latentmap.images.finding import positions_of
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.nonlinear import NonlinearMap
from latentmap.model import Model
from latentmap.relocation.baselines import Baseline, codes_beside
from latentmap.relocation.beside import BesideKind
from latentmap.relocation.distances import Distances, distances_of
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.judged import as_fitted, judged_on
from latentmap.relocation.measuring import measure, require_models
from latentmap.relocation.measuring_codes import AsTheyAre, Way
from latentmap.relocation.pairing import training_pairs
from latentmap.relocation.scores import BesideMeasured, Scores, scores_of
from latentmap.relocation.travel import travels_of

_BATCH = 64  # Images at a time.


@dataclass(frozen=True, eq=False)
class Relocated:
    """Images before and after: as the source sees them, by the source, and by the target; None of a
    model that has no decoder. ``ids`` are theirs, and ``skipped`` those that could not be read;
    ``distances`` say how far the source codes are from those of the fit.
    """

    originals: torch.Tensor
    reconstructions: torch.Tensor | None
    relocated: torch.Tensor | None
    skipped: tuple[str, ...] = ()
    distances: Distances | None = None
    ids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Relocated: {len(self.originals)} images>"


def fit_models(
    source: Model,
    target: Model,
    images: ImageSource,
    coder: CoderLike = None,
    *,
    split: Split = "train",
    n_pairs: int | None = None,
    options: FitOptions | None = None,
    seed: int = 0,
    progress: bool = False,
) -> LinearMap:
    """The map between two models, fitted on one split of some images; by default ridge.

    It is ``training_pairs`` and then ``fit_training``: ``n_pairs`` takes that many random pairs,
    and encodes no other images. ``progress=True`` shows how far it is.

    Raises:
        MapError, ImageError, CacheError, PairError: as these two raise them.
    """
    coder = Coder.of(coder, progress=progress)
    training = training_pairs(
        source, target, images, coder, split=split, n_pairs=n_pairs, seed=seed
    )
    with coder.stage("fitting", "steps") as told:
        return fit_training(training, options=options, seed=seed, progress=told)


def score_models(
    maps: Sequence[LinearMap],
    source: Model,
    target: Model,
    images: ImageSource,
    coder: CoderLike = None,
    *,
    seen: Sequence[Seen] = (),
    baselines: Sequence[Baseline] = (),
    ceiling: NonlinearMap | None = None,
    seed: int = 0,
    progress: bool = False,
) -> list[Scores]:
    """The scores of maps between two models, each on all images that none of them was fitted on.

    Images of the units that a map was fitted on are left out, see ``hold_out``, and so are those of
    ``seen``, such as ``TrainingPairs.seen``, which knows groups; ``record["n_left_out"]`` says how
    many were, ``record["left_out"]`` why. Of the others ``record["n_seen"]`` says how many each
    model was trained on, see ``count_seen``; ``unseen`` gives images of which none was. What
    ``baselines`` and a ``ceiling`` give stands beside each, on the same images; and of images that
    the target made, what its own encoder gives. ``progress=True`` shows how far it is.

    Raises:
        SpaceError: a map does not belong to the models.
        MapError: none of these images is of a unit that was not fitted on.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    for linear_map in maps:
        require_models(linear_map, source, target)
    coder = Coder.of(coder, progress=progress)
    with images.remembered():
        return _scored(maps, source, target, images, coder, seen, baselines, ceiling, seed)


def _scored(
    maps: Sequence[LinearMap],
    source: Model,
    target: Model,
    images: ImageSource,
    coder: Coder,
    seen: Sequence[Seen],
    baselines: Sequence[Baseline],
    ceiling: NonlinearMap | None,
    seed: int,
) -> list[Scores]:
    """What ``score_models`` gives, for images that are decoded once."""
    judged = judged_on(maps, source, target, images, coder, seen=seen)
    source, target, pairs = judged.source, judged.target, judged.pairs
    beside = [
        *_baselines(baselines, pairs, images, coder),
        *_ceiling(ceiling, pairs),
        *_network(target, pairs, images, coder),
    ]
    with coder.stage("scoring") as progress:
        measured = measure(
            maps,
            pairs,
            source,
            target,
            images,
            others=[one.way for one in beside],
            batch_size=coder.batch_size,
            progress=progress,
        )
    m = len(maps)
    others = [
        BesideMeasured(one.kind, one.model, one.way[1].space.dim, found, one.by)
        for one, found in zip(beside, measured[m:], strict=True)
    ]
    travels = travels_of(maps, pairs.source, images)
    return [
        scores_of(linear_map, found, others=others, travel=travel, seed=seed, record=judged.record)
        for linear_map, found, travel in zip(maps, measured, travels, strict=False)
    ]


@dataclass(frozen=True, eq=False)
class _BesideWay:
    """What is to be measured beside maps; see ``BesideMeasured``."""

    kind: BesideKind
    model: str
    way: Way
    by: str = ""


def _baselines(
    baselines: Sequence[Baseline], judged: Pairs, images: ImageSource, coder: Coder
) -> list[_BesideWay]:
    return [
        _BesideWay(
            one.kind,
            one.model.name,
            (one.linear_map, codes_beside(one.model, judged, images, coder)),
        )
        for one in baselines
    ]


def _ceiling(ceiling: NonlinearMap | None, judged: Pairs) -> list[_BesideWay]:
    if ceiling is None:
        return []
    name = judged.source.space.model
    return [_BesideWay("ceiling", name, (ceiling, judged.source), ceiling.by)]


def _network(target: Model, judged: Pairs, images: ImageSource, coder: Coder) -> list[_BesideWay]:
    """The codes that the target's encoder has of images whose codes are known, since it made
    them.
    """
    if not target.can_encode or images.codes_in(target.space) is None:
        return []
    mine = images.subset(positions_of(images, judged.ids))
    with coder.stage(f"encoding with {target.name}") as progress:
        found = encode_seen(
            target,
            mine,
            batch_size=coder.batch_size or BATCH_SIZE,
            precision=coder.precision,
            progress=progress,
        )
    return [_BesideWay("network", target.name, (AsTheyAre(), found))]


def relocate(
    linear_map: LinearMap,
    source: Model,
    target: Model,
    images: ImageSource,
    coder: CoderLike = None,
) -> Relocated:
    """A few images carried from one model to another; all of them are in memory. A model that has
    no decoder shows none of them.

    Raises:
        SpaceError: the map does not belong to the models.
        ImageError: an image cannot be read, and the coder does not skip it, or none can.
        CacheError: as encoding raises it.
    """
    require_models(linear_map, source, target)
    source, target = as_fitted(linear_map, source, target)
    codes = Coder.of(coder).passing(source, images)
    shown = images.subset(np.flatnonzero(find_ids(codes.ids, images.ids) >= 0))
    # A file of codes sees no images; where there is none that sees some, there are none to show.
    views = [model.view for model in (source, target) if model.sees_images][:1]
    originals: list[torch.Tensor] = []
    rebuilt: list[torch.Tensor] = []
    moved: list[torch.Tensor] = []
    for batch in shown.batches(views, batch_size=_BATCH) if views else ():
        vectors = codes.read(batch.start, batch.stop)
        originals.append(batch.floats(0))
        if source.can_decode:
            rebuilt.append(source.decode(vectors).cpu())
        if target.can_decode:
            moved.append(target.decode(linear_map.apply(vectors)).cpu())
    return Relocated(
        torch.cat(originals) if originals else torch.empty(0, 1, 1, 1),
        torch.cat(rebuilt) if rebuilt else None,
        torch.cat(moved) if moved else None,
        codes.skipped,
        distances_of(linear_map, codes),
        tuple(shown.ids.tolist()) if views else (),
    )


def source_codes(
    linear_map: LinearMap, source: Model, images: ImageSource, coder: CoderLike = None
) -> Codes:
    """The codes of some images by the source, as the map reads them.

    Raises:
        ImageError, CacheError: as encoding raises them.
    """
    seeing = source.seen_through(linear_map.source_frame)
    (codes,) = Coder.of(coder).codes([seeing], images)
    return codes
