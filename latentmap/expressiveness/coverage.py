"""Coverage: how much of the real images a generator makes, and how much of what it makes is real.

Measured on codes of one encoder, so that no weights have to be downloaded. Shapes: ``n`` real and
``m`` generated images, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.intervals import Estimate, mean_estimate

FIGURES = ("precision", "recall", "density", "coverage")
_OF_REAL = ("recall", "coverage")  # Shares of the real images.
# Images that the published numbers of neighbours need.
FEWEST = 6
_NUMBERS = 2**24  # Distances at a time: 128 MB.


@dataclass(frozen=True)
class Coverage:
    """Four figures of a generator, each with its 95 % interval.

    A ball around an image reaches to its k-th nearest neighbour of its own kind. ``precision`` is
    the share of generated images in a ball of a real one, ``recall`` the share of real images in a
    ball of a generated one (Kynkäänniemi et al. 2019). ``density`` is how many balls of real images
    a generated one lies in, over k, and ``coverage`` the share of real images with a generated one
    in their ball (Naeem et al. 2020). A perfect generator has a density of 1 and, with as many
    images, a coverage of about 1 - 2^-k.

    Intervals are of the images that are counted; the balls are held fixed.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    n_real: int
    n_generated: int
    record: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``."""
        result: dict[str, Any] = {"n_real": self.n_real, "n_generated": self.n_generated}
        for name in FIGURES:
            result |= getattr(self, name).to_json(name)
        return {**result, "record": dict(self.record)}


def measure_coverage(
    real: Tensor,
    generated: Tensor,
    *,
    k: int = 3,
    k_density: int = 5,
    units: np.ndarray | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> Coverage:
    """The four figures of codes ``(n, d)`` of real and ``(m, d)`` of generated images.

    Precision and recall take the ``k``-th neighbour, density and coverage the ``k_density``-th, as
    published. Distances are Euclidean, in float64; memory holds a block of them. The real images
    are of some ``units`` ``(n,)``, without which each is one; none should be another's copy.

    Example:
        >>> codes = torch.eye(8)
        >>> measure_coverage(codes, codes, seed=0).precision.value
        1.0

    Raises:
        ModelError: the codes have different sizes, or are too few for so many neighbours.
    """
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ModelError(
            "coverage compares codes (n, d) and (m, d) of one encoder, not "
            f"{tuple(real.shape)} and {tuple(generated.shape)}"
        )
    fewest, most = min(len(real), len(generated)), max(k, k_density)
    if min(k, k_density) < 1 or fewest <= most:
        raise ModelError(
            f"coverage by {k} and {k_density} neighbours takes at least {max(most, 1) + 1} images "
            f"of each kind and at least 1 neighbour, not {fewest} images: take more images"
        )
    shares = _shares(real.double(), generated.double(), k, k_density)
    return Coverage(
        **{
            name: mean_estimate(
                share.double().numpy(), units if name in _OF_REAL else None, seed=seed
            )
            for name, share in shares.items()
        },
        n_real=len(real),
        n_generated=len(generated),
        record={"k": k, "k_density": k_density, **(record or {})},
    )


def _shares(real: Tensor, generated: Tensor, k: int, k_density: int) -> dict[str, Tensor]:
    """What each image contributes to the figures, by name."""
    real_radii, wide_radii = _radii(real, (k, k_density))
    (generated_radii,) = _radii(generated, (k,))
    in_real, in_wide, covered, recalled = [], [], [], []
    for rows in generated.split(max(1, _NUMBERS // len(real))):
        distances = torch.cdist(rows, real, compute_mode="donot_use_mm_for_euclid_dist")
        in_real.append((distances <= real_radii).any(1))
        in_wide.append((distances <= wide_radii).sum(1))
    for rows, radii in zip(
        *(part.split(max(1, _NUMBERS // len(generated))) for part in (real, wide_radii)),
        strict=True,
    ):
        distances = torch.cdist(rows, generated, compute_mode="donot_use_mm_for_euclid_dist")
        covered.append((distances <= radii[:, None]).any(1))
        recalled.append((distances <= generated_radii).any(1))
    return {
        "precision": torch.cat(in_real),
        "recall": torch.cat(recalled),
        "density": torch.cat(in_wide).double() / k_density,
        "coverage": torch.cat(covered),
    }


def _radii(codes: Tensor, neighbours: tuple[int, ...]) -> list[Tensor]:
    """The distance of every code from its k-th nearest other one, ``(n,)`` for each k."""
    parts = []
    for rows in codes.split(max(1, _NUMBERS // len(codes))):
        distances = torch.cdist(rows, codes, compute_mode="donot_use_mm_for_euclid_dist")
        # The nearest is the code itself.
        nearest = distances.topk(max(neighbours) + 1, largest=False).values
        parts.append(nearest[:, list(neighbours)])
    return list(torch.cat(parts).unbind(1))
