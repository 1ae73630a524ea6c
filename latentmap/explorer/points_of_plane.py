"""Points of a plane, in the colours of the page.

Shapes: ``m`` points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from latentmap.report.colours import LEVELS, colour

# As on the page: the share of points beyond each end of a scale, how much of the scale stands out
# from the paper, the places of a palette, and the room about all points. A box has so many times
# their size, and is so many times that away from them.
_ENDS = 0.02
_LAST = 52
_PALETTE = 255
_MARGIN = 0.06
_CLOSEST, _FARTHEST, _AWAY = 1e-4, 4.0, 100.0
_EXACT = 1 << 24  # Below that float32, in which points have their values, holds whole numbers.
UNKNOWN = "#cccccc"


@dataclass(frozen=True)
class Box:
    """A square of a plane: its middle, and how long its sides are."""

    x: float
    y: float
    span: float


@dataclass(frozen=True, eq=False)
class PointsOfPlane:
    """Points ``xy`` ``(m, 2)`` along two ``axes``, and ``values`` ``(m,)`` of what is called
    ``title``: numbers of ``groups`` with a name and a colour each, or numbers; NaN where not known;
    the ``note`` is on all of them. What is in the ``box`` is drawn, and the point number ``taken``
    has a ring.
    """

    xy: np.ndarray
    axes: tuple[str, str]
    values: np.ndarray
    title: str
    note: str
    groups: Sequence[Mapping[str, str]] | None
    box: Box
    taken: int | None

    @cached_property
    def unknown(self) -> int:
        """How many points have no value."""
        return int(np.isnan(self.values).sum())

    @cached_property
    def counts(self) -> list[int]:
        """How many points each group has."""
        known = self.values[~np.isnan(self.values)].astype(np.int64)
        return list(map(int, np.bincount(known, minlength=len(self.groups or ()))))

    @cached_property
    def ends(self) -> tuple[float, float] | None:
        """The ends of the scale of numbers: the 2nd and the 98th of a hundred; None of groups, and
        where no number is known.
        """
        known = np.sort(self.values[~np.isnan(self.values)])
        if self.groups is not None or not len(known):
            return None
        end = math.floor(_ENDS * len(known))
        return float(known[end]), float(known[len(known) - 1 - end])

    @cached_property
    def whole(self) -> float:
        """How long the sides of the box are that holds all points."""
        return box_near(None, self.xy).span

    @cached_property
    def seen(self) -> np.ndarray:
        """Which points are in the box ``(m,)``."""
        middle = np.array([self.box.x, self.box.y])
        return np.asarray((np.abs(self.xy - middle) <= self.box.span / 2).all(1))

    @property
    def painted(self) -> tuple[list[str], np.ndarray]:
        """The colours, ``#rrggbb`` each, and which of them each point has ``(m,)``; the last is of
        those that have no value.
        """
        known = ~np.isnan(self.values)
        values = self.values[known].astype(np.float64)
        if self.groups is not None:
            palette = [one["colour"] for one in self.groups[:_PALETTE]]
            found = values.astype(np.int64) % _PALETTE
        else:
            palette = scale_colours()
            low, high = self.ends or (0.0, 1.0)
            shares = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
            found = np.floor(np.clip(shares, 0, 1) * (LEVELS - 1) + 0.5).astype(np.int64)
        places = np.full(len(known), len(palette))
        places[known] = found
        return [*palette, UNKNOWN], places

    def to_json(self) -> dict[str, Any]:
        """What is drawn of it, without the points."""
        groups = None
        if self.groups is not None:
            groups = [
                {"name": one["name"], "colour": one["colour"], "n": n}
                for one, n in zip(self.groups, self.counts, strict=True)
            ]
        return {
            "title": self.title,
            "note": self.note,
            "groups": groups,
            "ends": None if self.ends is None else list(self.ends),
            "unknown": self.unknown,
            "box": vars(self.box),
            "seen": int(self.seen.sum()),
        }


def number_in_words(value: float) -> str:
    """A number of a scale: a whole one with all its digits, such as a year, others with three.

    Example:
        >>> [number_in_words(one) for one in (1987.0, 10177.0, 0.012345, 1e9)]
        ['1987', '10177', '0.0123', '1e+09']
    """
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else f"{value:.3g}"


def scale_colours() -> list[str]:
    """The colours of numbers on paper, the lowest first."""
    places = [math.floor(level / (LEVELS - 1) * _LAST + 0.5) for level in range(LEVELS)]
    return ["#" + "".join(f"{part:02x}" for part in colour(place)) for place in places]


def box_near(box: Box | None, xy: np.ndarray) -> Box:
    """A box, or what is next to it and near the points; without one that which holds all."""
    low, high = xy.min(0).astype(float), xy.max(0).astype(float)
    (x, y), span = (low + high) / 2, float((high - low).max()) * (1 + 2 * _MARGIN) or 1.0
    if box is None:
        return Box(float(x), float(y), span)
    away = _AWAY * span
    return Box(
        float(np.clip(box.x, x - away, x + away)),
        float(np.clip(box.y, y - away, y + away)),
        float(np.clip(box.span, span * _CLOSEST, span * _FARTHEST)),
    )
