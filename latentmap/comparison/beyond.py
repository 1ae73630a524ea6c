"""How much more alike two spaces are than baselines are to either: more than that both saw the same
pixels.

Any two networks that see the same images are alike, trained or not, and no random pairing of images
tells that. So each model of a pair is replaced by its baselines in turn, and the index has to be
larger than with all of them. Shapes: ``m`` models, ``c`` baselines, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.chances import holm
from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.measuring import measure, n_steps
from latentmap.comparison.resampled import Resampled, Resampling, jackknife_error
from latentmap.comparison.steps import Steps
from latentmap.intervals import UNDEFINED, Estimate, defined, student_quantile
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.thin_moments import ThinJointMoments
from latentmap.progress import Progress

_LEVEL = 0.95


@dataclass(frozen=True)
class Beyond:
    """How much more alike two spaces are, by an index, than the ``best`` baseline (its name) in
    place of one of them is to the other; of distances with the other sign.

    ``p_value`` is one-sided, the largest over all baselines (intersection-union), and ``p_holm``
    the same corrected for the pairs of spaces.
    """

    best: str
    gain: Estimate
    p_value: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """All of it, the gain with ``_low`` and ``_high``; None where not defined."""
        return {
            "best_baseline": self.best or None,
            **self.gain.to_json("gain"),
            "p_value": defined(self.p_value),
            "p_holm": defined(self.p_holm),
        }


# By the name of the index, and the numbers of both spaces, the lower one first.
AllBeyond = Mapping[str, Mapping[tuple[int, int], Beyond]]


def beyond_baselines(
    codes: Sequence[Tensor],
    fitted: JointMoments | ThinJointMoments,
    beside: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> AllBeyond:
    """All indexes of every two models beyond those of their baselines.

    ``codes`` are those of the same images, one of a unit, of the models and then of baselines, with
    the ``names`` of all; ``fitted`` are the moments of all of them on other images, and ``beside``
    the numbers, among ``codes``, of the baselines of each model. Intervals and tests are by the
    grouped jackknife of the indexes. Empty where no model has a baseline.
    """
    if not any(beside):
        return {}
    n = len(codes[0])
    # No null is asked for, but one order there must be.
    resampling = Resampling.of(n, [torch.arange(n)], seed=seed)
    steps = Steps(progress, n_steps(len(codes), 1))
    found, _ = measure(codes, fitted, resampling, steps)
    return {name: _of_index(name, one, beside, names) for name, one in found.items()}


def _of_index(
    name: str, found: Resampled, beside: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[tuple[int, int], Beyond]:
    sign = 1 if INDEXES[name].higher_is_alike else -1
    tested = {}
    for i, j in combinations(range(len(beside)), 2):
        others = [*((b, j) for b in beside[i]), *((i, b) for b in beside[j])]
        tested[i, j] = _tested(sign, found, (i, j), others, names, len(beside))
    corrected = holm(np.array([one.p_value for one in tested.values()]))
    return {
        place: Beyond(one.best, one.gain, one.p_value, float(p))
        for (place, one), p in zip(tested.items(), corrected, strict=True)
    }


def _tested(
    sign: int,
    found: Resampled,
    place: tuple[int, int],
    others: Sequence[tuple[int, int]],
    names: Sequence[str],
    m: int,
) -> Beyond:
    from scipy.special import stdtr

    k = len(found.without)
    gains = []
    for other in others:
        value = sign * float(found.value[place] - found.value[other])
        without = sign * (
            found.without[:, place[0], place[1]] - found.without[:, other[0], other[1]]
        )
        error = float(jackknife_error(without))
        if not np.isfinite([value, error]).all():
            continue
        p_value = float(stdtr(k - 1, -value / error)) if error > 0 else float(value <= 0)
        reach = student_quantile((1 + _LEVEL) / 2, k - 1) * error
        name = names[max(other)] if max(other) >= m else ""
        gains.append((value, reach, p_value, name))
    if not gains:
        return Beyond("", UNDEFINED, np.nan, np.nan)
    value, reach, _, name = min(gains)
    worst = max(p_value for _, _, p_value, _ in gains)
    return Beyond(name, Estimate(value, value - reach, value + reach), worst, np.nan)
