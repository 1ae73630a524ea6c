"""The means of channels over positions, as codes: what few numbers say of spatial codes.

Shapes: ``n`` images, ``c`` channels, ``d`` latent variables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from latentmap.codes.channels import by_position, channels_of
from latentmap.codes.codes import Codes, Rows, Space

_KIND = "channel means"
_NUMBERS = 1 << 22  # Of codes in memory at a time.


def channel_space(space: Space) -> Space:
    """The space of the means of channels over positions, of kind ``channel means``, which has no
    prior; a space of vectors is its own.

    Example:
        >>> str(channel_space(Space("z", 128, "tiny", "0" * 64, (32, 2, 2))))
        'channel means of tiny (32-d, 000000000000)'
    """
    if len(space.shape) == 1:
        return space
    channels, _ = channels_of(space.shape)
    return Space(_KIND, channels, space.model, space.fingerprint)


def channel_means(codes: Codes) -> Codes:
    """Codes with one number for each channel of theirs: its mean over positions. They are read when
    they are asked for. Codes that are vectors are their own.
    """
    if len(codes.space.shape) == 1:
        return codes
    rows = _MeanRows(codes.rows, codes.space.shape)
    return replace(codes, rows=rows, space=channel_space(codes.space))


@dataclass(frozen=True, eq=False)
class _MeanRows:
    """The means of channels of the rows of codes of some shape."""

    rows: Rows
    codes_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.shape[0], channels_of(self.codes_shape)[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        size = self._size
        parts = [
            self._means(self.rows.read(first, min(first + size, stop)))
            for first in range(start, stop, size)
        ]
        return self._joined(parts)

    def take(self, index: np.ndarray) -> np.ndarray:
        size = self._size
        parts = [
            self._means(self.rows.take(index[first : first + size]))
            for first in range(0, len(index), size)
        ]
        return self._joined(parts)

    @property
    def _size(self) -> int:
        """How many rows are in memory at a time."""
        return max(1, _NUMBERS // self.rows.shape[1])

    def _means(self, rows: np.ndarray) -> np.ndarray:
        codes = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        return np.asarray(by_position(codes, self.codes_shape).double().mean(1).float().numpy())

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        none = np.empty((0, self.shape[1]), dtype=np.float32)
        return np.concatenate(parts) if parts else none
