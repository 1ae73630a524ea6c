"""A plane in which models lie as far apart as their spaces differ.

Shapes: ``m`` spaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Below this share of the largest an eigenvalue is rounding, or a distance that no plane has.
_NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class Layout:
    """``distances`` ``(m, m)`` between spaces, and ``positions`` ``(m, 2)`` in a plane.

    A distance is ``sqrt(1 - R2)`` with the mean held-out R2 of both directions: 0 where each can be
    computed from the other, 1 where nothing can. For one variable each it is the sine of their
    angle. ``explained`` is the share of the squared distances that the plane shows.
    """

    distances: np.ndarray
    positions: np.ndarray
    explained: float

    def to_json(self) -> dict[str, Any]:
        """All of it, as lists."""
        return {
            "distances": self.distances.tolist(),
            "positions": self.positions.tolist(),
            "explained": self.explained,
        }


def lay_out(r2: np.ndarray) -> Layout:
    """The layout of spaces from the R2 ``(m, m)`` of the maps between them.

    An R2 below 0, or of a space that does not vary, counts as 0. The plane is that of classical
    multidimensional scaling (Torgerson 1952); of each axis the sign is chosen so that the space
    farthest out on it is on the positive side.
    """
    known = np.clip(np.nan_to_num(r2, nan=0.0), 0, 1)
    distances = np.sqrt(np.clip(1 - (known + known.T) / 2, 0, 1))
    np.fill_diagonal(distances, 0)
    m = len(distances)
    centring = np.eye(m) - 1 / m
    products = -centring @ np.square(distances) @ centring / 2
    values, vectors = np.linalg.eigh(products)
    values, vectors = values[::-1], vectors[:, ::-1]
    total = np.clip(values, 0, None).sum()
    if not total > 0:
        return Layout(distances, np.zeros((m, 2)), 1.0)
    kept = np.where(values[:2] > _NOTHING * total, values[:2], 0)
    positions = vectors[:, :2] * np.sqrt(kept)
    farthest = positions[np.abs(positions).argmax(0), np.arange(2)]
    positions = positions * np.where(farthest < 0, -1.0, 1.0)
    return Layout(distances, positions, float(kept.sum() / total))
