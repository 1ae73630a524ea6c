"""Fits and scores from the moments of parts: for data sets that no machine holds alone.

Of codes alone: whatever is decoded, is decoded from some of the images by ``evaluate``. Shapes:
``q`` target variables, ``u`` parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from latentmap.cache.manifest import Manifest
from latentmap.images import Split
from latentmap.intervals import Estimate, defined, resample_sums, shares
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.fit_moments import Fitted, fit_moments
from latentmap.mapping.held_out_error import HeldOutError, psnr_of
from latentmap.mapping.map_checks import UNKEPT
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.patches import Patches
from latentmap.progress import Progress
from latentmap.relocation.part_moments import Joint, PartMoments
from latentmap.report import Shown, Table

_NAMED = 1000  # Images that could not be read, in the record of a map.


@dataclass(frozen=True, eq=False)
class PartScores(Shown):
    """What a map loses of the codes of ``n_test`` images that it was not fitted on: ``l_mse`` and
    ``r2`` as ``Scores`` has them, all images together and for each variable ``(q,)``; of a map of
    patches the R2 is that of cells. Intervals are over ``n_parts`` runs of images, as large as one
    another, so that images which follow each other need not be independent.
    """

    r2: Estimate
    l_mse: Estimate
    psnr: Estimate
    n_pairs: int
    n_test: int
    n_parts: int
    of_cells: bool
    l_mse_per_variable: np.ndarray
    r2_per_variable: np.ndarray
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def held_out(self) -> HeldOutError:
        """What is kept of them in the file of the map."""
        return HeldOutError(self.r2, self.l_mse, self.psnr, self.n_test, self.n_parts)

    def tables(self) -> list[Table]:
        from latentmap.relocation.tables import part_scores_table

        return [part_scores_table(self)]

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``; None where one is not defined."""
        return {
            **self.r2.to_json("r2_cells" if self.of_cells else "r2"),
            **self.l_mse.to_json("l_mse"),
            **self.psnr.to_json("psnr"),
            "n_pairs": self.n_pairs,
            "n_test": self.n_test,
            "n_parts": self.n_parts,
            "l_mse_per_variable": [defined(value) for value in self.l_mse_per_variable],
            "r2_per_variable": [defined(value) for value in self.r2_per_variable],
            "record": dict(self.record),
        }


def fit_parts(
    moments: PartMoments,
    manifests: Sequence[Manifest],
    options: FitOptions | None = None,
    *,
    split: Split = "train",
    patches: Patches | None = None,
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The map from the codes in one entry to those in another, from the moments of their parts; by
    default ridge, its penalty chosen by generalised cross-validation, see ``fit_moments``.

    ``manifests`` are those of the two entries; ``references`` are how the models are called, these
    and ``record`` go into the map as they are.

    Raises:
        PairError: the split has no images.
        MapError: as ``fit_moments`` raises it.
    """
    source, target = manifests
    parts = [_pair(one) for one in moments.all(split)]
    cells = patches.cells if patches else 1
    skipped = {skip.id for manifest in manifests for skip in manifest.skipped}
    fitted = Fitted(
        source.space,
        target.space,
        source.frame,
        target.frame,
        round(sum(part.n for part in parts) / cells),
        source.key.data,
        moments.digests,
        moments.sample,
        patches,
    )
    made = {
        "split": split,
        "precision": source.key.precision,
        "parts": len(moments.task),
        "fit_skipped": sorted(skipped)[:_NAMED],
        "n_skipped": len(skipped),
        **({} if len(moments.digests) else {UNKEPT: True}),
        **(record or {}),
    }
    linear_map = fit_moments(parts, fitted, options, record=made, progress=progress)
    return replace(linear_map, source_reference=references[0], target_reference=references[1])


def score_parts(
    linear_map: LinearMap,
    moments: PartMoments,
    *,
    split: Split = "test",
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> PartScores:
    """What a map loses of the codes of a split, from the moments of the parts.

    Raises:
        PairError: the split has no images.
    """
    (every,) = (_pair(one) for one in moments.all(split))
    weight, bias, q = linear_map.weight, linear_map.bias, every.q
    sums, sizes = [], []
    for part in map(_pair, moments.by_part(split)):
        away = part.mean_y - every.mean_y
        varies = part.squares_y + part.n * away.square()
        sums.append([float(part.squared_error(weight, bias).sum()) / q, float(varies.sum()) / q])
        sizes.append(part.n)
    missed = every.squared_error(weight, bias)
    # The mean of these images is nearer to them than that of all of their kind.
    raised = every.n / (every.n - 1) if every.n > 1 else math.nan
    spread = raised * every.squares_y
    found = resample_sums(np.array(sums).T, np.array(sizes), seed=seed)
    errors, variances = found.means.T
    l_mse = found.estimate(errors)
    constant = every.squares_y <= every.n * (torch.finfo(torch.float32).eps * every.mean_y).square()
    cells = linear_map.patches.cells if linear_map.patches else 1
    return PartScores(
        r2=found.estimate(1 - shares(errors, raised * variances)),
        l_mse=l_mse,
        psnr=psnr_of(l_mse, linear_map.target),
        n_pairs=linear_map.n_pairs,
        n_test=round(every.n / cells),
        n_parts=len(sizes),
        of_cells=linear_map.patches is not None,
        l_mse_per_variable=(missed / every.n).numpy(),
        r2_per_variable=torch.where(constant, torch.nan, 1 - missed / spread).numpy(),
        record={
            **linear_map.record,
            "scored_split": split,
            "score_seed": seed,
            "n_left_out": moments.left_out,
            **(record or {}),
        },
    )


def _pair(joint: Joint) -> Moments:
    """The moments of the pairs of the first two spaces."""
    return joint.between(0, 1) if isinstance(joint, JointMoments) else joint
