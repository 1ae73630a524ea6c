"""Units: what counts as one observation, a person and not the files that show him.

Images of one group, and images of one content, say the same thing several times. Whatever is drawn
at random, left out, or counted for an interval, is drawn, left out or counted unit by unit.

Shapes: ``n`` images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

import numpy as np

from latentmap.codes.matching import first_of_content


def units_of(digests: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """The unit of each image, ``(n,)`` int64 from 0 in the order in which units first stand.

    Images are of one unit where they have one known content or are of one of the ``groups``
    ``(n,)``, and where a chain of such images joins them.

    Example:
        >>> digests = np.zeros((4, 16), np.uint8)  # Not known: no image is another's copy.
        >>> units_of(digests).tolist(), units_of(digests, np.array([7, 8, 7, 9])).tolist()
        ([0, 1, 2, 3], [0, 1, 0, 2])
    """
    first = first_of_content(digests)
    if groups is None:
        return _numbered(first)
    _, named = np.unique(groups, return_inverse=True)
    of_group = _first_of_each(named)
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return _numbered(of_group)
    # Copies and groups join images to their first ones: the units are the parts of that graph.
    ends = (np.append(np.arange(len(first)), copies), np.append(of_group, first[copies]))
    return _numbered(_first_of_each(_components(ends, len(first))))


def one_of_each(units: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The positions of one random image of each unit, in order."""
    ordered = np.sort(units)
    if (ordered[1:] != ordered[:-1]).all():
        return np.arange(len(units))
    order = np.random.default_rng(seed).permutation(len(units))
    _, first = np.unique(units[order], return_index=True)
    return np.sort(order[first])


def draw_of_units(units: np.ndarray, n: int, *, seed: int = 0) -> np.ndarray:
    """The positions ``(n,)`` of random images, none twice, in order: of each of the ``units`` one
    before a second of any, so that ``n`` images are of as many units as there can be.
    """
    order = np.random.default_rng(seed).permutation(len(units))
    # How many images of its unit are before each, in that order.
    by_unit = np.argsort(units[order], kind="stable")
    _, starts, numbers = np.unique(units[order][by_unit], return_index=True, return_inverse=True)
    earlier = np.empty(len(units), dtype=np.int64)
    earlier[by_unit] = np.arange(len(units)) - starts[numbers]
    drawn: np.ndarray = np.sort(order[np.argsort(earlier, kind="stable")[:n]])
    return drawn


def contains(digests: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of ``wanted`` ``(n, 16)`` are among ``digests``; what is not known is not, ``(n,)``."""
    m = len(digests)
    return np.asarray(first_of_content(np.concatenate([digests, wanted]))[m:] < m)


def _components(ends: tuple[np.ndarray, np.ndarray], n: int) -> np.ndarray:
    """The number of the part ``(n,)`` in which each node of a graph is."""
    # Costs a tenth of a second, and few data sets have both groups and copies.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(ends[0])), ends), shape=(n, n))
    parts: np.ndarray = connected_components(edges, directed=False)[1]
    return parts


def _first_of_each(numbers: np.ndarray) -> np.ndarray:
    """The first position at which each of the ``numbers`` ``(n,)`` from 0 stands, ``(n,)``."""
    place = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.int64)
    # Of several that are written to one place, the last remains.
    place[numbers[::-1]] = np.arange(len(numbers))[::-1]
    first: np.ndarray = place[numbers]
    return first


def _numbered(first: np.ndarray) -> np.ndarray:
    """A partition by the ``first`` of each part ``(n,)``, numbered in the order of these."""
    numbers = np.cumsum(first == np.arange(len(first))) - 1
    numbered: np.ndarray = numbers[first]
    return numbered
