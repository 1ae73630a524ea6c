"""Each similarity index of two spaces alone; the library computes those of several at once."""

from latentmap.comparison.projections import (
    Rotation,
    correlations,
    normalised,
    procrustes_distances_of,
)
from latentmap.comparison.relations import (
    CKA,
    DISTANCES,
    MUTUAL_NEIGHBOURS,
    inner_products_of,
)
from latentmap.mapping import moments_of


def by_relation(x, y, relation):
    one, other = (relation.relate(relation.prepare(z))[None] for z in (x, y))
    return float(inner_products_of(one, other))


def debiased_cka(x, y):
    return by_relation(x, y, CKA)


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
