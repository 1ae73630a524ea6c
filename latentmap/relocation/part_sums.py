"""PartSums: the sums of the codes of some images in several spaces, as a file holds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from latentmap.codes import Space
from latentmap.errors import MapError
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.norm_moments import NormMoments
from latentmap.mapping.patch_sums import PatchSums
from latentmap.mapping.patches import patches_between
from latentmap.relocation.part_task import PartTask


class PartSums:
    """Sums of one kind of images of a task."""

    def __init__(self, spaces: Sequence[Space], task: PartTask) -> None:
        self._spaces = spaces
        self._sums: MomentSums | PatchSums
        if task.patch is None:
            self._sums = MomentSums([space.dim for space in spaces], precision=task.precision)
        else:
            patches = patches_between(spaces[0], spaces[1], task.patch)
            assert patches is not None, "a patch of so many cells"
            self._sums = PatchSums(patches, precision=task.precision)
        # About the mean of the first codes, as the sums are.
        self._with_norms = task.norms
        self._norms: NormMoments | None = None
        self._shift = self._away = torch.zeros(0, dtype=torch.float64)

    def update(self, rows: Sequence[torch.Tensor], ids: np.ndarray) -> None:
        """Adds the codes ``(k, d)`` of images with these ``ids`` ``(k,)`` in each space.

        Raises:
            MapError: a code is not finite: its image is named.
        """
        try:
            if isinstance(self._sums, PatchSums):
                self._sums.update(*rows)
            else:
                self._sums.update(rows)
                if self._with_norms:
                    self._add_norms(rows)
        except MapError as error:
            for space, part in zip(self._spaces, rows, strict=True):
                bad = (~torch.isfinite(part).all(1)).nonzero()
                if len(bad):
                    raise MapError(
                        f"every code must be finite, but the code of {ids[int(bad[0])]} in {space} "
                        "has NaN or infinite values: encode that image again, or leave it out"
                    ) from error
            raise

    def _add_norms(self, rows: Sequence[torch.Tensor]) -> None:
        joined = torch.cat([part.double() for part in rows], 1)
        if self._norms is None:
            self._shift = joined.mean(0)
            self._away = torch.zeros_like(self._shift)
        more = NormMoments.of(rows, self._shift)
        self._norms = more if self._norms is None else self._norms.add(more)
        self._away = self._away + (joined - self._shift).sum(0)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a file holds of them."""
        moments = self._sums.moments()
        if self._norms is None or not isinstance(moments, JointMoments):
            return moments.tensors()
        about_mean = self._norms.about(moments.mean, moments, self._away)
        return {**moments.tensors(), **about_mean.tensors()}
