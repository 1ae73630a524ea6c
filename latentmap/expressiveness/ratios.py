"""Ratios of errors of two samples of images, each resampled by itself.

Shapes: ``n`` images of one sample, ``m`` of the other.
"""

from __future__ import annotations

import numpy as np

from latentmap.intervals import Estimate, estimate_of, resample, shares
from latentmap.report import Measure, Table

WIDE = 3.0  # One end over the other: the number between them is no finding.
NOT_TOLD = "not told"
_APART = f"the ends of the interval are more than {WIDE:g} times apart; more images tell it"
NOT_TOLD_IN_WORDS = f"{NOT_TOLD}: {_APART}"


def is_told(ratio: Estimate) -> bool:
    """Whether an interval is narrow enough for its ratio to be a finding; one without an interval,
    of a single image, is as it stands.

    Example:
        >>> is_told(Estimate(2.0, 1.5, 2.6)), is_told(Estimate(60.0, 18.8, 187.0))
        (True, False)
    """
    return not ratio.high > WIDE * ratio.low


def ratio_measure(ratio: Estimate) -> Measure | str:
    """A ratio as it stands in a table: none that is not told."""
    return Measure.of(ratio) if is_told(ratio) else NOT_TOLD


def without_untold(table: Table, *titles: str) -> tuple[Table, str]:
    """A table without those of its columns of ratios in which none is told, and what is to be said
    of ratios that are not; ``titles`` are those of these columns.
    """
    empty, untold, remains = [], [], False
    for number, column in enumerate(table.columns):
        if column.title in titles:
            cells = [row.cells[number] for row in table.rows]
            none = all(cell in (None, NOT_TOLD) for cell in cells)
            empty += [column.title] * none
            untold += [column.title] * (none and NOT_TOLD in cells)
            remains |= not none and NOT_TOLD in cells
    said = [NOT_TOLD_IN_WORDS] if remains else []
    if untold:
        said.append(f"{', '.join(untold)} left out, of which no row is told: {_APART}")
    return table.without(*empty), "\n".join(said)


def ratio_in_words(ratio: Estimate) -> str:
    """A ratio as it stands in a sentence; of one that is not told, its interval alone.

    Example:
        >>> ratio_in_words(Estimate(2.0, 1.5, 2.6)), ratio_in_words(Estimate(60.0, 18.8, 187.0))
        ('2.00 [1.50, 2.60]', '18.80 to 187.00')
    """
    value, low, high = ratio
    if is_told(ratio):
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"
    return f"{low:.2f} to {high:.2f}"


def share_of(
    mse: np.ndarray, whole: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of errors ``(n,)`` over the mean of ``whole`` ``(n,)`` of the same images."""
    found = resample(np.stack([mse, whole]), units, seed=seed)
    means = found.means
    return found.estimate(shares(means[:, 0], means[:, 1]))


def ratio_of_shares(
    above: tuple[np.ndarray, np.ndarray],
    below: tuple[np.ndarray, np.ndarray],
    *,
    units: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    seed: int = 0,
) -> Estimate:
    """What share of their wholes the errors of one sample are, over what share those of another
    are. ``above`` are errors and wholes of the one ``(n,)``, ``below`` of the other ``(m,)``, and
    ``units`` those of both; errors and wholes of an image are drawn together, the samples apart.
    """
    drawn = [
        resample(np.stack(rows), of, seed=seed + number)
        for number, (rows, of) in enumerate(zip((above, below), units, strict=True))
    ]
    (every, one), (others, other) = (
        (shares(part.every[0], part.every[1]), shares(part.drawn[:, 0], part.drawn[:, 1]))
        for part in drawn
    )
    first, second = (shares(part.without[:, 0], part.without[:, 1]) for part in drawn)
    without = [
        shares(first, np.full_like(first, others)),
        shares(np.full_like(second, every), second),
    ]
    return estimate_of(float(shares(every, others)), shares(one, other), without)


def ratio_estimate(
    mse: np.ndarray, own: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of errors ``(n,)``, of images of some ``units`` ``(n,)``, over the mean of ``own``
    errors ``(m,)``, both resampled.
    """
    return ratio_of_shares(
        (mse, np.ones_like(mse)), (own, np.ones_like(own)), units=(units, None), seed=seed
    )
