"""Rows of codes that are mapped when they are read.

Shapes: ``n`` codes, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from latentmap.codes import Rows


@dataclass(frozen=True, eq=False)
class MappedRows:
    """The ``rows`` ``(n, p)`` of other codes, as ``apply`` maps them to ``dim`` variables."""

    rows: Rows
    apply: Callable[[torch.Tensor], torch.Tensor]
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.shape[0], self.dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Some of them, ``(stop - start, q)``."""
        return self._mapped(self.rows.read(start, stop))

    def take(self, index: np.ndarray) -> np.ndarray:
        """Those at the positions ``index`` ``(k,)``, ``(k, q)``."""
        return self._mapped(self.rows.take(index))

    def _mapped(self, rows: np.ndarray) -> np.ndarray:
        codes = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        return self.apply(codes).numpy()
