"""Measuring the information gain of variables on images.

Shapes: ``n`` images, ``d`` latent variables of ``c`` channels, which are the variables themselves
where codes are vectors; images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from latentmap.codes import Codes
from latentmap.codes.channels import channel_numbers
from latentmap.diagnostics.gain import image_errors
from latentmap.images import ImageSource
from latentmap.model import Model
from latentmap.model.late_check import LateCheck
from latentmap.progress import Progress
from latentmap.transfers import Arriving, a_batch_late, floats_on

# From rows and columns (k,) of what is measured to which variables are left out there (k, d).
Members = Callable[[np.ndarray, np.ndarray], np.ndarray]
_BATCH = 64  # The decoders' inner images are what fills the memory.


class Meter:
    """Measures gains, and counts the decodes that they cost. What is left out is a channel, at all
    its positions.
    """

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
        self._channels = channel_numbers(model.latent_shape)
        self._most = int(self._channels.max()) + 1
        # What each row's own code misses, once it is known.
        self._base = np.full(len(positions), np.nan)
        self.batch_size = _BATCH
        self.progress: Progress | None = None
        self.decodes = 0

    def __call__(
        self, rows: np.ndarray, variables: np.ndarray, wanted: np.ndarray | None = None
    ) -> np.ndarray:
        """The gains ``(m, k)`` of some channels ``(k,)`` on some rows ``(m,)`` of the codes: all,
        or where they are ``wanted`` ``(m, k)``, and NaN elsewhere.
        """
        if wanted is None:
            wanted = np.ones((len(rows), len(variables)), dtype=bool)

        def members(row: np.ndarray, column: np.ndarray) -> np.ndarray:
            return np.asarray(variables[column][:, None] == self._channels)

        return self._measure(rows, wanted, members)

    def joint(self, rows: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
        """The gains ``(m, count)`` of groups of channels that are left out together, on some rows
        ``(m,)``: ``groups`` ``(m, c)`` are the numbers of the channels' groups on each, -1 where
        they are in none.
        """

        def members(row: np.ndarray, column: np.ndarray) -> np.ndarray:
            return np.asarray(groups[row] == column[:, None])[:, self._channels]

        return self._measure(rows, np.ones((len(rows), count), dtype=bool), members)

    def _measure(self, rows: np.ndarray, wanted: np.ndarray, members: Members) -> np.ndarray:
        """The gains ``(m, k)`` where they are ``wanted``; ``members`` says of what."""
        gains = np.full(wanted.shape, np.nan)
        asked = np.flatnonzero(wanted.any(axis=1))
        if not len(asked):
            return gains
        # Archives and disks are read in order.
        asked = asked[np.argsort(self._positions[rows[asked]])]
        mine = rows[asked]
        chosen = self._images.subset(self._positions[mine])
        codes = torch.from_numpy(np.array(self._codes.rows.take(mine)))
        # At most: the race may end, or variables leave, at the next look.
        left = int(np.isnan(self._base).sum()) * (self._most + 1) + int(wanted.sum())
        total = self.decodes + left
        for batch in chosen.batches([self._model.view], batch_size=self.batch_size):
            part = slice(batch.start, batch.stop)
            image, column = np.nonzero(wanted[asked[part]])
            row = asked[part][image]
            seen = floats_on(batch.images[0], self._model.device)
            errors = _Errors(self._model, seen, chosen.ids[part])
            # Of a row's own code once, whatever is left out of it later.
            new = np.flatnonzero(np.isnan(self._base[mine[part]]))
            z = codes[part]
            base = errors.launch(new, z[new]) if len(new) else None

            def which(
                some: slice, row: np.ndarray = row, column: np.ndarray = column
            ) -> np.ndarray:
                return members(row[some], column[some])

            for some, found in a_batch_late(self._left_out(errors, image, z, which)):
                gains[row[some], column[some]] = found.wait().numpy()
                if self.progress is not None:
                    self.progress(self.decodes + errors.decodes, total)
            errors.check()
            self.decodes += errors.decodes
            if base is not None:
                self._base[mine[part][new]] = base.wait().numpy()
            gains[row, column] -= self._base[mine[part]][image]
        return gains

    def _left_out(
        self,
        errors: _Errors,
        image: np.ndarray,
        z: torch.Tensor,
        which: Callable[[slice], np.ndarray],
    ) -> Iterator[tuple[slice, Arriving]]:
        """The errors without some variables of the images ``(k,)``, part by part; ``which`` says
        without which ``(k, d)``.
        """
        # Images and variables as one list, so that every batch of decodes is full.
        for start in range(0, len(image), self.batch_size):
            some = slice(start, start + self.batch_size)
            moved = torch.where(torch.from_numpy(which(some)), self._center, z[image[some]])
            yield some, errors.launch(image[some], moved)


class _Errors:
    """Decodes codes of a batch of images, and what they miss; checked at the end."""

    def __init__(self, model: Model, seen: torch.Tensor, ids: np.ndarray) -> None:
        self._model, self._seen, self._ids = model, seen, ids
        self._checks: list[tuple[LateCheck, np.ndarray]] = []
        self.decodes = 0

    def launch(self, image: np.ndarray, codes: torch.Tensor) -> Arriving:
        """The errors of some codes ``(k, d)`` for the images at ``image`` ``(k,)``."""
        self.decodes += len(codes)
        images, check = self._model.launch(codes)
        self._checks.append((check, self._ids[image]))
        shown = self._seen[torch.from_numpy(image).to(self._seen.device)]
        return Arriving(image_errors(lambda _: images, shown, codes))

    def check(self) -> None:
        """Refuses images that no model should have made; see ``Model.launch``."""
        for check, names in self._checks:
            check.require(names)
