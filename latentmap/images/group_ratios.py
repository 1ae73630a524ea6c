"""How much harder one group of images is than the rest, as such and over what makes it hard.

The error of a group over that of the rest says little by itself: hats are hard for any model. So
the errors are also held against a ``whole``, such as the error of another model on the same image.
Shapes: ``n`` images of ``u`` units, in ``k`` groups; ``b`` rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from latentmap.chances import SIGNIFICANCE, holm
from latentmap.codes import one_of_each
from latentmap.images.attribute_groups import ImageGroups
from latentmap.intervals import Estimate, estimate_of, resample, shares

# Below so many units, of a group or of the rest, nothing is told. Of 10 among 300 intervals cover
# 95.5 %, and 4.6 % of groups as the rest are told apart (benchmarks/group_ratios.py --group 10).
FEWEST = 10
_PERMUTATIONS = 9999
_PERMUTED_NUMBERS = 1_000_000  # Images of rounds and groups at a time: 8 MB.
_RESAMPLED_NUMBERS = 4_000_000  # Of images of groups at a time: 32 MB.

# The errors (n,) of images, and what they are held against, where there is something.
Losses: TypeAlias = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True, eq=False)
class GroupRatio:
    """One group of images beside the rest of those that are in any group by the same attributes.

    ``positions`` are its images, worst first; they are of ``n_units`` units. ``error`` is their
    mean error, ``share`` that over their mean ``whole``; ``plain`` is how many times the error of
    the rest theirs is, and ``ratio`` how many times the share of the rest theirs is. Without a
    whole, ``share`` is None, and ``ratio`` is ``plain``. ``p_value`` is the chance that a random
    part of the images is as far from the rest, either way; ``corrected`` is the same, all groups
    that are tested considered. Both are None where there are too few units, of the group or the
    rest.
    """

    by: str
    name: str
    positions: np.ndarray
    n_units: int
    error: Estimate
    share: Estimate | None
    plain: Estimate
    ratio: Estimate
    p_value: float | None
    corrected: float | None

    @property
    def differs(self) -> bool:
        """Whether the ratio is too far from 1 to be chance, all groups considered."""
        return self.corrected is not None and self.corrected <= SIGNIFICANCE

    def to_json(self) -> dict[str, Any]:
        """All of it, with the number of images in place of these."""
        return {
            "by": self.by,
            "group": self.name,
            "n": len(self.positions),
            "n_units": self.n_units,
            **self.error.to_json("error"),
            **({} if self.share is None else self.share.to_json("share")),
            **self.plain.to_json("plain_ratio"),
            **self.ratio.to_json("ratio"),
            "p_value": self.p_value,
            "corrected_p_value": self.corrected,
        }


def group_ratios(
    groups: ImageGroups,
    errors: np.ndarray,
    whole: np.ndarray | None = None,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[GroupRatio]:
    """Each of the groups beside the rest, by ``errors`` ``(n,)`` and what they are held against.

    Intervals are by bootstrap over the ``units`` ``(n,)`` of the images; without these each image
    is one. A test takes one image of a unit: the logarithm of the ratio over its standard error is
    compared with that of random groups of the same size (permutations; so studentised, they hold
    the level where errors of the two scatter differently, too: Janssen 1997). ``corrected``
    considers these groups alone: see ``correct``.

    Example:
        >>> groups = ImageGroups("Hat", ("Hat", "not Hat"), np.arange(60) // 30)
        >>> scatter = np.tile(np.linspace(0.9, 1.1, 30), 2)
        >>> hard = np.repeat([2.0, 1.0], 30)  # For any model.
        >>> hat, other = group_ratios(groups, 0.1 * hard * scatter, 0.2 * hard * scatter[::-1])
        >>> round(hat.plain.value, 3), round(hat.ratio.value, 3), hat.differs
        (2.0, 1.0, False)
    """
    return ratios_of_all(groups, [(errors, whole)], units=units, seed=seed)[0]


def ratios_of_all(
    groups: ImageGroups,
    losses: Sequence[Losses],
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[list[GroupRatio]]:
    """The ``group_ratios`` of several errors, each with what they are held against, on the same
    images: resamplings and permutations are drawn once for all of them.
    """
    known = np.flatnonzero(groups.known)
    if not len(known) or not losses:
        return [[] for _ in losses]
    number = groups.number[known]
    units = known if units is None else units[known]
    errors = np.stack([part[known] for part, _ in losses])
    held = np.stack([np.ones(len(known)) if whole is None else whole[known] for _, whole in losses])
    counts = [len(np.unique(units[number == i])) for i in range(len(groups.names))]
    others = [len(np.unique(units[number != i])) for i in range(len(groups.names))]
    intervals = _ratios(number, errors, held, units, np.minimum(counts, others), seed)
    p_values = _chances(number, errors, held, units, len(groups.names), seed)
    found: list[list[GroupRatio]] = [[] for _ in losses]
    for i, name in enumerate(groups.names):
        mine = np.flatnonzero(number == i)
        few = min(counts[i], others[i]) < FEWEST
        drawn = resample(np.concatenate([errors, held])[:, mine], units[mine], seed=seed)
        for j, (_, whole) in enumerate(losses):
            mean, over = drawn.means[:, j], drawn.means[:, len(losses) + j]
            plain, ratio = intervals[j][i]
            found[j].append(
                GroupRatio(
                    by=groups.by,
                    name=name,
                    positions=known[mine[np.argsort(-errors[j, mine], kind="stable")]],
                    n_units=counts[i],
                    error=drawn.estimate(mean),
                    share=None if whole is None else drawn.estimate(shares(mean, over)),
                    plain=plain,
                    ratio=ratio,
                    p_value=None if few else float(p_values[j, i]),
                    corrected=None,
                )
            )
    return [correct([one])[0] for one in found]


def correct(families: Sequence[Sequence[GroupRatio]]) -> list[list[GroupRatio]]:
    """The same with the p-values corrected for all groups of all of them. Where there are two by
    one attribute, what the one is told of, the other is, too: that is one test.
    """
    tested: dict[tuple[int, int], int] = {}
    p_values: list[float] = []
    for number, family in enumerate(families):
        for place, one in enumerate(family):
            if one.p_value is None:
                continue
            if len(family) == 2 and (number, 0) in tested:
                tested[number, place] = tested[number, 0]
                continue
            tested[number, place] = len(p_values)
            p_values.append(one.p_value)
    raised = holm(np.array(p_values))
    return [
        [
            replace(one, corrected=float(raised[tested[number, place]]))
            if (number, place) in tested
            else one
            for place, one in enumerate(family)
        ]
        for number, family in enumerate(families)
    ]


def _ratios(
    number: np.ndarray,
    errors: np.ndarray,
    held: np.ndarray,
    units: np.ndarray,
    n_units: np.ndarray,
    seed: int,
) -> list[list[tuple[Estimate, Estimate]]]:
    """How many times the mean error of the rest that of each group is, and the same of errors over
    what they are held against, for each of the ``errors`` ``(p, n)``. Units are drawn from all
    images: one may have some in both.
    """
    inside = np.stack([number == i for i in range(len(n_units))]).astype(np.float64)
    found: list[list[tuple[Estimate, Estimate]]] = []
    size = max(1, _RESAMPLED_NUMBERS // (3 * len(inside) * len(number)))
    for start in range(0, len(errors), size):
        parts = (np.ones_like(errors), errors, held)
        rows = np.stack([part[start : start + size] for part in parts], axis=1)
        p = len(rows)
        # Of all images, and then of each group.
        rows = np.concatenate([rows[:, None], inside[:, None] * rows[:, None]], axis=1)
        drawn = resample(rows.reshape(-1, len(number)), units, seed=seed)
        means = drawn.means.reshape(len(drawn.means), p, 1 + len(inside), 3)
        for one in range(p):
            every, within = means[:, one, 0], means[:, one, 1:]
            found.append(
                [
                    _ratio(within[:, i], every - within[:, i], len(drawn.drawn), int(fewest))
                    for i, fewest in enumerate(n_units)
                ]
            )
    return found


def _ratio(mine: np.ndarray, rest: np.ndarray, b: int, fewest: int) -> tuple[Estimate, Estimate]:
    """The plain ratio of a group to the rest, and that over what errors are held against, from
    means ``(1 + b + u, 3)`` of ones, errors, and what these are held against.
    """
    plain, ratio = (
        shares(shares(mine[:, 1], mine[:, whole]), shares(rest[:, 1], rest[:, whole]))
        for whole in (0, 2)
    )
    return (
        estimate_of(float(plain[0]), plain[1 : 1 + b], [plain[1 + b :]], n_units=fewest),
        estimate_of(float(ratio[0]), ratio[1 : 1 + b], [ratio[1 + b :]], n_units=fewest),
    )


def _chances(
    number: np.ndarray,
    errors: np.ndarray,
    held: np.ndarray,
    units: np.ndarray,
    k: int,
    seed: int,
) -> np.ndarray:
    """For each of the errors and each group, the chance ``(p, k)`` that as many random images are
    as far from the rest.
    """
    chosen = one_of_each(units, seed=seed)
    number, errors, held = number[chosen], errors[:, chosen], held[:, chosen]
    p, n = errors.shape
    counts = np.bincount(number, minlength=k)
    # The largest group is what the others leave: they need no sums of its images.
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    sizes = counts[order]
    # What the means and variances of a group, and of the rest, are made of.
    parts = np.stack([errors, held, errors**2, held**2, errors * held], axis=1).reshape(-1, n)
    total = parts.sum(1).reshape(p, 1, 5)
    place = np.zeros(k, dtype=np.int64)
    place[order] = np.arange(len(order))
    labels = place[number].astype(np.int16)
    least = _distances(_group_sums(labels[None], parts, len(order))[0], total, sizes) * (1 - 1e-9)
    generator = np.random.default_rng(seed)
    as_far = np.zeros((p, len(order)), dtype=np.int64)
    step = max(1, _PERMUTED_NUMBERS // (n * max(1, len(order) - 1)))
    for start in range(0, _PERMUTATIONS, step):
        rounds = min(step, _PERMUTATIONS - start)
        drawn = generator.permuted(np.tile(labels, (rounds, 1)), axis=1)
        sums = _group_sums(drawn, parts, len(order))
        as_far += (_distances(sums, total, sizes) >= least).sum(0)
    chances = np.ones((p, k))
    chances[:, order] = (1 + as_far) / (1 + _PERMUTATIONS)
    return chances


def _group_sums(labels: np.ndarray, parts: np.ndarray, k: int) -> np.ndarray:
    """The sums ``(r, p, k, 5)`` of ``parts`` ``(5 p, n)`` over the images of each label in the
    rounds of ``labels`` ``(r, n)``; the first is what the others leave.
    """
    inside = (labels[:, None] == np.arange(1, k)[:, None]).astype(np.float64)
    others = (inside @ parts.T).reshape(len(labels), k - 1, len(parts) // 5, 5)
    first = parts.sum(1).reshape(-1, 5) - others.sum(1)
    return np.concatenate([first[:, None], others], axis=1).swapaxes(1, 2)


def _distances(sums: np.ndarray, total: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How many standard errors the logarithms of the ratios are from 0, from the ``sums`` of the
    groups ``(..., p, k, 5)``; 0 where there is no scatter, or no error, to tell by.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, variances = [], []
        for part, n in ((sums, sizes), (total - sums, sizes.sum() - sizes)):
            error, held, squared, held_squared, both = np.moveaxis(part, -1, 0)
            share = error / held
            scatter = squared - 2 * share * both + share**2 * held_squared
            logs.append(np.log(share))
            variances.append(np.maximum(scatter, 0) * n / (n - 1) / error**2)
        found = np.abs(logs[0] - logs[1]) / np.sqrt(variances[0] + variances[1])
    distances: np.ndarray = np.nan_to_num(found, nan=0.0, posinf=np.inf)
    return distances
