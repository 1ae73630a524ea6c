"""All similarity indexes between the codes of several spaces, in resamplings of the images.

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from latentmap.comparison.directions import SharedVariates, by_canonical_variates, by_rotation
from latentmap.comparison.gulp import gulp_distances, whitened
from latentmap.comparison.indexes import INDEXES, RELATIONS
from latentmap.comparison.pairings import Triangle, random_overlaps, random_products
from latentmap.comparison.relations import by_relation
from latentmap.comparison.resampled import Resampled, Resampling
from latentmap.comparison.steps import Steps
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.thin_moments import ThinJointMoments


def n_steps(spaces: int, orders: int) -> int:
    """How many steps ``measure`` counts."""
    return len(RELATIONS) + orders + spaces * (spaces - 1)


def measure(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    resampling: Resampling,
    steps: Steps,
) -> tuple[dict[str, Resampled], list[SharedVariates]]:
    """All of ``INDEXES`` between the codes of the same images, and the variates that each two
    share. What is fitted is fitted on the moments.
    """
    found = _by_relations(codes, fitted, resampling, steps)
    along, variates = by_canonical_variates(codes, fitted, resampling, steps)
    rotated = by_rotation(codes, fitted, resampling, steps)
    every = {**found, **along, "procrustes": rotated}
    return {name: every[name].map(_bounded(name)) for name in INDEXES}, variates


def _by_relations(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    resampling: Resampling,
    steps: Steps,
) -> dict[str, Resampled]:
    triangle = Triangle(len(codes[0]))
    known, nulls, packed = {}, {}, {}
    for name, relation in RELATIONS.items():
        seen = _whitened(codes, fitted) if name == "gulp" else codes
        every, value, without = by_relation(seen, relation, resampling.kept)
        known[name] = value.numpy(), without.numpy()
        if name == "neighbours":
            nulls[name] = random_overlaps(every, resampling.orders)
        else:
            packed[name] = triangle.pack(every)
        steps.next()
    nulls |= random_products(triangle, packed, resampling.orders, steps)
    found = {name: Resampled(*known[name], nulls[name]) for name in RELATIONS}
    return {**found, "gulp": _distances(found["gulp"])}


def _whitened(codes: Sequence[Tensor], fitted: JointMoments | ThinJointMoments) -> list[Tensor]:
    return [
        whitened(part, fitted.between(number, number).source_spectrum)
        for number, part in enumerate(codes)
    ]


def _distances(products: Resampled) -> Resampled:
    """GULP of the inner products, of which those of a space with itself are as in no pairing."""
    own = np.diagonal(products.value)
    return Resampled(
        gulp_distances(products.value, own),
        gulp_distances(products.without, np.diagonal(products.without, axis1=1, axis2=2)),
        gulp_distances(products.null, own),
    )


def _bounded(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Rounding alone passes a bound."""
    least, most = INDEXES[name].bounds
    return lambda values: np.clip(values, least, most)
