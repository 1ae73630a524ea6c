"""Similarity indexes that compare how images stand to each other in two spaces.

Each space becomes a matrix of relations between its images; the index is the cosine of two such
matrices. An image that is left out takes its row and column with it, and another pairing of the
images permutes rows and columns, so intervals and nulls need the codes only once.

Shapes: ``n`` images, codes ``(n, d)``, relations ``(n, n)``, float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 10


@dataclass(frozen=True)
class Relation:
    """How an index sees a space.

    ``prepare`` gives numbers ``(n, n)`` of codes, which do not change when images are left out or
    permuted; ``relate`` gives the relation of the numbers of those that are there.
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
    """Which of all different distances each pair of images has, counted from the smallest."""
    levels: Tensor = torch.unique(distance_steps(codes), return_inverse=True)[1]
    return levels


def u_centred(products: Tensor) -> Tensor:
    """Inner products without diagonal, centred so that their products are unbiased.

    ``<A, B> / (n (n - 3))`` of two such matrices is the unbiased estimate of HSIC (Song et al.
    2012; Szekely and Rizzo 2014).
    """
    n = len(products)
    off = products - torch.diag(products.diagonal())
    sums = off.sum(0) / (n - 2)
    result: Tensor = off - sums - sums[:, None] + off.sum() / ((n - 1) * (n - 2))
    return result.fill_diagonal_(0)


def centred_ranks(levels: Tensor) -> Tensor:
    """The ranks of the distances, equal ones sharing theirs, minus the mean rank."""
    n = len(levels)
    counts = torch.bincount(levels.flatten())
    # Of an image to itself there is no distance.
    counts -= torch.bincount(levels.diagonal(), minlength=len(counts))
    middle = counts.cumsum(0) - (counts - 1) / 2 - (n * (n - 1) + 1) / 2
    return middle.double()[levels].fill_diagonal_(0)


def neighbourhoods(distances: Tensor) -> Tensor:
    """1 where the image of the column is one of the ten nearest to that of the row, else 0.

    With fewer than 22 images, the nearest half of the others.
    """
    n = len(distances)
    k = min(NEIGHBOURS, (n - 1) // 2)
    others = distances.clone().fill_diagonal_(torch.inf)
    nearest = others.topk(k, largest=False).indices
    found = torch.zeros_like(distances).scatter_(1, nearest, 1.0)
    # Where all images are in one place none is nearer than another.
    return found * (distances.max() > 0)


CKA = Relation(inner_products, u_centred)
DISTANCES = Relation(distance_levels, centred_ranks)
MUTUAL_NEIGHBOURS = Relation(distance_steps, neighbourhoods)


def unit_length(relations: Tensor) -> Tensor:
    """Relations ``(m, n, n)`` divided by their lengths; NaN where one is zero."""
    lengths = relations.flatten(1).norm(dim=1)[:, None, None]
    return relations / torch.where(lengths > 0, lengths, torch.nan)


def cosines(relations: Tensor, others: Tensor) -> Tensor:
    """The cosines ``(m, m)``, float64, of relations ``(m, n, n)`` of unit length with others."""
    return (relations.flatten(1) @ others.flatten(1).T).double()
