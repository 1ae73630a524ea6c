"""Covering: codes of some images out of the entries that hold them among others, by content.

Shapes: ``n`` images, ``d`` latent variables, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentmap.codes import Codes, is_known
from latentmap.codes.codes import SelectedRows

# Slots of the table that most images of other data do not pass, for each wanted one.
_SLOTS = 16


class Wanted:
    """The contents of some images ``(n, 16)``, of which ``missing`` ``(n,)`` are still looked for.

    What is not known of an image (zeros) is never found.
    """

    def __init__(self, digests: np.ndarray) -> None:
        self.missing = np.ones(len(digests), np.bool_)
        self._digests = digests
        self._known = is_known(digests)
        heads = _heads(digests)
        self._order = np.argsort(heads, kind="stable")
        self._sorted = heads[self._order]
        # A power of two above what is wanted: a look into it costs a tenth of a search.
        bits = max(_SLOTS * len(digests), 1).bit_length()
        self._mask = np.uint64((1 << bits) - 1)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[heads & self._mask] = True

    def any_in(self, digests: np.ndarray) -> bool:
        """Whether an image that is missing has one of these contents ``(m, 16)``."""
        return len(self._found(digests)[0]) > 0

    def take_from(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The positions of missing images with one of these contents, and the rows of these; the
        images are missing no more.
        """
        positions, rows = self._found(digests)
        self.missing[positions] = False
        return positions, rows

    def _found(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heads = _heads(digests)
        maybe = np.flatnonzero(self._table[heads & self._mask])
        # By the content that is there, once: images that are copies share a row.
        there, first = np.unique(heads[maybe], return_index=True)
        if not len(there):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.minimum(np.searchsorted(there, self._sorted), len(there) - 1)
        positions = self._order
        rows = maybe[first[place]]
        same = (digests[rows] == self._digests[positions]).all(axis=1)
        same &= self.missing[positions] & self._known[positions]
        return positions[same], rows[same]


class Held:
    """The contents that some entries hold, for a guess whether a code will have to be computed."""

    def __init__(self, digests: Iterable[np.ndarray]) -> None:
        heads = [_heads(one) for one in digests]
        self._sorted = np.sort(np.concatenate([np.empty(0, np.uint64), *heads]))

    def has(self, digests: np.ndarray) -> np.ndarray:
        """Which contents ``(k, 16)`` are among them, ``(k,)``."""
        heads = _heads(digests)
        start, stop = (np.searchsorted(self._sorted, heads, side) for side in ("left", "right"))
        return np.asarray(start < stop)


@dataclass(frozen=True, eq=False)
class Cover:
    """Where the codes of ``n`` images are: row ``rows`` ``(n,)`` of ``parts[part]`` ``(n,)``.

    ``part`` is -1 for an image that is in none.
    """

    parts: tuple[Codes, ...]
    part: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, wanted: Wanted, found: Sequence[tuple[Codes, np.ndarray, np.ndarray]]) -> Cover:
        """The cover by codes, each with the positions and rows that ``take_from`` gave for it."""
        part = np.full(len(wanted.missing), -1, np.int32)
        rows = np.zeros(len(part), np.int64)
        for number, (_, positions, index) in enumerate(found):
            part[positions] = number
            rows[positions] = index
        return cls(tuple(codes for codes, _, _ in found), part, rows)

    @property
    def missing(self) -> np.ndarray:
        """Which images have no code, as booleans ``(n,)``."""
        return np.asarray(self.part < 0)

    @property
    def complete(self) -> bool:
        """Whether all have one."""
        return bool(self.parts) and not self.missing.any()

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The codes of the images at some positions, which have one, float32 ``(k, d)``."""
        part, rows = self.part[positions], self.rows[positions]
        taken = np.empty((len(positions), self.parts[0].space.dim), np.float32)
        for number in np.unique(part):
            where = np.flatnonzero(part == number)
            # As one of a selection, so that a run of neighbours is one read.
            chosen = SelectedRows(self.parts[number].rows, rows[where])
            taken[where] = chosen.read(0, len(where))
        return taken

    def codes(self, ids: np.ndarray, digests: np.ndarray, *, data: str) -> Codes:
        """The codes of the images with these ids, digests and fingerprint, still on disk; those
        that have none are said to be skipped.
        """
        first, there = self.parts[0], ~self.missing
        held = Cover(self.parts, self.part[there], self.rows[there])
        alone = len(self.parts) == 1
        return replace(
            first,
            ids=ids[there],
            rows=SelectedRows(first.rows, held.rows) if alone else _CoveredRows(held),
            digests=digests[there],
            data=data,
            skipped=tuple(map(str, ids[~there])),
        )


@dataclass(frozen=True, eq=False)
class _CoveredRows:
    """The rows of several codes as those of one."""

    cover: Cover

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.cover.part), self.cover.parts[0].space.dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.cover.take(np.arange(len(self.cover.part))[start:stop])

    def take(self, index: np.ndarray) -> np.ndarray:
        return self.cover.take(np.arange(len(self.cover.part))[index])


def _heads(digests: np.ndarray) -> np.ndarray:
    """The first half of each digest as a number, ``(n,)``."""
    whole: np.ndarray = np.ascontiguousarray(digests[:, :8]).view("<u8")[:, 0]
    return whole
