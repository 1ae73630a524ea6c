"""Probing a map between two models, on the images that it was scored on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, Seen, find_ids, hold_out, units_of
from latentmap.errors import MapError
from latentmap.images import ImageSource
from latentmap.images.attribute_values import Attribute
from latentmap.images.finding import groups_of
from latentmap.mapping import LinearMap
from latentmap.model import Model
from latentmap.relocation.judged import as_fitted
from latentmap.relocation.probes import Probes
from latentmap.relocation.probing import probe_map


def probe_models(
    linear_map: LinearMap,
    source: Model,
    target: Model,
    images: ImageSource,
    coder: CoderLike,
    *,
    ids: np.ndarray,
    fitted: tuple[Codes, np.ndarray | None],
    attributes: Sequence[Attribute],
    seed: int = 0,
    progress: bool = False,
) -> Probes:
    """What a map between two models keeps of ``attributes`` of those of ``images`` with some
    ``ids`` ``(n,)``, such as ``Scores.errors.ids``; see ``probe_map``.

    Probes are fitted on the target's codes ``fitted`` of other images and the groups of these
    ``(m,)``, where they have some, without those of units that are judged; see ``codes_to_fit``.
    ``progress=True`` shows how far it is.

    Raises:
        SpaceError: the map does not belong to the models, or the codes to the target.
        MapError: all images to fit probes on are of units that are judged; or no probe can be had.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    coder = Coder.of(coder, progress=progress)
    pairs = coder.pairs(*as_fitted(linear_map, source, target), images)
    pairs = pairs.take(np.flatnonzero(find_ids(ids, pairs.ids) >= 0))
    groups = groups_of(images, pairs.ids)
    judged = Seen("judged", pairs.digests, groups)
    codes, fitted_groups = fitted
    others = hold_out(codes.digests, [judged], groups=fitted_groups)
    if not len(others):
        raise MapError(
            "every image that probes could be fitted on is scored itself, or another of its group "
            "is: score fewer, such as --split test"
        )
    with coder.stage("fitting probes", "probes") as told:
        return probe_map(
            linear_map,
            codes.take(others.positions),
            pairs,
            attributes,
            fitted_units=others.units,
            units=units_of(pairs.digests, groups),
            seed=seed,
            progress=told,
        )


def codes_to_fit(
    linear_map: LinearMap, source: Model, target: Model, training: ImageSource, coder: CoderLike
) -> tuple[Codes, np.ndarray | None]:
    """The target's codes of images to fit probes on, and the groups of these ``(n,)``.

    Raises:
        ImageError, CacheError, ModelError: as encoding raises them.
    """
    _, target = as_fitted(linear_map, source, target)
    (codes,) = Coder.of(coder).codes([target], training)
    return codes, groups_of(training, codes.ids)
