"""Observed: what a fit sees of some pairs, row by row: codes, or patches and cells of grids.

Shapes: ``n`` pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from latentmap.codes import Pairs, units_of
from latentmap.errors import MapError
from latentmap.mapping.cell_pairs import cell_pairs
from latentmap.mapping.gathering import moments_by_fold, name_bad_code
from latentmap.mapping.methods import Method
from latentmap.mapping.moment_sums import Targets
from latentmap.mapping.moments import Moments
from latentmap.mapping.options import FitOptions, MomentPrecision
from latentmap.mapping.patch_sums import PatchSums
from latentmap.mapping.patches import Patches, patches_between
from latentmap.mapping.selection import assign_folds
from latentmap.progress import Progress


@dataclass(frozen=True, eq=False)
class Observed:
    """The ``pairs`` of a fit, their ``units`` ``(n,)``, None where each pair is one, and the
    ``patches`` that a map of grids reads, None where it reads flat codes.

    What is left out together, or drawn into a fold, is never a cell of an image, but all of it.
    """

    pairs: Pairs
    units: np.ndarray | None
    patches: Patches | None

    @classmethod
    def of(
        cls, pairs: Pairs, groups: np.ndarray | None, options: FitOptions, method: Method
    ) -> Observed:
        """What a method sees of pairs of these ``groups`` ``(n,)``.

        Raises:
            MapError: the patch cannot be, or the method takes none.
        """
        units = units_of(pairs.digests, groups)
        alone = len(units) == units.max(initial=-1) + 1
        size = options.patch
        if "noise" in method.needs:
            if size not in (None, "full"):
                raise MapError(
                    f"the method {method.name} takes the noise of single variables, which patches "
                    "have not: fit with the patch full"
                )
            size = "full"
        patches = patches_between(pairs.source.space, pairs.target.space, size)
        return cls(pairs, None if alone else units, patches)

    @property
    def n_units(self) -> int | None:
        """Of how many units the pairs are; None where each is one."""
        return None if self.units is None else int(self.units.max()) + 1

    @cached_property
    def rows(self) -> Pairs:
        """The pairs, or those of all patches and cells, made when they are read."""
        return self.pairs if self.patches is None else cell_pairs(self.pairs, self.patches)

    @cached_property
    def row_units(self) -> np.ndarray | None:
        """The units of the rows; None where each row is one."""
        if self.patches is None:
            return self.units
        units = np.arange(len(self.pairs)) if self.units is None else self.units
        return np.repeat(units, self.patches.cells)

    @property
    def largest_unit(self) -> int:
        """How many rows the largest unit has."""
        pairs = 1 if self.units is None else int(np.bincount(self.units).max())
        return pairs if self.patches is None else pairs * self.patches.cells

    def folds(self, folds: int, *, seed: int) -> np.ndarray:
        """The number of a fold for each pair ``(n,)``; at most as many as there are units."""
        most = self.n_units or len(self.pairs)
        return assign_folds(len(self.pairs), folds=min(folds, most), seed=seed, groups=self.units)

    def moments_by_fold(
        self,
        folds: np.ndarray,
        *,
        targets: Targets,
        precision: MomentPrecision,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> list[Moments]:
        """The moments of the rows of each of the ``folds`` ``(n,)``, from one pass over the pairs.

        Of patches all products of the target's variables are gathered, which are few; those of
        pairs are summed on ``device``.

        Raises:
            MapError: a fold is empty, or a code is not finite: its image is named.
        """
        if self.patches is None:
            return moments_by_fold(
                self.pairs,
                folds,
                targets=targets,
                precision=precision,
                device=device,
                progress=progress,
            )
        sums = [
            PatchSums(self.patches, precision=precision)
            for _ in range(int(folds.max(initial=0)) + 1)
        ]
        for start, rows in self._blocks():
            here = folds[start : start + len(rows[0])]
            for number in np.unique(here).tolist():
                index = torch.from_numpy(np.flatnonzero(here == number))
                try:
                    sums[number].update(*(part[index] for part in rows))
                except MapError as error:
                    spaces = (self.pairs.source, self.pairs.target)
                    raise MapError(name_bad_code(spaces, start, rows) or str(error)) from error
            if progress:
                progress(start + len(here), len(self.pairs))
        return [part.moments() for part in sums]

    def _blocks(self) -> Iterator[tuple[int, tuple[torch.Tensor, torch.Tensor]]]:
        size = self.pairs.block_size
        for number, rows in enumerate(self.pairs.blocks(size)):
            yield number * size, rows
