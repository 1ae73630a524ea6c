"""Pairs of patches and cells: what a fit over the cells of grids sees of the pairs of codes.

A row is a cell of an image, image after image. Rows are made when they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from latentmap.codes import Codes, Pairs, Rows
from latentmap.mapping.cells import cell_rows, patch_rows
from latentmap.mapping.patches import Patches


@dataclass(frozen=True, eq=False)
class CellRows:
    """The rows ``(n cells, d)`` that ``cut`` makes of codes ``(n, c h w)``."""

    rows: Rows
    cut: Callable[[torch.Tensor, Patches], torch.Tensor]
    patches: Patches
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.shape[0] * self.patches.cells, self.dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Some of them, ``(stop - start, d)``."""
        cells = self.patches.cells
        first, last = start // cells, -(-stop // cells)
        made = self._cut(self.rows.read(first, last))
        return made[start - first * cells : stop - first * cells]

    def take(self, index: np.ndarray) -> np.ndarray:
        """Those at the positions ``index`` ``(k,)``, ``(k, d)``."""
        images, place = np.unique(index // self.patches.cells, return_inverse=True)
        made = self._cut(self.rows.take(images))
        found: np.ndarray = made[place * self.patches.cells + index % self.patches.cells]
        return found

    def _cut(self, rows: np.ndarray) -> np.ndarray:
        codes = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        return self.cut(codes, self.patches).numpy()


def cell_pairs(pairs: Pairs, patches: Patches) -> Pairs:
    """The pairs of patches ``(n cells, p)`` and cells ``(n cells, q)`` of some pairs of grids.

    They have neither ids nor digests: a row is known by its position.
    """
    return Pairs(
        _in_cells(pairs.source, patch_rows, patches, patches.p),
        _in_cells(pairs.target, cell_rows, patches, patches.q),
    )


def _in_cells(
    codes: Codes,
    cut: Callable[[torch.Tensor, Patches], torch.Tensor],
    patches: Patches,
    dim: int,
) -> Codes:
    rows = CellRows(codes.rows, cut, patches, dim)
    n = rows.shape[0]
    # Of no memory, however many cells there are.
    nameless = np.broadcast_to(np.array("", dtype=np.str_), (n,))
    unknown = np.broadcast_to(np.zeros(16, dtype=np.uint8), (n, 16))
    space = replace(codes.space, dim=dim, shape=())
    return replace(codes, ids=nameless, rows=rows, space=space, digests=unknown)
