"""Inner products of the relations of spaces whose images are paired at random.

A pairing permutes the rows and columns of a relation. What is symmetric is kept as its upper
triangle, what has few entries by these, and all relations take each order of the images together,
because finding the places takes longer than reading them: 14 ms for four relations of six spaces of
800 images, which took 48.

Shapes: ``m`` spaces, ``n`` images, ``t`` pairs of images, ``b`` orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from latentmap.comparison.steps import Steps


class Triangle:
    """The pairs of ``n`` images, first the lower of their numbers, in a row of ``t``."""

    def __init__(self, n: int) -> None:
        rows, columns = torch.triu_indices(n, n, 1).int()
        self._rows, self._columns = rows, columns
        self._starts = torch.arange(n, dtype=torch.int32)
        self._starts = self._starts * (2 * n - self._starts - 1) // 2 - self._starts - 1

    def pack(self, relations: Tensor) -> Tensor:
        """The upper triangles ``(m, t)`` of symmetric relations ``(m, n, n)``, float32, times the
        root of 2, so that inner products are those of the whole.
        """
        return (relations[:, self._rows, self._columns] * 2**0.5).float()

    def places(self, order: Tensor) -> Tensor:
        """Where the pairs of the images in another order stand, ``(t,)``."""
        order = order.int()
        one, other = order[self._rows], order[self._columns]
        first, second = torch.minimum(one, other), torch.maximum(one, other, out=other)
        return second.add_(self._starts[first])


def random_products(
    triangle: Triangle, relations: Mapping[str, Tensor], orders: Sequence[Tensor], steps: Steps
) -> dict[str, np.ndarray]:
    """The inner products ``(b, m, m)`` of relations, packed by the ``triangle``, with those of the
    images in each of the ``orders``; digits beyond float32 say nothing of a null.
    """
    mixed = torch.empty_like(next(iter(relations.values())))
    m = len(mixed)
    found = {name: np.empty((len(orders), m, m)) for name in relations}
    for number, order in enumerate(orders):
        places = triangle.places(order)
        for name, packed in relations.items():
            for part, into in zip(packed, mixed, strict=True):
                torch.index_select(part, 0, places, out=into)
            found[name][number] = (packed @ mixed.T).numpy()
        steps.next()
    return found


def random_overlaps(relations: Tensor, orders: Sequence[Tensor]) -> np.ndarray:
    """The same ``(b, m, m)`` of relations ``(m, n, n)`` that are 0 but for few entries; only above
    the diagonal, the rest is its mirror.
    """
    m, n = len(relations), relations.shape[1]
    flat = relations.flatten(1)
    found = np.full((len(orders), m, m), np.nan)
    for i in range(m - 1):
        there = (flat[i] != 0).nonzero()[:, 0]
        values, rows, columns = flat[i, there], there // n, there % n
        for number, order in enumerate(orders):
            places = order[rows] * n + order[columns]
            found[number, i, i + 1 :] = (flat[i + 1 :, places] @ values).numpy()
    lower = np.tril_indices(m, -1)
    found[:, lower[0], lower[1]] = found[:, lower[1], lower[0]]
    return found
