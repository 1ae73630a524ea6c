"""Each similarity index of two spaces alone; the library computes those of several at once."""

import numpy as np

from latentmap.comparison.gulp import gulp_distances, whitened
from latentmap.comparison.projections import (
    Rotation,
    correlations,
    normalised,
    procrustes_distances_of,
)
from latentmap.comparison.relations import (
    CKA,
    DISTANCES,
    GULP,
    KERNEL_CKA,
    MUTUAL_NEIGHBOURS,
    inner_products_of,
)
from latentmap.mapping import moments_of


def by_relation(x, y, relation):
    one, other = (relation.relate(relation.prepare(z))[None] for z in (x, y))
    return float(inner_products_of(one, other))


def debiased_cka(x, y):
    return by_relation(x, y, CKA)


def kernel_cka(x, y):
    return by_relation(x, y, KERNEL_CKA)


def gulp_distance(x, y, fitted=None):
    """By the whitening of these images themselves, unless moments of others are given."""
    fitted = moments_of(x, y) if fitted is None else fitted
    parts = [whitened(x, fitted.source_spectrum), whitened(y, fitted.target_spectrum)]
    own = np.array([by_relation(part, part, GULP) for part in parts])
    shared = by_relation(*parts, GULP)
    products = np.array([[own[0], shared], [shared, own[1]]])
    return float(gulp_distances(products, own)[0, 1])


def mutual_neighbours(x, y):
    return by_relation(x, y, MUTUAL_NEIGHBOURS)


def distance_correlation(x, y):
    return by_relation(x, y, DISTANCES)


def procrustes_distance(x, y, fitted=None):
    """By the rotation of these images themselves, unless moments of others are given."""
    rotation = Rotation.of(moments_of(x, y) if fitted is None else fitted)
    return float(procrustes_distances_of((rotation.apply(normalised(x)) * normalised(y)).sum()))


def held_out_correlations(x, y, directions):
    return correlations(x.double() @ directions.left, y.double() @ directions.right)
