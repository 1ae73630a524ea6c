"""The images that reach furthest into sectors, without a look at every image for every sector.

The reach of a code ``t`` into the sector of directions ``dir`` is ``min_i dir_i t_i``. Seen from a
corner far out in the sector, ``c = M dir`` with ``M`` at least every ``abs(t_i)``, the code is at
the distance ``max_i abs(c_i - t_i) = M - min_i dir_i t_i``: who reaches furthest is the nearest
neighbour of the corner in the maximum norm, which a k-d tree finds (Bentley 1975).

Shapes: ``n`` images, ``k`` leading variables, ``s`` sectors.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from latentmap.support.sectors import reach_of

_LEAF = 64
_FIRST = 8  # Neighbours that are looked at, and how many times more where these are not enough.
_ROUNDING = 16 * float(np.finfo(np.float64).eps)


class Furthest:
    """A search among coordinates ``(n, k)`` of at least one variable."""

    def __init__(self, coordinates: np.ndarray) -> None:
        from scipy.spatial import KDTree

        self._coordinates = coordinates
        self._tree = KDTree(coordinates, _LEAF, compact_nodes=False, balanced_tree=False)
        self._far = float(np.abs(coordinates).max())

    def best(self, directions: np.ndarray) -> np.ndarray:
        """The positions ``(s,)`` of the images that reach furthest into sectors of ``directions``
        ``(s, k)``; of equals the first.
        """
        none: frozenset[int] = frozenset()
        return np.array([self.into(towards, none) for towards in directions], dtype=np.int64)

    def into(self, directions: np.ndarray, taken: Set[int]) -> int:
        """The position of the image that reaches furthest into a sector of ``directions`` ``(k,)``,
        and is not ``taken``; of equals the first. One must be left.
        """
        n = len(self._coordinates)
        m = min(_FIRST, n)
        while True:
            _, near = self._tree.query(self._far * directions, m, p=np.inf)
            near = np.sort(np.atleast_1d(near))
            reach = reach_of(self._coordinates[near], directions)
            free = np.array([position not in taken for position in near.tolist()])
            if free.any():
                best = reach[free].max()
                # Beyond these none reaches as far, rounding of the distance included.
                if m == n or best > reach.min() + _ROUNDING * self._far:
                    return int(near[free][reach[free].argmax()])
            m = min(_FIRST * m, n)
