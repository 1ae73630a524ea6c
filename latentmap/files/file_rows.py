"""Rows of numbers that lie in a file one after the other, read where they are wanted.

Shapes: ``n`` rows, each of any shape.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

_STEP = 1 << 24  # Bytes that are read at once.
_GAP = 1 << 16  # Bytes between two rows that are read rather than passed over.


class FileRows:
    """The rows of an array ``(n, ...)`` that begins at ``offset`` of an open file; the file stays
    open with this.

    They are not mapped into memory, where their pages would count as memory of the process, and
    where a file that somebody shortens would end it.
    """

    def __init__(
        self, descriptor: int, dtype: np.dtype[Any], shape: Sequence[int], offset: int = 0
    ) -> None:
        self._descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self._descriptor)
        self.dtype, self.shape, self._offset = dtype, tuple(shape), offset
        self._row = math.prod(self.shape[1:]) * dtype.itemsize
        self._state = self._look()

    def __getitem__(self, index: Any, /) -> np.ndarray:
        """Rows of a slice without steps, or at positions ``(k,)`` in any order.

        Raises:
            ValueError: the file was written to since it was opened.
            OSError: it cannot be read.
        """
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.shape[0])
            return self._read(start, max(start, stop))
        positions = np.asarray(index)
        order = np.argsort(positions, kind="stable")
        rising = positions[order]
        gap, step = max(1, _GAP // max(1, self._row)), max(1, _STEP // max(1, self._row))
        apart = (np.diff(rising) > gap) | (np.diff(rising // step) != 0)
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for part in np.split(np.arange(len(rising)), np.flatnonzero(apart) + 1):
            if len(part):
                first, last = int(rising[part[0]]), int(rising[part[-1]])
                found[order[part]] = self._read(first, last + 1)[rising[part] - first]
        return found

    def _read(self, start: int, stop: int) -> np.ndarray:
        if self._look() != self._state:
            raise ValueError("it was written to since it was opened")
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        rest, place = rows.reshape(-1).view(np.uint8).data, self._offset + start * self._row
        while rest:
            count = os.preadv(self._descriptor, [rest], place)
            if not count:
                raise ValueError("it is cut off")
            rest, place = rest[count:], place + count
        return rows

    def _look(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns
