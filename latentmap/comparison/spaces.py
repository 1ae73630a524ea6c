"""The codes of the same images in several spaces, and the maps between all of these.

Shapes: ``m`` spaces, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import permutations
from typing import Any

import numpy as np

from latentmap.codes import Codes, find_ids, pair
from latentmap.errors import PairError
from latentmap.mapping import LinearMap
from latentmap.mapping.methods import METHODS
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import Selection, candidates_for, generalised, k_fold
from latentmap.progress import Progress


def join(spaces: Sequence[Codes]) -> list[Codes]:
    """The codes of the images that all spaces have, in one order.

    Raises:
        PairError: there is no such image, an id has different contents, or an id stands twice.
    """
    first = spaces[0]
    common = np.ones(len(first), dtype=bool)
    for other in spaces[1:]:
        common &= find_ids(other.ids, first.ids) >= 0
    if not common.any():
        for other in spaces[1:]:
            pair(first, other)
        raise PairError(
            f"the codes in {', '.join(str(codes.space) for codes in spaces)} have no image that is "
            "in all of them: encode the same images with all models"
        )
    shared = first.take(np.flatnonzero(common))
    pairs = [pair(shared, other) for other in spaces[1:]]
    return [pairs[0].source, *(one.target for one in pairs)]


def maps_between(
    moments: JointMoments,
    spaces: Sequence[Codes],
    *,
    references: Sequence[str],
    order: Sequence[tuple[int, int]] | None = None,
    folds: Sequence[JointMoments] = (),
    n_units: int | None = None,
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[tuple[int, int], LinearMap]:
    """The ridge maps between all spaces, or those in ``order``, by numbers of source and target.

    ``moments`` are those of the codes in ``spaces``. The penalty is chosen by generalised
    cross-validation, which needs no more than these; leave-one-out would read all codes again for
    every map. Where several codes are of one unit, ``folds`` are the moments of parts that keep
    units together, of ``n_units`` in all, and the penalty is chosen by these.
    """
    maps = {}
    order = order or list(permutations(range(len(spaces)), 2))
    for done, (i, j) in enumerate(order):
        between = moments.between(i, j)
        selection = _chosen(between, [part.between(i, j) for part in folds], n_units)
        penalty = selection.chosen["penalty"]
        solution = solve_ridge(between, penalty=penalty)
        source, target = spaces[i], spaces[j]
        maps[i, j] = LinearMap(
            weight=solution.weight,
            bias=solution.bias,
            source=source.space,
            target=target.space,
            source_frame=source.frame,
            target_frame=target.frame,
            method="ridge",
            settings={"penalty": penalty},
            rank=solution.rank,
            condition=solution.condition,
            n_pairs=len(source),
            train_digests=source.digests,
            moments=between,
            source_reference=references[i],
            target_reference=references[j],
            record={
                "selection": [selection.to_json()],
                "intercept": True,
                "refined": False,
                "moments": "exact",
                "data": source.data,
                "versions": {name: version(name) for name in ("latentmap", "numpy", "torch")},
                **(record or {}),
            },
        )
        if progress:
            progress(done + 1, len(order))
    return maps


def _chosen(between: Moments, folds: Sequence[Moments], n_units: int | None) -> Selection:
    if not folds:
        return generalised(between)
    ridge = METHODS["ridge"]
    tried = candidates_for(ridge, between, {}, ["penalty"])
    return replace(k_fold(ridge, folds, tried), n_units=n_units)
