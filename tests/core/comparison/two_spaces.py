"""Each similarity index of two spaces alone; the library computes those of several at once."""

from latentmap.comparison.projections import correlations, normalised, procrustes_distance_of
from latentmap.comparison.relations import (
    CKA,
    DISTANCES,
    MUTUAL_NEIGHBOURS,
    cosines,
    unit_length,
)


def by_relation(x, y, relation):
    one, other = (unit_length(relation.relate(relation.prepare(z))[None]) for z in (x, y))
    return float(cosines(one, other))


def debiased_cka(x, y):
    return by_relation(x, y, CKA)


def mutual_neighbours(x, y):
    return by_relation(x, y, MUTUAL_NEIGHBOURS)


def distance_correlation(x, y):
    return by_relation(x, y, DISTANCES)


def procrustes_distance(x, y):
    return procrustes_distance_of(normalised(x).T @ normalised(y))


def held_out_correlations(x, y, directions):
    return correlations(x.double() @ directions.left, y.double() @ directions.right)
