"""Codes by the ids of their images, which links and clicks name.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from torch import Tensor

from latentmap.codes import Codes, find_ids
from latentmap.errors import ExplorerError


class CodesById:
    """Codes that are found by the id of an image."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def of(self, name: str) -> Tensor | None:
        """The code ``(d,)``, float64, of the image that is called so; None where there is none."""
        row = self.row_of(name)
        return None if row is None else self.codes.read(row, row + 1)[0].double()

    def require(self, name: str) -> Tensor:
        """The same, of an image that has to be there.

        Raises:
            ExplorerError: it is not.
        """
        code = self.of(name)
        if code is None:
            raise ExplorerError(
                f"none of the {len(self):,} images is called {name[:200]!r}: choose one of them"
            )
        return code

    def row_of(self, name: str) -> int | None:
        """The row of the image that is called so; None where there is none."""
        return self._rows.get(name)

    def rows_of(self, names: np.ndarray) -> np.ndarray:
        """The rows of the images that are called so ``(m,)``, -1 where there is none."""
        return find_ids(self.codes.ids, names)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.codes.ids.tolist())}
