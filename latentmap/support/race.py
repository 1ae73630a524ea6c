"""The race: which of many variables have the largest mean gains, from as few images as will tell.

All variables start on the same random images. After each round (a *look*) two variables are
compared by the differences of their gains on the images that both have; a variable that is surely
behind enough others leaves, and so does one whose place among the rest is sure (Maron & Moore,
"Hoeffding Races", 1994). Two things make it short: the images are drawn without replacement, so
that what is left unknown shrinks to nothing at the last image; and most of a gain is known from the
code alone, so that its mean over all images is estimated by regression on the code (Cochran,
"Sampling Techniques", 1977, section 7), which also guards against a few extreme codes that the draw
has missed.

Shapes: ``n`` images, ``d`` variables, ``m`` images that were measured; all float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latentmap.codes import Codes
from latentmap.intervals import student_quantile

CONFIDENCE = 0.95
# Of a variable that is dropped: its gain on any image, by the largest mean gain.
NEGLIGIBLE = 0.01
_FIRST_LOOK = 64
_GROWTH = 1.25
_CONTROLS = 3
_TINY = 1e-6

# From rows (m,) and variables (k,) to the gains (m, k).
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a race ended.

    ``order`` ``(d,)`` puts the leading variables first, then the others by their gain. ``gain``,
    ``low`` and ``high`` ``(d,)`` are the estimated means with 95 % intervals over images, each from
    ``images`` ``(d,)`` images. ``ties`` are neighbours in the order, down to the first behind the
    leading ones, whose difference has an interval that includes zero. ``dropped`` ``(d,)`` are
    those that left at the first look because they do nothing.
    """

    order: np.ndarray
    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    images: np.ndarray
    ties: tuple[tuple[int, int], ...]
    dropped: np.ndarray


@dataclass(frozen=True, eq=False)
class Controls:
    """What is known of every image without decoding: t, abs(t) and t^2 of each variable, where t =
    (z - center) / unit, and their means over all ``n`` images, ``(d, 3)``.
    """

    codes: Codes
    center: np.ndarray
    unit: np.ndarray
    means: np.ndarray

    @classmethod
    def of(cls, codes: Codes, center: np.ndarray, variance: np.ndarray) -> Controls:
        """The controls of all rows of some codes, which are read once."""
        unit = np.where(variance > 0, np.sqrt(variance), 1.0)
        sums = np.zeros((len(center), _CONTROLS))
        for block in codes.blocks():
            sums += _powers((block.numpy() - center) / unit).sum(axis=0)
        return cls(codes, center, unit, sums / len(codes))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The codes of some rows in units about the center, ``(m, d)``."""
        return np.asarray((self.codes.rows.take(rows) - self.center) / self.unit)

    def estimate(
        self, gains: np.ndarray, taken: np.ndarray, variables: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The means over all images ``(k,)`` that some gains ``(m, k)`` let expect, and what each
        image contributes to their errors ``(m, k)``.

        The variance of a mean, or of a difference of two, is the sum of squares of the (difference
        of) contributions: HC3 of MacKinnon & White (1985), which holds where large gains come with
        codes far out.
        """
        m = len(gains)
        if m == len(self.codes):
            means = gains.mean(axis=0)
            return means, (gains - means) / m
        means, contributions = np.empty(len(variables)), np.empty_like(gains)
        for column, variable in enumerate(variables):
            about = _powers(taken[:m, variable]) - self.means[variable]
            design = np.column_stack([np.ones(m), about])
            solution = np.linalg.pinv(design)
            slopes = solution @ gains[:, column]
            leverage = (design * solution.T).sum(axis=1)
            residuals = (gains[:, column] - design @ slopes) / np.maximum(1 - leverage, _TINY)
            means[column] = slopes[0]
            contributions[:, column] = solution[0] * residuals
        return means, contributions


class Race:
    """One race, from its first look to its last; ``run`` gives the outcome.

    ``draw`` ``(n,)`` is the order in which rows are measured; ``quiet`` ``(d,)`` says which
    variables hardly vary, and leave at the first look unless they are found to do something after
    all. With ``exhaustive`` every variable is measured on every row. Rows are of some ``units``
    ``(n,)``, which intervals are over; without them each is one.
    """

    def __init__(
        self,
        measure: Measure,
        controls: Controls,
        draw: np.ndarray,
        *,
        leading: int,
        quiet: np.ndarray,
        exhaustive: bool = False,
        units: np.ndarray | None = None,
    ) -> None:
        self._units = draw if units is None else units[draw]
        self._measure, self._controls, self._draw = measure, controls, draw
        self._leading, self._quiet = leading, quiet
        self._n, self._d = len(draw), len(quiet)
        self._looks = [self._n] if exhaustive else look_sizes(self._n)
        self._gains = np.full((0, self._d), np.nan)
        self._taken = np.empty((0, self._d))
        self._images = np.zeros(self._d, dtype=np.int64)
        self._above = np.zeros((self._d, self._d), dtype=bool)
        self._dropped = np.zeros(self._d, dtype=bool)

    def run(self) -> Outcome:
        running = np.arange(self._d)
        for m in self._looks:
            self._extend(m, running)
            if m == self._looks[0]:
                self._dropped = self._find_dropped()
            self._compare(m, running)
            running = self._undecided()
            if not len(running):
                break
        return self._outcome()

    def _extend(self, m: int, running: np.ndarray) -> None:
        rows = self._draw[len(self._gains) : m]
        block = np.full((len(rows), self._d), np.nan)
        block[:, running] = self._measure(rows, running)
        self._gains = np.concatenate([self._gains, block])
        self._taken = np.concatenate([self._taken, self._controls.take(rows)])
        self._images[running] = m

    def _find_dropped(self) -> np.ndarray:
        largest = self._gains.mean(axis=0).max()
        effect = np.abs(self._gains).max(axis=0)
        return np.asarray(self._quiet & (effect <= NEGLIGIBLE * max(largest, 0.0)))

    def _compare(self, m: int, running: np.ndarray) -> None:
        """Notes which of two running variables is surely above the other.

        All looks together err with a probability of about 1 - CONFIDENCE at most, by Bonferroni's
        inequality over looks and pairs and Student's distribution for a mean, which is asymptotic
        where gains are skewed; the look at all images cannot err.
        """
        mean, errors = self._controls.estimate(self._gains[:m, running], self._taken, running)
        products = errors.T @ errors
        own = np.diag(products)
        variance = np.maximum(own[:, None] + own - 2 * products, 0) * (1 - m / self._n)
        pairs = max(1, self._d * (self._d - 1) // 2)
        tail = (1 - CONFIDENCE) / max(1, len(self._looks) - 1) / pairs / 2
        width = student_quantile(1 - tail, _degrees(m, self._n)) * np.sqrt(variance)
        self._above[np.ix_(running, running)] |= mean[:, None] - mean > width

    def _contenders(self) -> np.ndarray:
        """Which variables may still be among the leading, ``(d,)``."""
        return np.asarray((self._above.sum(axis=0) < self._leading) & ~self._dropped)

    def _undecided(self) -> np.ndarray:
        """The contenders that are not told apart from every other contender."""
        contenders = self._contenders()
        together = contenders[:, None] & contenders & ~np.eye(self._d, dtype=bool)
        return np.flatnonzero((together & ~self._above & ~self._above.T).any(axis=1))

    def _outcome(self) -> Outcome:
        gain, half = np.empty(self._d), np.empty(self._d)
        for variable in range(self._d):
            gain[variable], half[variable] = self._estimate(variable)
        contenders = self._contenders()
        wins = np.where(contenders, (self._above & contenders).sum(axis=1), 0)
        order = np.lexsort((-gain, -wins, ~contenders))
        neighbours = itertools.pairwise(order[: self._leading + 1])
        ties = tuple((int(a), int(b)) for a, b in neighbours if self._tied(a, b))
        return Outcome(order, gain, gain - half, gain + half, self._images, ties, self._dropped)

    def _estimate(self, variable: int) -> tuple[float, float]:
        """The mean gain of a variable, and half the width of its interval over images."""
        chosen = np.array([variable])
        gains = self._gains[: self._images[variable], chosen]
        means, errors = self._controls.estimate(gains, self._taken, chosen)
        return float(means[0]), self._half_width(errors[:, 0], gains[:, 0])

    def _tied(self, a: int, b: int) -> bool:
        chosen = np.array([a, b])
        gains = self._gains[: self._images[chosen].min(), chosen]
        means, errors = self._controls.estimate(gains, self._taken, chosen)
        width = self._half_width(errors[:, 0] - errors[:, 1], gains[:, 0] - gains[:, 1])
        return bool(abs(means[0] - means[1]) <= width)

    def _half_width(self, errors: np.ndarray, gains: np.ndarray) -> float:
        """Half of a 95 % interval: the measured images stand for all ``n`` of them, and these for
        images of their kind (double sampling, Cochran section 12.6).
        """
        m = len(gains)
        measured = np.square(errors).sum() * (1 - m / self._n)
        of_kind, degrees = _variance_of_mean(gains, self._units[:m], self._n)
        degrees = min(degrees, _degrees(m, self._n))
        if degrees < 1:
            return math.nan
        return student_quantile(0.5 + 0.95 / 2, degrees) * math.sqrt(measured + of_kind)


def _variance_of_mean(gains: np.ndarray, units: np.ndarray, n: int) -> tuple[float, int]:
    """The variance of the mean of ``n`` images, and its degrees of freedom, from the ``gains``
    ``(m,)`` of random ones of them, of some ``units`` ``(m,)``: from the squares of the sums over
    units. Two images are as rarely drawn together as the number of pairs says.
    """
    m, away = len(gains), gains - gains.mean()
    _, numbers = np.unique(units, return_inverse=True)
    u, own = int(numbers.max()) + 1, float(np.square(away).sum())
    together = max(float(np.square(np.bincount(numbers, away)).sum()) - own, 0.0)
    squares = own * n / m + together * (n / m) * (n - 1) / (m - 1)
    return squares / n**2 * u / max(u - 1, 1), u - 1


def look_sizes(n: int) -> list[int]:
    """How many images are measured at each look: 64, each time a quarter more, at last all ``n``.

    >>> look_sizes(120)
    [64, 80, 100, 120]
    """
    sizes = []
    m = _FIRST_LOOK
    while m < n:
        sizes.append(m)
        m = math.ceil(m * _GROWTH)
    return [*sizes, n]


def _degrees(m: int, n: int) -> int:
    """Degrees of freedom of a variance: the regression costs some, unless all images are there."""
    return m - 1 if m == n else m - 1 - _CONTROLS


def _powers(t: np.ndarray) -> np.ndarray:
    return np.stack([t, np.abs(t), np.square(t)], axis=-1)
