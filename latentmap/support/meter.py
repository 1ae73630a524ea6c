"""Measuring the information gain of variables on images.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from latentmap.codes import Codes
from latentmap.diagnostics.gain import image_errors
from latentmap.images import ImageSource
from latentmap.model import Model
from latentmap.model.late_check import LateCheck
from latentmap.model.transfers import Arriving, a_batch_late, floats_on
from latentmap.progress import Progress

_BATCH = 64  # The decoders' inner images are what fills the memory.


class Meter:
    """Measures gains, and counts the decodes that they cost."""

    def __init__(
        self,
        model: Model,
        images: ImageSource,
        positions: np.ndarray,
        *,
        codes: Codes,
        center: np.ndarray,
    ) -> None:
        self._model, self._images, self._positions = model, images, positions
        self._codes = codes
        self._center = torch.from_numpy(center).float()
        self._measured = 0
        self.batch_size = _BATCH
        self.progress: Progress | None = None
        self.decodes = 0

    def __call__(self, rows: np.ndarray, variables: np.ndarray) -> np.ndarray:
        """The gains of some variables ``(k,)`` on some rows ``(m,)`` of the codes, ``(m, k)``."""
        order = np.argsort(self._positions[rows])  # Archives and disks are read in order.
        chosen = self._images.subset(self._positions[rows][order])
        codes = torch.from_numpy(np.array(self._codes.rows.take(rows[order])))
        which = torch.from_numpy(variables)
        # At most: the race may end, or variables leave, at the next look.
        left = (len(self._positions) - self._measured) * (len(variables) + 1)
        total = self.decodes + left
        gains = np.empty((len(rows), len(variables)))
        for batch in chosen.batches([self._model.view], batch_size=self.batch_size):
            seen = floats_on(batch.images[0], self._model.device)
            z = codes[batch.start : batch.stop]
            ids = chosen.ids[batch.start : batch.stop]
            gains[order[batch.start : batch.stop]] = self._of_batch(seen, z, ids, which, total)
        self._measured += len(rows)
        return gains

    def _of_batch(
        self,
        seen: torch.Tensor,
        z: torch.Tensor,
        ids: np.ndarray,
        variables: torch.Tensor,
        total: int,
    ) -> np.ndarray:
        n, k = len(seen), len(variables)
        checks: list[tuple[LateCheck, np.ndarray]] = []

        def errors(shown: torch.Tensor, codes: torch.Tensor, names: np.ndarray) -> Arriving:
            self.decodes += len(codes)
            images, check = self._model.launch(codes)
            checks.append((check, names))
            return Arriving(image_errors(lambda _: images, shown, codes))

        base = errors(seen, z, ids)
        without = torch.empty(n * k, dtype=torch.float64)

        def launched() -> Iterator[tuple[torch.Tensor, Arriving]]:
            # Images and variables as one list, so that every batch of decodes is full.
            for start in range(0, n * k, self.batch_size):
                number = torch.arange(start, min(start + self.batch_size, n * k))
                image, variable = number // k, variables[number % k]
                moved = z[image]
                moved[torch.arange(len(number)), variable] = self._center[variable]
                yield number, errors(seen[image.to(seen.device)], moved, ids[image.numpy()])
                if self.progress is not None:
                    self.progress(self.decodes, total)

        for number, found in a_batch_late(launched()):
            without[number] = found.wait()
        for check, names in checks:
            check.require(names)
        return (without.view(n, k) - base.wait()[:, None]).numpy()
