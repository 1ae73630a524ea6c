"""What maps between two models may be judged on: images that none of them was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentmap.cache import Coder
from latentmap.codes import Pairs, Seen, hold_out
from latentmap.errors import MapError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of, positions_of
from latentmap.mapping import LinearMap
from latentmap.model import Model, count_seen
from latentmap.relocation.overlap import fitted_on, unknown_overlap
from latentmap.report.words import SCORED_CHOICE


@dataclass(frozen=True, eq=False)
class Judged:
    """The ``pairs`` that maps are judged on, and the two models as they saw images when the maps
    were fitted. ``record`` is what scores are to say of the choice.
    """

    source: Model
    target: Model
    pairs: Pairs
    record: dict[str, Any]


def judged_on(
    maps: Sequence[LinearMap],
    source: Model,
    target: Model,
    images: ImageSource,
    coder: Coder,
    *,
    seen: Sequence[Seen] = (),
) -> Judged:
    """The pairs of those images that are of no unit of a fit, nor of ``seen``.

    Raises:
        MapError: there is none.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    source, target = as_fitted(maps[0], source, target)
    pairs = coder.pairs(source, target, images)
    held = hold_out(
        pairs.digests,
        [*(fitted_on(one, pairs.ids, pairs.digests) for one in maps), *seen],
        groups=groups_of(images, pairs.ids),
    )
    if not len(held):
        raise MapError(
            f"the map was fitted on every one of these {len(pairs)} images, or on others of their "
            "groups, so there is nothing to score it on: give other images, such as --split test"
        )
    judged = pairs.take(held.positions)
    record = {
        SCORED_CHOICE: images.choice.to_json(),
        "n_left_out": held.n_left_out,
        "left_out": dict(held.left_out),
        "unknown_overlap": unknown_overlap(maps, images),
        "n_seen": count_seen(
            [source, target],
            images.digests,
            images.groups,
            among=positions_of(images, judged.ids),
        ),
        "score_precision": coder.precision,
    }
    return Judged(source, target, judged, record)


def as_fitted(linear_map: LinearMap, source: Model, target: Model) -> tuple[Model, Model]:
    """The models as they saw images when the map was fitted: perhaps a box of what one of them
    makes.
    """
    return (
        source.seen_through(linear_map.source_frame),
        target.seen_through(linear_map.target_frame),
    )
