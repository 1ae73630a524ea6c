"""Solution: what the solving of a method gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments, Spectrum


class NotConverged(MapError):
    """There is no solution with these settings; where they are candidates, others are chosen."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved map.

    ``weight`` ``(p, q)``, ``bias`` ``(q,)``; ``rank`` is the number of directions of the source
    codes that the map uses, and ``condition`` the ratio of the largest to the smallest singular
    value of what was inverted along them (1 when nothing was). ``figures`` are what else the method
    found, such as a scale. ``moments`` are those of the pairs about their means as the map weighs
    them, where it does not take all alike.
    """

    weight: Tensor
    bias: Tensor
    rank: int
    condition: float
    figures: Mapping[str, float] = field(default_factory=dict)
    moments: Moments | None = None


def affine(
    moments: Moments, weight: Tensor, *, rank: int, condition: float = 1.0, **figures: float
) -> Solution:
    """The map of a weight whose bias carries the mean of the source to that of the target."""
    return Solution(weight, moments.mean_y - moments.mean_x @ weight, rank, condition, figures)


def condition_of(values: Tensor) -> float:
    """The ratio of the largest to the smallest singular value, from eigenvalues, largest first."""
    return float((values[0] / values[-1]).sqrt()) if len(values) else 1.0


def require_penalty(penalty: float) -> None:
    """Refuses a penalty below zero, infinite or NaN.

    Raises:
        MapError: it is one of these.
    """
    # NaN fails the comparison, so it is refused as well.
    if not 0 <= penalty < float("inf"):
        raise MapError(f"a penalty must be a number of at least 0, not {penalty:g}")


def require_size(size: int, limit: int, what: str) -> None:
    """Refuses a rank or a number of components that cannot be.

    Raises:
        MapError: it is below 1 or above ``limit``.
    """
    if not 1 <= size <= limit:
        raise MapError(f"{what} must be from 1 to {limit} for these codes, not {size}")


def inverse_root(spectrum: Spectrum, penalty: float = 0.0) -> Tensor:
    """``(G + penalty I)^-1/2`` along the directions of a spectrum, ``(p, r)``."""
    return spectrum.directions / (spectrum.values + penalty).sqrt()


def root(spectrum: Spectrum, penalty: float = 0.0) -> Tensor:
    """``(G + penalty I)^1/2`` along the directions of a spectrum, ``(r, p)``."""
    return (spectrum.directions * (spectrum.values + penalty).sqrt()).T
