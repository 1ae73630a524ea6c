"""The codes of the same images in several spaces, and the maps between all of these.

Shapes: ``m`` spaces, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
import torch

from latentmap.codes import Codes, Pairs, find_ids, pair
from latentmap.errors import MapError, PairError
from latentmap.mapping import LinearMap, fit
from latentmap.mapping.gathering import moments_of_spaces, name_bad_code
from latentmap.mapping.methods import METHODS
from latentmap.mapping.moment_sums import require_room
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.patches import patches_between
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import Selection, candidates_for, generalised, k_fold
from latentmap.mapping.thin_moments import ThinJointMoments
from latentmap.progress import Progress
from latentmap.versions import versions_of

Joint: TypeAlias = JointMoments | ThinJointMoments
_LARGE = 8192  # Variables of all spaces together, of whose products there are half a gigabyte.


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


def joint_moments(
    spaces: Sequence[Codes],
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    thin: bool | None = None,
) -> Joint:
    """The moments of the same images in several spaces: their roots, which are the codes, where
    there are fewer images than variables of a space and products would be large, or as ``thin``
    says; else their products, summed on ``device``.

    Raises:
        MapError: memory does not hold the products, or a code is not finite.
    """
    n, dims = len(spaces[0]), [codes.space.dim for codes in spaces]
    if is_thin(n, dims) if thin is None else thin:
        rows = [codes.vectors for codes in spaces]
        message = name_bad_code(spaces, 0, rows)
        if message:
            raise MapError(message)
        if progress:
            progress(n, n)
        return ThinJointMoments.of(rows)
    require_room(dims)
    return moments_of_spaces(spaces, device=device, progress=progress)


def is_thin(n: int, dims: Sequence[int]) -> bool:
    """Whether moments of ``n`` images in spaces of some ``dims`` are kept as roots."""
    return n < max(dims) and sum(dims) > _LARGE


def maps_between(
    moments: Joint,
    spaces: Sequence[Codes],
    *,
    references: Sequence[str],
    order: Sequence[tuple[int, int]] | None = None,
    folds: Sequence[Joint] = (),
    n_units: int | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[tuple[int, int], LinearMap]:
    """The ridge maps between all spaces, or those in ``order``, by numbers of source and target.

    ``moments`` are those of the codes in ``spaces``. The penalty is chosen by generalised
    cross-validation, which needs no more than these; leave-one-out would read all codes again for
    every map. Where several codes are of one unit, ``folds`` are the moments of parts that keep
    units together, of ``n_units`` in all, and the penalty is chosen by these.

    Between grids of which one folds to the other, a map is of patches, as ``fit`` makes it of codes
    of these ``groups`` ``(n,)`` with this ``seed``.
    """
    maps = {}
    order = order or list(permutations(range(len(spaces)), 2))
    for done, (i, j) in enumerate(order):
        if patches_between(spaces[i].space, spaces[j].space, None) is not None:
            pairs = Pairs(spaces[i], spaces[j])
            maps[i, j] = replace(
                fit(pairs, groups=groups, seed=seed, record=record),
                source_reference=references[i],
                target_reference=references[j],
            )
            if progress:
                progress(done + 1, len(order))
            continue
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
                "versions": versions_of("latentmap", "numpy", "torch"),
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
