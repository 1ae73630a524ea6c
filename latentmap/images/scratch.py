"""Memory for decoded pixels that is used again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

_KEPT = 1 << 22


@dataclass
class Scratch:
    """Memory for decoded pixels that is used again: fresh pages cost a fifth of a decode.

    For one thread at a time. What is large is not kept.
    """

    _memory: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uninitialised uint8 of ``shape``, valid until the next call."""
        size = math.prod(shape)
        if size > _KEPT:
            return np.empty(shape, np.uint8)
        if size > self._memory.size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].reshape(shape)
