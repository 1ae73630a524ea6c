"""What comparing support sets found: figures with their intervals, and the answer in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.intervals import Estimate, student_quantile
from latentmap.report import Shown, Table
from latentmap.support.selection import Strategy

FIGURES = ("r2", "efficiency")
_LEVEL = 0.95


@dataclass(frozen=True)
class StrategyPoint:
    """The maps from sets of ``size`` images that one strategy chose, ``draws`` times.

    ``r2`` and ``efficiency`` are means over the draws, ``r2_gain`` and ``efficiency_gain`` how much
    they are above those of random images, draw by draw; each with the 95 % interval of the mean
    (Student's t). ``built`` says how the sets of ``sectors`` came about: ``k`` and ``threshold``,
    and how many images are ``relaxed`` in a set.
    """

    strategy: Strategy
    size: int
    draws: int
    r2: Estimate
    efficiency: Estimate
    r2_gain: Estimate
    efficiency_gain: Estimate
    built: Mapping[str, float]

    def verdict(self, figure: str = "r2") -> str:
        """``better`` or ``worse`` than random images, or ``no difference shown``; ``not defined``
        where the figure is not.
        """
        gain: Estimate = getattr(self, f"{figure}_gain")
        if not math.isfinite(gain.value):
            return "not defined"
        return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``."""
        row: dict[str, Any] = {"strategy": self.strategy, "size": self.size, "draws": self.draws}
        for name in (*FIGURES, *(f"{figure}_gain" for figure in FIGURES)):
            row |= getattr(self, name).to_json(name)
        verdicts = {f"{figure}_verdict": self.verdict(figure) for figure in FIGURES}
        return {**row, **verdicts, **self.built}


@dataclass(frozen=True, eq=False)
class SupportComparison(Shown):
    """Strategies against random images, at several sizes.

    ``r2`` is over ``n_test`` images of ``n_units`` units (see ``units_of``), ``efficiency`` over
    ``n_images`` of them. ``all_r2`` and ``all_efficiency`` are those of the map from all
    ``n_candidates`` images. Where the floor is high (see ``Figures``), an efficiency says little.
    """

    points: Sequence[StrategyPoint]
    all_r2: float
    all_efficiency: float
    n_candidates: int
    n_test: int
    n_units: int
    n_images: int
    record: Mapping[str, Any]
    has_high_floor: bool = False

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.sizes))
        return f"<SupportComparison of {', '.join(self.strategies)} at {sizes} images>"

    def tables(self) -> list[Table]:
        from latentmap.support.tables import strategies_table

        return [strategies_table(self)]

    @property
    def sizes(self) -> list[int]:
        return sorted({point.size for point in self.points})

    @property
    def strategies(self) -> list[Strategy]:
        """In the order in which they were given; random is the first."""
        return list(dict.fromkeys(point.strategy for point in self.points))

    def point(self, strategy: Strategy, size: int) -> StrategyPoint:
        """One strategy at one size."""
        return next(p for p in self.points if (p.strategy, p.size) == (strategy, size))

    def best(self, size: int) -> StrategyPoint:
        """The strategy with the highest mean R2 at a size."""
        return max((p for p in self.points if p.size == size), key=lambda point: point.r2.value)

    def verdicts(self) -> list[str]:
        """The answer in plain words: of each strategy over all sizes, then, size by size, of the
        sectors and of the best strategy.
        """
        rivals = [name for name in self.strategies if name != "random"]
        lines = [self._summary(strategy) for strategy in rivals]
        for size in self.sizes:
            best = self.best(size)
            if not math.isfinite(best.r2.value):
                lines.append(f"at {size}: R2 is not defined")
                continue
            if "sectors" in rivals and best.strategy != "sectors":
                lines.append(self._against_random(self.point("sectors", size)))
            if best.strategy == "random":
                lines.append(f"at {size}: no strategy has a higher R2 than random images")
            else:
                lines.append(f"{self._against_random(best)} (the best)")
        return lines

    def to_json(self) -> dict[str, Any]:
        """All points, the verdicts and what made them."""
        return {
            "points": [point.to_json() for point in self.points],
            "best": {str(size): self.best(size).strategy for size in self.sizes},
            "verdicts": self.verdicts(),
            "all_r2": self.all_r2,
            "all_efficiency": self.all_efficiency,
            "n_candidates": self.n_candidates,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "n_images": self.n_images,
            "has_high_floor": self.has_high_floor,
            "record": dict(self.record),
        }

    def _summary(self, strategy: Strategy) -> str:
        parts = []
        for figure, title in (("r2", "R2"), ("efficiency", "efficiency")):
            mine = [p for p in self.points if p.strategy == strategy]
            found: dict[str, list[str]] = {"better": [], "worse": [], "no difference shown": []}
            for point in mine:
                if math.isfinite(getattr(point, figure).value):
                    found[point.verdict(figure)].append(str(point.size))
            said = [f"{words} at {', '.join(at)}" for words, at in found.items() if at]
            if said:
                parts.append(f"{title} {', '.join(said)}")
        return f"{strategy} against as many random images: {'; '.join(parts) or 'not defined'}"

    def _against_random(self, point: StrategyPoint) -> str:
        other = self.point("random", point.size)
        line = (
            f"at {point.size}: {point.strategy} R2 {_spread(point.r2)} against random "
            f"{_spread(other.r2)}: {_gain(point, 'r2')}"
        )
        if math.isfinite(point.efficiency.value):
            line += f"; efficiency {_gain(point, 'efficiency')}"
        return line


def _spread(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ± {estimate.high - estimate.value:.3f}"


def _gain(point: StrategyPoint, figure: str) -> str:
    value, low, high = getattr(point, f"{figure}_gain")
    words = point.verdict(figure)
    if words == "no difference shown":
        return f"{words} ({value:.3f} [{low:.3f}, {high:.3f}])"
    if words == "worse":
        value, low, high = -value, -high, -low
    return f"{words} by {value:.3f} [{low:.3f}, {high:.3f}]"


def points_of(
    plan: Sequence[tuple[Strategy, int, int]],
    r2: np.ndarray,
    efficiency: np.ndarray,
    built: Mapping[tuple[Strategy, int], Mapping[str, float]],
) -> list[StrategyPoint]:
    """One point for each strategy and size of a ``plan``: strategy, size and number of the draw of
    each map, in which order their figures ``(m,)`` are.
    """
    points = []
    keys = list(dict.fromkeys((name, size) for name, size, _ in plan))
    figures = np.stack([r2, efficiency]).reshape(2, len(keys), -1)
    for number, (name, size) in enumerate(keys):
        mine, others = figures[:, number], figures[:, keys.index(("random", size))]
        r2_mean, efficiency_mean, r2_gain, efficiency_gain = map(
            _mean_with_interval, (*mine, *(mine - others))
        )
        points.append(
            StrategyPoint(
                name,
                size,
                figures.shape[2],
                r2_mean,
                efficiency_mean,
                r2_gain,
                efficiency_gain,
                built.get((name, size), {}),
            )
        )
    return points


def _mean_with_interval(values: np.ndarray) -> Estimate:
    """The mean of some draws, with its interval by Student's t."""
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = student_quantile((1 + _LEVEL) / 2, len(values) - 1) * error
    return Estimate(mean, mean - half, mean + half)
