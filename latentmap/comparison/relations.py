"""Similarity indexes that compare how images stand to each other in two spaces.

Each space becomes a matrix of relations between its images; the index is the inner product of two
such matrices, which is their cosine where they have unit length. An image that is left out takes
its row and column with it, and another pairing of the images permutes rows and columns, so
intervals and nulls need the codes only once.

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``, relations ``(n, n)``, float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 10


@dataclass(frozen=True)
class Relation:
    """How an index sees a space.

    ``prepare`` gives numbers ``(n, n)`` of codes, which do not change when images are left out or
    permuted; ``relate`` gives the relation of the numbers of those that are there, NaN where there
    is none.
    """

    prepare: Callable[[Tensor], Tensor]
    relate: Callable[[Tensor], Tensor]


def centred(codes: Tensor) -> Tensor:
    """Codes about their mean; exactly 0 for a variable that varies by float32 rounding alone."""
    wide = codes.double()
    mean = wide.mean(0)
    away = wide - mean
    rounding = len(codes) * (torch.finfo(torch.float32).eps * mean).square()
    return torch.where(away.square().sum(0) > rounding, away, 0)


def inner_products(codes: Tensor) -> Tensor:
    """The inner products of the centred codes."""
    away = centred(codes)
    return away @ away.T


def distance_steps(codes: Tensor) -> Tensor:
    """The squared distances of all codes, in whole steps of 2^-40 of the largest.

    Rounding would order equal distances by chance.
    """
    products = inner_products(codes)
    squares = products.diagonal()
    distances = squares[:, None] + squares - 2 * products
    largest = distances.max()
    return (distances * (2**40 / largest)).round() if largest > 0 else torch.zeros_like(products)


def distance_levels(codes: Tensor) -> Tensor:
    """Which of all different distances each pair of images has, counted from the smallest; an image
    with itself counts as the nearest pair.
    """
    rows, columns = torch.triu_indices(len(codes), len(codes), 1)
    levels = torch.zeros(len(codes), len(codes), dtype=torch.int64)
    found = torch.unique(distance_steps(codes)[rows, columns], return_inverse=True)[1]
    levels[rows, columns] = levels[columns, rows] = found
    return levels


def u_centred(products: Tensor) -> Tensor:
    """Inner products without diagonal, centred so that their products are unbiased.

    ``<A, B> / (n (n - 3))`` of two such matrices is the unbiased estimate of HSIC (Song et al.
    2012; Szekely and Rizzo 2014).
    """
    n = len(products)
    off = products.clone().fill_diagonal_(0)
    sums, every = off.sum(0) / (n - 2), off.sum() / ((n - 1) * (n - 2))
    return off.sub_(sums).sub_(sums[:, None]).add_(every).fill_diagonal_(0)


def centred_ranks(levels: Tensor) -> Tensor:
    """The ranks of the distances, equal ones sharing theirs, minus the mean rank."""
    n = len(levels)
    counts = torch.bincount(levels.flatten())
    # Of an image to itself there is no distance.
    counts -= torch.bincount(levels.diagonal(), minlength=len(counts))
    middle = counts.cumsum(0) - (counts - 1) / 2 - (n * (n - 1) + 1) / 2
    return middle.double()[levels].fill_diagonal_(0)


def neighbourhoods(distances: Tensor) -> Tensor:
    """How likely the image of the column is one of the ten nearest to that of the row, divided by
    ``sqrt(10 n)``; with fewer than 22 images, one of the nearest half of the others.

    That is 1 where it is nearer than the tenth, and the same for all that are as far as the tenth,
    which share the places that are left. So the inner product of two spaces is the share of
    neighbours that they are expected to have in common, where equal distances are ordered by chance
    in each of them by itself.
    """
    n = len(distances)
    k = min(NEIGHBOURS, (n - 1) // 2)
    others = distances.double().clone().fill_diagonal_(torch.inf)
    last = others.topk(k, dim=1, largest=False, sorted=False).values.amax(1, keepdim=True)
    nearer, equal = others < last, others == last
    left = k - nearer.sum(1, keepdim=True)
    likely = nearer.double() + equal.double() * (left / equal.sum(1, keepdim=True).double())
    # Where all images are in one place none is nearer than another.
    return likely / (n * k) ** 0.5 if distances.max() > 0 else torch.full_like(likely, torch.nan)


def unit_length(relation: Tensor) -> Tensor:
    """A relation ``(n, n)``, divided in place by its length; NaN where that is zero."""
    length = relation.norm()
    return relation.div_(torch.where(length > 0, length, torch.nan))


def gaussian_kernel(distances: Tensor) -> Tensor:
    """``exp(-d^2 / 2 w^2)`` of squared ``distances`` ``(n, n)``, with the median distance of two
    different images as width ``w``; NaN where that is 0.
    """
    n = len(distances)
    # Those of the images to themselves are the smallest.
    median = distances.flatten().kthvalue(n + (n * (n - 1) + 1) // 2).values
    return (distances / (-2 * torch.where(median > 0, median, torch.nan))).exp_()


def _cosine(products: Tensor) -> Tensor:
    return unit_length(u_centred(products))


CKA = Relation(inner_products, _cosine)
KERNEL_CKA = Relation(distance_steps, lambda squares: _cosine(gaussian_kernel(squares)))
DISTANCES = Relation(distance_levels, lambda levels: unit_length(centred_ranks(levels)))
MUTUAL_NEIGHBOURS = Relation(distance_steps, neighbourhoods)
# Of whitened codes, see ``gulp.py``.
GULP = Relation(inner_products, u_centred)


def inner_products_of(relations: Tensor, others: Tensor) -> Tensor:
    """The inner products ``(m, m)``, float64, of relations ``(m, n, n)`` with others."""
    return (relations.flatten(1) @ others.flatten(1).T).double()


def by_relation(
    codes: Sequence[Tensor], relation: Relation, kept: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The relations ``(m, n, n)`` of all images, and their inner products: ``(m, m)`` of all
    images, ``(k, m, m)`` of the images that are ``kept``, at ``k`` choices of positions.
    """
    prepared = [relation.prepare(part) for part in codes]
    every = torch.stack([relation.relate(part) for part in prepared])
    value = inner_products_of(every, every)
    # Results are put where those before them were: freed matrices leave holes, into few of which
    # glibc fits another one (measured, 800 images of two spaces: 440 MB of holes).
    room, without = torch.empty_like(every).flatten(), value.new_zeros(len(kept), *value.shape)
    for number, rows in enumerate(kept):
        n = len(rows)
        some = room[: len(codes) * n * n].view(-1, n, n)
        for part, into in zip(prepared, some, strict=True):
            into.copy_(relation.relate(part[rows][:, rows]))
        without[number] = inner_products_of(some, some)
    return every, value, without
