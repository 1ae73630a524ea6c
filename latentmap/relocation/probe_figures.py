"""Figures of probes, with intervals over units: through a map, by chance, and on own codes.

Shapes: ``n`` images of ``u`` units, ``c`` classes, ``b`` resamplings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from latentmap.intervals import Estimate, estimate_of, resample, shares, unit_draws

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True)
class ProbeFigure:
    """A figure of a probe on the same images: on codes ``mapped`` to the target, by chance
    (``floor``), and on the target's own codes (``ceiling``); ``kept`` is (mapped - floor) /
    (ceiling - floor), which is not defined where the ceiling cannot be told from the floor.
    """

    mapped: Estimate
    floor: Estimate
    ceiling: Estimate
    kept: Estimate

    def to_json(self, name: str) -> dict[str, Any]:
        """All of it by the name of the figure: ``auc``, ``auc_floor``, ``auc_ceiling`` and
        ``auc_kept``, each with ``_low`` and ``_high``; None where not defined.
        """
        record = self.mapped.to_json(name)
        for part in ("floor", "ceiling", "kept"):
            record |= getattr(self, part).to_json(f"{name}_{part}")
        return record


def class_figures(
    classes: np.ndarray,
    mapped: np.ndarray,
    own: np.ndarray,
    units: np.ndarray,
    *,
    common: int,
    seed: int = 0,
) -> dict[str, ProbeFigure]:
    """The figures of a probe of ``classes`` ``(n,)`` that gives probabilities ``(n, c)`` by
    ``mapped`` codes and by ``own`` ones.

    ``accuracy``: its floor is the share of the class that is most ``common`` where the probe was
    fitted. ``balanced_accuracy``: the mean over classes of the share of their images that are
    recognised; its floor is one over their number. ``auc``: the area under the curve of true
    against false positives, the mean over classes against all others; its floor is 0.5. A class
    counts in those resamplings that have an image of it.
    """
    here = classes == np.arange(mapped.shape[1])[:, None]
    right = [found.argmax(1) == classes for found in (mapped, own)]
    rows = [*right, classes == common, *here, *(here & right[0]), *(here & right[1])]
    resampled = resample(np.array(rows, np.float64), units, seed=seed)
    means, b = resampled.means.T, len(resampled.drawn)
    sizes, *found = np.split(means[3:], 3)
    recalls = [_mean_of_defined(shares(one, sizes)) for one in found]
    areas = [
        _mean_of_defined(
            np.stack([auc_values(one[:, k], here[k], units, seed=seed) for k in _told(one)])
        )
        for one in (mapped, own)
    ]
    present = np.maximum((sizes > 0).sum(0), 1)
    return {
        "accuracy": _kept(means[0], means[2], means[1], b),
        "balanced_accuracy": _kept(recalls[0], 1 / present, recalls[1], b),
        "auc": _kept(areas[0], np.full_like(areas[0], 0.5), areas[1], b),
    }


def number_figures(
    numbers: np.ndarray,
    mapped: np.ndarray,
    own: np.ndarray,
    units: np.ndarray,
    *,
    centre: float,
    seed: int = 0,
) -> dict[str, ProbeFigure]:
    """``r2`` of a probe of ``numbers`` ``(n,)`` by what it reads ``(n,)`` from ``mapped`` codes and
    from ``own`` ones: 1 - squared error / squared distance from ``centre``, the mean of the images
    that the probe was fitted on. Its floor is what that mean itself has, 0.
    """
    rows = np.square(np.stack([numbers - mapped, numbers - own, numbers - centre]))
    resampled = resample(rows, units, seed=seed)
    missed, own_missed, spread = resampled.means.T
    of_mapped, of_own = 1 - shares(missed, spread), 1 - shares(own_missed, spread)
    return {"r2": _kept(of_mapped, np.zeros_like(of_own), of_own, len(resampled.drawn))}


def auc_values(
    scores: np.ndarray, positive: np.ndarray, units: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """The share of pairs of a ``positive`` image and another one of which it has the higher of the
    ``scores`` ``(n,)``, equal ones counting half: of all images, of those of units drawn as
    ``resample`` draws them, and without each unit, ``(1 + b + u,)``; NaN without such pairs.

    That without a unit is the first-order one, by the influence of its images: it serves for the
    acceleration of an interval alone (Efron 1987).
    """
    _, numbers = np.unique(units, return_inverse=True)
    u = int(numbers.max()) + 1
    mine, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    mine, others = (some[np.argsort(scores[some])] for some in (mine, others))
    # How many others are below each positive image, and how many are not above it.
    below, within = (np.searchsorted(scores[others], scores[mine], side) for side in _SIDES)

    def area(weights: np.ndarray) -> np.ndarray:
        total = np.zeros((len(weights), len(others) + 1))
        np.cumsum(weights[:, others], axis=1, out=total[:, 1:])
        won, of_mine = total[:, below] + total[:, within], weights[:, mine]
        return shares(np.einsum("bi,bi->b", won, of_mine) / 2, of_mine.sum(1) * total[:, -1])

    every = area(np.ones((1, len(scores))))
    drawn = [area(counts[:, numbers]) for counts in unit_draws(u, seed=seed)]
    # Of a positive image the share of the others below it, of another that of positive ones above.
    above = (
        len(mine) - sum(np.searchsorted(scores[mine], scores[others], one) for one in _SIDES) / 2
    )
    wins = np.empty(len(scores))
    wins[mine], wins[others] = (below + within) / 2, above
    of_other_kind = np.where(positive, len(others), len(mine)).astype(np.float64)
    influence = (shares(wins, of_other_kind) - every) / (len(scores) - of_other_kind)
    return np.concatenate([every, *drawn, every - np.bincount(numbers, influence, minlength=u)])


def _told(probabilities: np.ndarray) -> range:
    """The classes whose areas count: of two the second alone, since the first has the same."""
    c = probabilities.shape[1]
    return range(1, 2) if c == 2 else range(c)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The means ``(m,)`` of those of ``values`` ``(c, m)`` that are defined; NaN of none."""
    known = np.isfinite(values)
    return shares(np.where(known, values, 0).sum(0), known.sum(0).astype(np.float64))


def _kept(mapped: np.ndarray, floor: np.ndarray, ceiling: np.ndarray, b: int) -> ProbeFigure:
    def estimate(values: np.ndarray) -> Estimate:
        return estimate_of(float(values[0]), values[1 : 1 + b], [values[1 + b :]])

    share = shares(mapped - floor, ceiling - floor)
    return ProbeFigure(estimate(mapped), estimate(floor), estimate(ceiling), estimate(share))
