"""What each image contributes to figures that count neighbours.

Shapes: ``n`` real and ``m`` generated images, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_NUMBERS = 2**22  # Distances at a time: 32 MB.
_TINY = 1e-300  # In place of a distance of 0, by which nothing is divided.
_MOST_REAL = 1000.0  # Of a copy of a real image.


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What the images contribute to each figure; see ``Coverage``.

    Of generated images ``(m,)``: whether one is ``precise``, in how many balls of real ones it lies
    over k (``dense``), in how many that were clipped at the median radius, over k and at most 1
    (``clipped_dense``), and its ``realism``. Of real images ``(n,)``: whether one is ``recalled``
    and ``covered``, which share of k generated ones are in its ball (``shared``, at most 1), and
    what ``clipped_dense`` is of it among the other real ones (``own_dense``).
    """

    precise: np.ndarray
    dense: np.ndarray
    clipped_dense: np.ndarray
    realism: np.ndarray
    recalled: np.ndarray
    covered: np.ndarray
    shared: np.ndarray
    own_dense: np.ndarray


def count_neighbours(real: Tensor, made: Tensor, k: int, k_density: int) -> Neighbours:
    """What images with codes ``(n, d)`` and ``(m, d)``, in float64, contribute: to precision,
    recall and realism by the ``k``-th neighbour, to the others by the ``k_density``-th.
    """
    narrow, wide = radii_of(real, (k, k_density))
    (made_radii,) = radii_of(made, (k,))
    # The half of the balls that are not larger than the others, as published.
    pruned = narrow.where(narrow <= _median(narrow), 0.0)
    clipped = wide.clamp_max(_median(wide))
    found: dict[str, list[Tensor]] = {name: [] for name in Neighbours.__dataclass_fields__}
    for _, distances in distances_of(made, real):
        found["precise"].append((distances <= narrow).any(1))
        found["dense"].append((distances <= wide).sum(1).double() / k_density)
        inside = (distances <= clipped).sum(1)
        found["clipped_dense"].append((inside.double() / k_density).clamp_max(1))
        nearness = (pruned / distances.clamp_min(_TINY)).amax(1)
        found["realism"].append(nearness.clamp_max(_MOST_REAL))
    for part, distances in distances_of(real, made):
        found["recalled"].append((distances <= made_radii).any(1))
        found["covered"].append((distances <= wide[part, None]).any(1))
        # Nearer than the k-th, as published, not as near.
        near = (distances < wide[part, None]).sum(1)
        found["shared"].append((near.double() / k_density).clamp_max(1))
    for _, distances in distances_of(real, real):
        others = (distances <= clipped).sum(1) - 1  # Each is in its own ball.
        found["own_dense"].append((others.double() / k_density).clamp_max(1))
    return Neighbours(**{name: torch.cat(parts).numpy() for name, parts in found.items()})


def distances_of(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The distances of rows ``(r, d)`` from all ``others`` ``(n, d)``, some rows at a time."""
    step = max(1, _NUMBERS // len(others))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        # As products of matrices, small distances would be wrong.
        exact = "donot_use_mm_for_euclid_dist"
        yield part, torch.cdist(rows[part], others, compute_mode=exact)


def radii_of(codes: Tensor, neighbours: tuple[int, ...]) -> list[Tensor]:
    """The distance of every code from its k-th nearest other one, ``(n,)`` for each k."""
    parts = []
    for _, distances in distances_of(codes, codes):
        # The nearest is the code itself.
        nearest = distances.topk(max(neighbours) + 1, largest=False).values
        parts.append(nearest[:, list(neighbours)])
    return list(torch.cat(parts).unbind(1))


def _median(radii: Tensor) -> float:
    """That of an even number is between two, as NumPy's."""
    return float(np.median(radii.numpy()))
