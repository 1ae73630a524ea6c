"""Distances: how far each of some source codes is from those that a map was fitted on, by image.

Shapes: ``n`` images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.errors import MapError
from latentmap.intervals import defined
from latentmap.mapping import LinearMap, Typicality, typicality
from latentmap.mapping.typicality import INSIDE
from latentmap.report.words import in_percent

HELD = in_percent(INSIDE)


@dataclass(frozen=True, eq=False)
class Distances:
    """How far the source codes of the images ``ids`` ``(n,)`` are from those of the fit: ``found``,
    see ``typicality``; None where the ``reason`` says why that is not known.

    Where they are known, but not the limit within which 99 % of codes like those of the fit are,
    the ``reason`` is that of the limit.
    """

    ids: np.ndarray
    found: Typicality | None
    reason: str = ""

    @property
    def outside(self) -> np.ndarray | None:
        """Which codes are beyond the limit, ``(n,)`` of 0 and 1; None where that is not known."""
        return None if self.found is None or self.reason else self.found.outside

    def to_json(self) -> dict[str, Any]:
        """The limit, what it comes from, and image by image the distance, the share of the fitted
        codes that are nearer, and whether it is outside; None where not known.
        """
        found, outside = self.found, self.outside
        images = None
        if found is not None:
            images = [
                {
                    "id": str(name),
                    "distance": defined(distance),
                    "nearer": defined(nearer),
                    "outside": None if outside is None else bool(outside[row]),
                }
                for row, (name, distance, nearer) in enumerate(
                    zip(self.ids, found.distances, found.nearer, strict=True)
                )
            ]
        return {
            "limit": None if found is None else defined(found.limit),
            "rule": None if found is None else found.rule,
            "reason": self.reason or None,
            "images": images,
        }


def distances_of(linear_map: LinearMap, codes: Codes) -> Distances:
    """How far source ``codes`` ``(n, p)`` are from those of the fit.

    Raises:
        SpaceError: the codes are of another space than the map's source.
    """
    try:
        found = typicality(linear_map, codes)
    except MapError as error:
        return Distances(codes.ids, None, str(error))
    reason = ""
    if not math.isfinite(found.limit):
        reason = f"{linear_map.n_pairs:,} pairs are too few to say where {HELD} of their kind are"
    return Distances(codes.ids, found, reason)


def distances_in_words(distances: Distances) -> str:
    """How many of the codes are outside."""
    outside = distances.outside
    if outside is None:
        return not_known(distances.reason)
    return (
        f"{int(outside.sum()):,} of {len(outside):,} source codes are farther out than {HELD} of "
        "codes like those of the fit"
    )


def not_known(reason: str) -> str:
    """What is said where nobody knows."""
    return f"whether these source codes are like those of the fit is not known: {reason}"


def shares_in_words(distances: Distances | None) -> list[str]:
    """The share of the fitted codes that are nearer, of each image; empty where not known.

    Example:
        >>> shares_in_words(None)
        []
    """
    if distances is None or distances.found is None:
        return []
    return [in_percent(share) for share in distances.found.nearer]
