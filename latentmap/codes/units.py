"""Units: what counts as one observation, a person and not the files that show him.

Images of one group, and images of one content, say the same thing several times. Whatever is drawn
at random, left out, or counted for an interval, is drawn, left out or counted unit by unit.

Shapes: ``n`` images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def units_of(digests: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """The unit of each image, ``(n,)`` int64 from 0 in the order in which units first stand.

    Images are of one unit where they have one known content or are of one of the ``groups``
    ``(n,)``, and where a chain of such images joins them.

    Example:
        >>> digests = np.zeros((4, 16), np.uint8)  # Not known: no image is another's copy.
        >>> units_of(digests).tolist(), units_of(digests, np.array([7, 8, 7, 9])).tolist()
        ([0, 1, 2, 3], [0, 1, 0, 2])
    """
    contents = _contents(digests)
    if groups is None:
        return _renumbered(contents)
    _, named = np.unique(groups, return_inverse=True)
    n, n_contents = len(digests), int(contents.max(initial=-1)) + 1
    rows = np.arange(n)
    # A graph of images, contents and groups, whose components are the units.
    ends = np.concatenate([n + contents, n + n_contents + named])
    size = n + n_contents + int(named.max(initial=-1)) + 1
    edges = coo_array((np.ones(2 * n), (np.concatenate([rows, rows]), ends)), shape=(size, size))
    _, found = connected_components(edges, directed=False)
    return _renumbered(found[:n])


def one_of_each(units: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The positions of one random image of each unit, in order."""
    if len(np.unique(units)) == len(units):
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
    return np.asarray(np.isin(digest_values(wanted), digest_values(digests)) & is_known(wanted))


def is_known(digests: np.ndarray) -> np.ndarray:
    """Which digests ``(n, 16)`` tell the content of an image: all but zeros, ``(n,)``."""
    return np.asarray(digests.any(axis=1))


def _contents(digests: np.ndarray) -> np.ndarray:
    """A number for each content, ``(n,)``; what is not known has its own."""
    _, numbers = np.unique(digest_values(digests), return_inverse=True)
    unknown = ~is_known(digests)
    numbers = numbers.astype(np.int64)
    numbers[unknown] = len(digests) + np.arange(unknown.sum())
    return numbers


def _renumbered(numbers: np.ndarray) -> np.ndarray:
    """The same partition, numbered in the order in which its parts first stand."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    renumbered: np.ndarray = place[inverse]
    return renumbered


def digest_values(digests: np.ndarray) -> np.ndarray:
    """Each digest as one value, ``(n,)``."""
    whole: np.ndarray = np.ascontiguousarray(digests).view(np.dtype((np.void, 16)))[:, 0]
    return whole
