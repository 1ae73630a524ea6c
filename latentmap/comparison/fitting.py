"""The maps of a comparison: between all spaces, and from the baselines that stand beside these.

Shapes: ``m`` models, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import torch
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)

from latentmap.codes import units_of
from latentmap.comparison.material import Material
from latentmap.comparison.pictures import Maps
from latentmap.comparison.spaces import Joint, is_thin, joint_moments, maps_between
from latentmap.mapping.selection import assign_folds
from latentmap.progress import Stage

_FOLDS = 5  # Of units, where several images are of one.


def fit_spaces(
    material: Material,
    references: Sequence[str],
    made: Mapping[str, Any],
    seed: int,
    device: torch.device,
    stage: Stage,
) -> tuple[Joint, Maps, Maps]:
    """The moments of all spaces in one pass, summed on ``device``, the maps between those of the
    models, and those that read baselines, whose numbers come after these.
    """
    m, train = len(material.train), [*material.train, *material.controls[0]]
    units = units_of(train[0].digests, material.train_groups)
    n_units, folds = int(units.max()) + 1, []
    with stage("gathering moments") as progress:
        moments = joint_moments(train, device=device, progress=progress)
        if n_units < len(units):
            thin = is_thin(len(units), [codes.space.dim for codes in train])
            number = assign_folds(len(units), folds=min(_FOLDS, n_units), seed=seed, groups=units)
            for fold in range(number.max() + 1):
                rows = np.flatnonzero(number == fold)
                some = [codes.take(rows) for codes in train]
                folds.append(joint_moments(some, device=device, thin=thin))
    # As in `shared_rank`: two threads wait for each other in work this small (measured, 30 maps on
    # two busy processors: 41 s of processor time with two, 0.5 s with one).
    with stage("fitting", "maps") as progress, threadpool_limits(1):
        maps = maps_between(
            moments,
            train,
            order=[*permutations(range(m), 2), *material.ways_of_controls],
            references=[*references, *(codes.space.model for codes in train[m:])],
            folds=folds,
            n_units=n_units if folds else None,
            groups=material.train_groups,
            seed=seed,
            record=made,
            progress=progress,
        )
    beside = {place: linear_map for place, linear_map in maps.items() if place[0] >= m}
    return moments, {place: maps[place] for place in maps if place not in beside}, beside
