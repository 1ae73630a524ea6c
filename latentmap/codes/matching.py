"""What is the same: ids that are equal, and images of one content, among many.

Numbers of eight bytes sort many times as fast as texts, and as what they stand for: ids are told by
a key of theirs, and where two have one key, by themselves.

Shapes: ``n`` images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 1 << 14  # Ids at a time, which stay in the processor's cache.


@dataclass(frozen=True, eq=False)
class IdIndex:
    """The ids ``(n,)`` of some images, sorted so that they are found again.

    ``keys`` ``(n,)`` are sorted numbers of them, and ``order`` ``(n,)`` says of which ids. Where
    two different ids have one key, the ids themselves are the keys.
    """

    ids: np.ndarray
    order: np.ndarray
    keys: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray) -> IdIndex:
        """The index of some ids, text."""
        keys = id_keys(ids)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        same = np.flatnonzero(keys[1:] == keys[:-1])
        if (ids[order[same]] != ids[order[same + 1]]).any():
            return cls._by_ids(ids)
        return cls(ids, order, keys)

    @classmethod
    def _by_ids(cls, ids: np.ndarray) -> IdIndex:
        order = np.argsort(ids, kind="stable")
        return cls(ids, order, ids[order])

    def repeated(self) -> np.ndarray:
        """The ids that stand several times, each once."""
        same = np.flatnonzero(self.keys[1:] == self.keys[:-1])
        return np.unique(self.ids[self.order[same]])

    def find(self, wanted: IdIndex) -> np.ndarray:
        """The first position of each of the ``wanted`` ids, -1 where it is not there, ``(m,)``."""
        if not len(self.ids):
            return np.full(len(wanted.ids), -1)
        if self.keys.dtype.kind != wanted.keys.dtype.kind:
            return self._by_ids(self.ids).find(self._by_ids(wanted.ids))
        # Looked up in order, what is read next is near what was read before.
        place = np.minimum(np.searchsorted(self.keys, wanted.keys), len(self.keys) - 1)
        found = np.flatnonzero(self.keys[place] == wanted.keys)
        positions = np.full(len(wanted.ids), -1)
        positions[wanted.order[found]] = self.order[place[found]]
        for start in range(0, len(positions), _BLOCK):
            block = positions[start : start + _BLOCK]
            # No other id here has this key.
            block[self.ids[block] != wanted.ids[start : start + _BLOCK]] = -1
        return positions


def find_ids(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The first position among ``ids`` ``(n,)`` of each of the ``wanted`` ``(m,)``, -1 where it is
    not there, ``(m,)``.

    Example:
        >>> find_ids(np.array(["a", "b", "c"]), np.array(["c", "x", "a"])).tolist()
        [2, -1, 0]
    """
    return IdIndex.of(ids).find(IdIndex.of(wanted))


def id_keys(ids: np.ndarray) -> np.ndarray:
    """A number of each id, ``(n,)`` uint64, by its letters alone: the sum of these, each times a
    random number of its place, modulo ``2^64``.
    """
    longest = ids.dtype.itemsize // np.dtype(np.uint32).itemsize
    letters = np.ascontiguousarray(ids).view(np.uint32).reshape(len(ids), longest)
    generator = np.random.default_rng(0)
    # Odd, so that no letter is lost; those of absent letters, which are 0, do not count.
    factors = generator.integers(0, 2**64, longest, np.uint64) | np.uint64(1)
    keys = np.empty(len(ids), np.uint64)
    for start in range(0, len(ids), _BLOCK):
        keys[start : start + _BLOCK] = letters[start : start + _BLOCK].astype(np.uint64) @ factors
    return keys


def first_of_content(digests: np.ndarray) -> np.ndarray:
    """The first position of the content of each image, ``(n,)``; what is not known is only itself.

    Example:
        >>> digests = np.array([7, 0, 7, 0], np.uint8)[:, None].repeat(16, 1)
        >>> first_of_content(digests).tolist()
        [0, 1, 0, 3]
    """
    halves = np.ascontiguousarray(digests).view(np.uint64)
    first = np.arange(len(halves))
    known = np.flatnonzero(halves.any(axis=1))
    order = known[np.argsort(halves[known, 0], kind="stable")]
    heads = halves[order, 0]
    same = heads[1:] == heads[:-1]
    if not same.any():
        return first
    alike = np.zeros(len(order), dtype=bool)
    alike[1:] |= same
    alike[:-1] |= same
    rows = np.sort(order[alike])
    # Stable, so that of one content the first comes first.
    rows = rows[np.lexsort(halves[rows].T)]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (halves[rows[1:]] != halves[rows[:-1]]).any(axis=1)
    first[rows] = rows[new][np.cumsum(new) - 1]
    return first


def is_known(digests: np.ndarray) -> np.ndarray:
    """Which digests ``(n, 16)`` tell the content of an image: all but zeros, ``(n,)``."""
    return np.asarray(np.ascontiguousarray(digests).view(np.uint64).any(axis=1))
