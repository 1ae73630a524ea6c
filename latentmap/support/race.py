"""The race: which of many variables have the largest mean gains, from as few images as will tell.

All variables start on the same random images. After each round (a *look*) two variables are
compared by the differences of their gains on the images that both have; a variable that is surely
behind enough others leaves, and so does one whose place among the rest is sure (Maron & Moore,
"Hoeffding Races", 1994). Three things make it short: the images are drawn without replacement, so
that what is left unknown shrinks to nothing at the last image; most of a gain is known from the
code alone, see ``controls``; and most variables are so far behind that a quarter of the first 64
images tells.

So few images could miss what a variable does on some of them only. A variable therefore leaves
before all 64 only if it is surely behind, and *screened*: on none of the others of the 64 does it
as much as the last of the leading ones does on average. That takes few decodes, because weak
variables are left out several at a time, other ones together on each image; only where these
together do as much is each of them measured. So none is passed over unless another one undoes what
it does.

Shapes: ``n`` images, ``d`` variables, ``m`` images that were measured; all float64.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from latentmap.intervals import student_quantile
from latentmap.support.controls import CONTROLS, Controls

CONFIDENCE = 0.95
# Of a variable that is dropped: its gain on any image, by the largest mean gain.
NEGLIGIBLE = 0.01
_EARLY_LOOKS = (16, 25, 40)
_FIRST_LOOK = 64
_GROWTH = 1.25
# Variables are weak whose mean is at most this part of the last leading one's; so many are left out
# together at most, and not more than half of that one's mean is expected of them.
_WEAK = 0.25
_TOGETHER = 8
# In fewer groups two variables that undo each other would be in one on most rows.
_APART = 4
_EXPECTED = 0.5


class Measure(Protocol):
    """What measures gains; see ``Meter``."""

    def __call__(self, rows: np.ndarray, variables: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The gains ``(m, k)`` of some variables ``(k,)`` on some rows ``(m,)``, where they are
        ``wanted`` ``(m, k)``; NaN elsewhere.
        """

    def joint(self, rows: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
        """The gains ``(m, count)`` of groups of variables left out together: ``groups`` ``(m, d)``
        are the numbers of the variables' groups on each row, -1 in none.
        """


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
        self._taken = np.empty((0, self._d, CONTROLS))
        self._images = np.zeros(self._d, dtype=np.int64)
        self._above = np.zeros((self._d, self._d), dtype=bool)
        # Of the first rows in the draw what is known before all variables are measured on them.
        self._early = np.full((min(_FIRST_LOOK, self._n), self._d), np.nan)
        self._screened = np.zeros(self._d, dtype=bool)
        self._dropped = np.zeros(self._d, dtype=bool)

    def run(self) -> Outcome:
        running = np.arange(self._d)
        for m in self._looks:
            self._extend(m, running)
            if m == self._looks[0]:
                self._screen(m)
                self._dropped = self._find_dropped()
            self._compare(m, running)
            running = self._undecided()
            if not len(running):
                break
        return self._outcome()

    def _extend(self, m: int, running: np.ndarray) -> None:
        start = len(self._gains)
        rows = self._draw[start:m]
        block = np.full((len(rows), self._d), np.nan)
        early = self._early[start:m]
        block[: len(early)] = early
        block[:, running] = self._completed(rows, running, block[:, running])
        self._gains = np.concatenate([self._gains, block])
        self._taken = np.concatenate([self._taken, self._controls.take(rows)])
        self._images[running] = m

    def _completed(self, rows: np.ndarray, variables: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The gains ``(m, k)`` of which some are ``known``, and the others NaN."""
        wanted = np.isnan(known)
        return np.where(wanted, self._measure(rows, variables, wanted), known)

    def _screen(self, m: int) -> None:
        """Looks for what weak and quiet variables do on the rows of the first 64 that are not
        measured yet.
        """
        rows = self._draw[m : len(self._early)]
        if not len(rows):
            return
        mean = self._gains.mean(axis=0)
        enough = self._enough(mean)
        weak = mean <= _WEAK * enough
        # What is asked of those that may be dropped is stricter, so they are by themselves.
        droppable = self._find_dropped()
        together = (weak & ~droppable, droppable)
        bounds = (enough, min(enough, self._negligible(mean)))
        suspects = np.zeros((len(rows), self._d), dtype=bool)
        for variables, bound in zip(map(np.flatnonzero, together), bounds, strict=True):
            if len(variables):
                suspects |= self._suspects(rows, variables, mean, bound)
        self._early[m:] = self._measure(rows, np.arange(self._d), suspects)
        self._screened = weak & ~(self._early >= enough).any(axis=0)

    def _suspects(
        self, rows: np.ndarray, variables: np.ndarray, mean: np.ndarray, bound: float
    ) -> np.ndarray:
        """Which variables may do as much as ``bound``, up or down, on each of some rows ``(m, d)``:
        those of groups that do.
        """
        order = variables[np.argsort(-mean[variables], kind="stable")]
        expected = np.maximum(mean[order], 0).sum() / (_EXPECTED * bound) if bound > 0 else 0
        count = max(len(order) / _TOGETHER, min(max(expected, _APART), len(order)))
        count = math.ceil(count)
        # Each group has one of the strongest, one of the next, and so on: others on each row.
        place = np.arange(len(order))
        turned = np.arange(len(rows))[:, None] * (place // count)
        groups = np.full((len(rows), self._d), -1)
        groups[:, order] = (place + turned) % count
        much = np.abs(self._measure.joint(rows, groups, count)) >= bound
        return np.asarray((groups >= 0) & np.take_along_axis(much, groups, axis=1))

    def _enough(self, mean: np.ndarray) -> float:
        """What the last of the leading variables does on average."""
        return float(np.sort(mean)[::-1][min(self._leading, len(mean)) - 1])

    def _negligible(self, mean: np.ndarray) -> float:
        return NEGLIGIBLE * max(float(mean.max()), 0.0)

    def _find_dropped(self) -> np.ndarray:
        effect = np.abs(self._gains).max(axis=0)
        effect = np.maximum(effect, np.nan_to_num(np.abs(self._early)).max(axis=0))
        return np.asarray(self._quiet & (effect <= self._negligible(self._gains.mean(axis=0))))

    def _compare(self, m: int, running: np.ndarray) -> None:
        """Notes which of two running variables is surely above the other.

        Before the first 64 images are measured, only what is screened can be found below another.

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
        above = mean[:, None] - mean > width
        if m < len(self._early):
            above &= self._screened[running]
        self._above[np.ix_(running, running)] |= above

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
    """How many images are measured at each look: 16, 25 and 40, then 64, each time a quarter more,
    at last all ``n``.

    >>> look_sizes(120)
    [16, 25, 40, 64, 80, 100, 120]
    """
    sizes = [m for m in _EARLY_LOOKS if m < n]
    m = _FIRST_LOOK
    while m < n:
        sizes.append(m)
        m = math.ceil(m * _GROWTH)
    return [*sizes, n]


def _degrees(m: int, n: int) -> int:
    """Degrees of freedom of a variance: the regression costs some, unless all images are there."""
    return m - 1 if m == n else m - 1 - CONTROLS
