"""Whether two spaces are the same, up to signs, an order of their channels, scales or a rotation.

Shapes: ``n`` images, ``c`` channels (``latentmap.codes.channels``), ``k`` changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.codes.channels import by_position, channels_of
from latentmap.comparison.changes import (
    CHANGES,
    Change,
    affine_change,
    change_moments,
    changes_between,
)
from latentmap.comparison.journeys import spread_of
from latentmap.intervals import UNDEFINED, Estimate, resample, shares
from latentmap.mapping import LinearMap
from latentmap.progress import Progress

# What a change of one space into the same may leave of the variance of the codes, at most,
TOLERANCE = 0.1
# how many times as much as the best affine map leaves,
AFFINE = 1.25
# and what is nothing: float32 codes, computed in another way, differ by less.
ROUNDING = 1e-9
# Of more channels no order is sought, which takes their number to the power of 3.
MOST_CHANNELS = 2048


@dataclass(frozen=True, eq=False)
class Sameness:
    """Whether the spaces of two models, by their numbers, are the same.

    ``change`` is the simplest of ``CHANGES`` by which they are, None where they are not. ``left``
    has for each that was tried, and for ``affine``, the best affine map, which share of the
    variance of held-out codes it leaves, in the worse of both directions. ``told`` is what the
    change does in numbers, from the first space to the second.
    """

    first: int
    second: int
    change: str | None
    left: Mapping[str, Estimate]
    told: Mapping[str, Any]

    @property
    def in_words(self) -> str:
        """The change as a table says it."""
        if self.change is None:
            return "-" if math.isnan(self.left["affine"].value) else "no"
        words = CHANGES[self.change]
        if "permutation" in self.change and "signs" in self.told:
            words = words.replace("a permutation", "a permutation and signs")
            words = words.replace("one scale and shift", "one scale, a shift each")
        factor = self.told.get("factor")
        return words if factor is None else f"{words} ({factor:.4g})"

    @property
    def residual(self) -> Estimate:
        """What is left by the change, or by the best affine map where there is none."""
        return self.left[self.change or "affine"]

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        return {
            "first": self.first,
            "second": self.second,
            "same_up_to": self.change,
            "change": dict(self.told),
            "left": {name: estimate.to_json("share") for name, estimate in self.left.items()},
        }


def same_spaces(
    train: Sequence[Codes],
    test: Sequence[Codes],
    maps: Mapping[tuple[int, int], LinearMap],
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Sameness]:
    """Of every two spaces of one shape whether they are the same.

    Changes are fitted on the codes ``train`` of each space, and judged on ``test``, which are of
    some ``units`` ``(n,)``; ``maps`` are the best affine ones between vectors, and between codes
    with positions those of channels are fitted here. A change holds in one direction where it
    leaves at most ``TOLERANCE`` of the variance, with the whole interval, and where the difference
    to ``AFFINE`` times what the best affine map leaves is not above 0 (or rounding), within its
    interval. Spaces of more than ``MOST_CHANNELS`` channels are left out.
    """
    pairs = [
        (i, j)
        for i, j in combinations(range(len(train)), 2)
        if train[i].space.shape == train[j].space.shape
        and channels_of(train[i].space.shape)[0] <= MOST_CHANNELS
    ]
    spread = {i: spread_of(test[i], units) for i in sorted({i for pair in pairs for i in pair})}
    found = []
    for done, (i, j) in enumerate(pairs):
        moments = change_moments(train[i], train[j])
        ways = []
        for (a, b), one in (((i, j), moments), ((j, i), moments.flipped)):
            changes = changes_between(one)
            linear_map = maps[a, b]
            if len(train[a].space.shape) == 1:
                best = Change("affine", linear_map.bias, weight=linear_map.weight)
            else:
                best = affine_change(one)
            errors = _errors([*changes.values(), best], test[a], test[b])
            ways.append((changes, _judged([*changes], errors, spread[b], units, seed)))
        found.append(_simplest(i, j, ways))
        if progress:
            progress(done + 1, len(pairs))
    return found


# Of each change, what it leaves and whether it holds; of ``affine`` the first alone.
_Judged = Mapping[str, tuple[Estimate, bool]]


def _simplest(i: int, j: int, ways: Sequence[tuple[Mapping[str, Change], _Judged]]) -> Sameness:
    """The simplest change that holds in both directions."""
    (changes, there), (_, back) = ways
    both = [name for name in [*CHANGES, "affine"] if name in there and name in back]
    left = {name: max((there[name][0], back[name][0]), key=_size) for name in both}
    holding = [name for name in both if there[name][1] and back[name][1]]
    change = holding[0] if holding else None
    return Sameness(i, j, change, left, {} if change is None else changes[change].told)


def _size(estimate: Estimate) -> float:
    return math.inf if math.isnan(estimate.value) else estimate.value


def _errors(changes: Sequence[Change], x: Codes, y: Codes) -> np.ndarray:
    """The mean squares over variables ``(k, n)`` of what each change leaves of each code."""
    shape, size = x.space.shape, x.block_size
    errors = np.empty((len(changes), len(x)))
    for start in range(0, len(x), size):
        stop = min(start + size, len(x))
        source, target = (by_position(one.read(start, stop).double(), shape) for one in (x, y))
        for number, change in enumerate(changes):
            missed = (change.apply(source) - target).square().mean((1, 2))
            errors[number, start:stop] = missed.numpy()
    return errors


def _judged(
    names: Sequence[str],
    errors: np.ndarray,
    spread: np.ndarray,
    units: np.ndarray | None,
    seed: int,
) -> dict[str, tuple[Estimate, bool]]:
    """What each change leaves, and whether it holds; the last of ``errors`` is the affine map's."""
    resampled = resample(np.concatenate([errors, spread[None]]), units, seed=seed)
    means = resampled.means
    left = [shares(means[:, number], means[:, -1]) for number in range(len(errors))]
    affine = left[-1]
    judged: dict[str, tuple[Estimate, bool]] = {}
    for name, one in zip(names, left, strict=False):
        residual = resampled.estimate(one)
        further = resampled.estimate(one - AFFINE * affine)
        # An interval that is not there (of one unit) decides nothing.
        holds = residual.high <= TOLERANCE and (further.low <= 0 or residual.value <= ROUNDING)
        judged[name] = (residual, bool(holds))
    judged["affine"] = (resampled.estimate(affine) if len(spread) else UNDEFINED, False)
    return judged
