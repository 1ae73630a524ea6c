"""Intervals of figures that are means over images, or made of such, by bootstrap over units.

A unit is what was drawn independently of the others: an image, or all images of a person (see
``latentmap.codes.units_of``). Intervals are BCa (Efron 1987), which follows skewed errors, at
levels that are widened as Student's distribution is against the normal one, because a bootstrap of
u units varies by (u - 1) / u too little (Hesterberg 2015, "expanded percentile"). What they cover,
``benchmarks/coverage.py`` measures.

Shapes: ``n`` images of ``u`` units, ``k`` quantities, ``b`` resamplings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

_LEVEL = 0.95
N_BOOTSTRAP = 1000
# Below so many units the intervals of skewed errors cover less than they promise.
FEW_UNITS = 100
# Random numbers at a time: 8 MB. More take longer, and four times so much memory beside them.
_RESAMPLED_NUMBERS = 1_000_000
_TINY = 1e-12


class _Numbers(NamedTuple):
    value: float
    low: float
    high: float


class Estimate(_Numbers):
    """A figure with its 95 % interval; NaN where it is not defined, and then it has no interval."""

    __slots__ = ()

    def __new__(cls, value: float, low: float, high: float) -> Estimate:
        if not math.isfinite(value):
            value = low = high = math.nan
        return super().__new__(cls, value, low, high)

    def to_json(self, name: str) -> dict[str, float | None]:
        """The three numbers by a name, with ``_low`` and ``_high``; None where not defined.

        Example:
            >>> Estimate(0.5, 0.25, math.nan).to_json("r2")
            {'r2': 0.5, 'r2_low': 0.25, 'r2_high': None}
        """
        names = (name, f"{name}_low", f"{name}_high")
        return dict(zip(names, map(defined, self), strict=True))

    @classmethod
    def from_json(cls, record: Mapping[str, Any], name: str) -> Estimate:
        """What ``to_json`` gave.

        Raises:
            KeyError: one of the numbers is missing.
        """
        numbers = (record[name], record[f"{name}_low"], record[f"{name}_high"])
        return cls(*(math.nan if number is None else float(number) for number in numbers))


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def defined(number: float) -> float | None:
    """The number, or None where it is not finite."""
    return float(number) if math.isfinite(number) else None


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means of ``k`` quantities: over all images ``every`` ``(k,)``, over the images of units that
    were drawn with replacement ``drawn`` ``(b, k)``, and without each unit ``without`` ``(u, k)``.
    """

    every: np.ndarray
    drawn: np.ndarray
    without: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """All of them, ``(1 + b + u, k)``, from which a figure is computed for ``estimate``."""
        return np.concatenate([self.every[None], self.drawn, self.without])

    def estimate(self, values: np.ndarray) -> Estimate:
        """The estimate of a figure from its ``values`` ``(1 + b + u,)`` at ``means``."""
        b = len(self.drawn)
        return estimate_of(float(values[0]), values[1 : 1 + b], [values[1 + b :]])


def resample(
    rows: np.ndarray,
    units: np.ndarray | None = None,
    *,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
) -> Resampled:
    """Means over images of ``rows`` ``(k, n)``, in resamplings of the ``units`` ``(n,)``; without
    these each image is one.

    A mean is over the images of the drawn units, so it is the ratio of two sums over units.
    """
    return resample_sums(*_sums(rows, units), seed=seed, n_bootstrap=n_bootstrap)


def resample_sums(
    sums: np.ndarray, sizes: np.ndarray, *, seed: int = 0, n_bootstrap: int = N_BOOTSTRAP
) -> Resampled:
    """``resample`` of the sums ``(k, u)`` over the images of each unit, of which there are
    ``sizes`` ``(u,)``.
    """
    u, n = len(sizes), sizes.sum()
    drawn = np.concatenate(
        [
            counts @ sums.T / (counts @ sizes)[:, None]
            for counts in unit_draws(u, seed=seed, n_bootstrap=n_bootstrap)
        ]
    )
    left = n - sizes
    without = np.full((u, len(sums)), np.nan)
    np.divide(
        (sums.sum(1)[:, None] - sums).T, left[:, None], out=without, where=(left > 0)[:, None]
    )
    return Resampled(sums.sum(1) / n, drawn, without)


def unit_draws(u: int, *, seed: int = 0, n_bootstrap: int = N_BOOTSTRAP) -> Iterator[np.ndarray]:
    """How often each of ``u`` units is drawn in the resamplings of ``resample``, ``(rounds, u)``
    for some of the ``n_bootstrap`` rounds at a time.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _RESAMPLED_NUMBERS // u)
    for start in range(0, n_bootstrap, step):
        rounds = min(step, n_bootstrap - start)
        # Many rounds at once, as one count over (round, unit).
        chosen = generator.integers(0, u, (rounds, u)) + u * np.arange(rounds)[:, None]
        yield np.bincount(chosen.ravel(), minlength=rounds * u).reshape(rounds, u)


def mean_estimate(
    errors: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of ``errors`` ``(n,)`` of images of some ``units`` ``(n,)``; not defined of none."""
    if not len(errors):
        return UNDEFINED
    found = resample(errors[None], units, seed=seed)
    return found.estimate(found.means[:, 0])


def shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """``parts / wholes``; NaN where a whole is not above 0."""
    nothing = np.full_like(wholes, np.nan)
    found: np.ndarray = np.divide(parts, wholes, out=nothing, where=wholes > 0)
    return found


def estimate_of(
    value: float,
    drawn: np.ndarray,
    without: Sequence[np.ndarray],
    *,
    n_units: int | None = None,
) -> Estimate:
    """A figure with the interval of its values ``drawn`` ``(b,)`` in resamplings.

    ``without`` are its values without each unit, ``(u,)`` for each sample that was drawn by itself.
    ``n_units`` is how many units the figure is of, where these are fewer: those of a part.
    A figure that is not defined in more resamplings than an interval leaves out is not defined: the
    whole of which it is a share cannot be told from nothing. One unit has no interval.
    """
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < (1 + _LEVEL) / 2 * len(drawn):
        return UNDEFINED
    from scipy.special import ndtri

    u = min(map(len, without)) if n_units is None else n_units
    if u < 2:
        return Estimate(value, math.nan, math.nan)
    # As many below the value as above it, but for skewness; equal ones count half.
    below = (finite < value).mean() + (finite == value).mean() / 2
    shift = float(ndtri(np.clip(below, 1 / (2 * len(finite)), 1 - 1 / (2 * len(finite)))))
    reach = math.sqrt(u / (u - 1)) * student_quantile((1 + _LEVEL) / 2, u - 1)
    tails = [_level(side * reach, shift, _acceleration(without)) for side in (-1, 1)]
    low, high = np.quantile(finite, tails)
    # A few resamplings can leave the value itself outside.
    return Estimate(value, min(float(low), value), max(float(high), value))


def _level(z: float, shift: float, acceleration: float) -> float:
    """The share of the resamplings below a limit of BCa, of which ``z`` is the normal one."""
    from scipy.special import ndtr

    bent = max(1 - acceleration * (shift + z), _TINY)
    return float(ndtr(shift + (shift + z) / bent))


def _acceleration(without: Sequence[np.ndarray]) -> float:
    """The skewness of what the units contribute, over 6 roots of their number (Efron 1987)."""
    parts = [values[np.isfinite(values)] for values in without]
    away = np.concatenate([part.mean() - part for part in parts if len(part)] or [np.zeros(1)])
    spread = float(np.square(away).sum())
    return float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def student_quantile(share: float, degrees: float) -> float:
    """The value below which a ``share`` of Student's distribution with so many ``degrees`` of
    freedom lies.

    Example:
        >>> round(student_quantile(0.975, 9), 3)
        2.262
    """
    # scipy costs a tenth of a second, which commands that compute no interval do not wait for.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def percentiles(drawn: np.ndarray) -> tuple[float, float]:
    """The plain 95 % percentile interval of resampled figures; those not finite are left out."""
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return (math.nan, math.nan)
    low, high = np.quantile(finite, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return (float(low), float(high))


def _sums(rows: np.ndarray, units: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The sums of ``rows`` over each unit ``(k, u)`` and how many images it has ``(u,)``."""
    n = rows.shape[1]
    if units is None:
        return rows, np.ones(n)
    _, numbers = np.unique(units, return_inverse=True)
    sizes = np.bincount(numbers)
    if len(sizes) == n:
        return rows, np.ones(n)
    order = np.argsort(numbers, kind="stable")
    starts = np.cumsum(sizes) - sizes
    return np.add.reduceat(rows[:, order], starts, axis=1), sizes.astype(np.float64)
