"""Whether codes fill the sectors as their prior would: the counts beside what it expects.

The test is of independent codes: where several images are of one unit (see
``latentmap.codes.units_of``), it is of one random image of each.

Shapes: ``n`` images of ``u`` units, ``k`` leading variables, ``2^k`` sectors, ``b`` resamplings
(499).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from latentmap.codes import Codes, Space, one_of_each
from latentmap.codes.channel_means import channel_means, channel_space
from latentmap.report.words import groups_in_words
from latentmap.support.centers import centers_of, scales_of
from latentmap.support.sectors import leading_values, members_at
from latentmap.support.support_set import SupportSet

RESAMPLINGS = 499
# Below this expectation of a cell Pearson's statistic is ruled by single images (Cochran 1954).
_LEAST_EXPECTED = 5.0
# A resampling needs no more codes: the statistic of as many does not tell how many they are.
_MOST_CODES = 250_000
_SEED = 0
_SMALLEST_VARIANCE = 1e-12  # Of a variable that says nothing: its codes are all at the center.


@dataclass(frozen=True)
class Reference:
    """What the codes of leading variables are compared with: independent normal variables with
    these ``deviations`` ``(k,)``, in the units of the sectors.

    Sectors that are ``centered`` lie about the mean of the codes, which is then estimated, and so
    are the deviations where they are ``fitted``: resamplings estimate both again.
    """

    name: str
    deviations: tuple[float, ...]
    centered: bool
    fitted: bool

    @classmethod
    def of(cls, support: SupportSet) -> Reference:
        """That of the leading variables of a support set, see ``in_space``."""
        settings = support.settings
        return cls.in_space(
            support.space,
            len(settings["variables"]),
            centered=settings.get("centered_on") == "mean",
            posterior=settings.get("posterior_variance"),
        )

    @classmethod
    def in_space(
        cls,
        space: Space,
        k: int,
        *,
        centered: bool = True,
        posterior: Sequence[float] | None = None,
    ) -> Reference:
        """That of the prior in a space of kind ``z``, as far as it is known; in any other a normal
        distribution with the mean and the deviation of the codes.

        Posterior means of a VAE that fits its prior have the variance 1 - mean s2, s2 being the
        ``posterior`` variance ``(k,)`` (Asperti, arXiv 1812.07238): only their samples have 1.
        """
        if channel_space(space).kind != "z":
            # Their sectors always were about the mean.
            return cls("independent normal", (1.0,) * k, centered=True, fitted=True)
        if posterior is None:
            return cls("standard normal", (1.0,) * k, centered, fitted=False)
        variance = np.maximum(1 - np.asarray(posterior, np.float64), _SMALLEST_VARIANCE)
        deviations = tuple(np.sqrt(variance).tolist())
        return cls("normal, variance 1 - mean s2", deviations, centered, fitted=False)

    def along(self, places: Sequence[int]) -> Reference:
        """The same of some of its variables, by their places."""
        return replace(self, deviations=tuple(self.deviations[place] for place in places))

    def share(self, threshold: float) -> float:
        """The share of images that is expected in each sector."""
        from scipy.special import ndtr  # scipy.stats would take seconds to import.

        return float(np.prod(ndtr(-threshold / np.array(self.deviations))))

    def resample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Coordinates ``(n, k)`` of ``n`` codes of this distribution in their own sectors."""
        # Variable by variable, which is twice as fast as code by code.
        t = generator.standard_normal((len(self.deviations), n), dtype=np.float32)
        t *= np.array(self.deviations, np.float32)[:, None]
        if self.centered:
            t -= t.mean(axis=1, keepdims=True)
        if self.fitted:
            t /= t.std(axis=1, keepdims=True)
        return t.T


@dataclass(frozen=True)
class ChiSquare:
    """Pearson's statistic of counts, against resamplings of what is expected.

    ``cells`` were compared: sectors with small expectations are merged, and what is in no sector is
    a cell too. ``null_mean`` is the mean of the statistic over the ``resamplings``, and ``p_value``
    the share of these and of the counts themselves that are as far off, ``(1 + b') / (1 + b)``.
    ``excess`` is ``statistic / null_mean``, about 1 where the distribution is right.
    """

    statistic: float
    null_mean: float
    p_value: float
    cells: int
    resamplings: int

    @property
    def excess(self) -> float:
        return self.statistic / self.null_mean

    @property
    def p_text(self) -> str:
        """The p-value for people; the smallest that there can be is a bound."""
        least = self.p_value <= 1 / (1 + self.resamplings)
        return f"p {'<=' if least else '='} {self.p_value:.2g}"

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {**vars(self), "excess": self.excess}


@dataclass(frozen=True, eq=False)
class Occupancy:
    """The members of every sector at a threshold, and what is expected by the ``reference``, the
    same number for every sector. ``test`` is of one image of each of ``n_units`` units, and None
    where too few members are expected for one.
    """

    threshold: float
    counts: np.ndarray
    expected: float
    n: int
    n_units: int
    reference: Reference
    test: ChiSquare | None

    @property
    def tested(self) -> str:
        """For people, which images the test is of; nothing where it is of all."""
        if self.n_units >= self.n:
            return ""
        return f"the test is of one random image of each of {groups_in_words(self.n_units)}"

    def to_json(self) -> dict[str, Any]:
        """Counts, expectation and test."""
        return {
            "threshold": self.threshold,
            "counts": self.counts.tolist(),
            "occupied": int((self.counts > 0).sum()),
            "members": int(self.counts.sum()),
            "expected": self.expected,
            "n": self.n,
            "n_units": self.n_units,
            "reference": self.reference.name,
            "chi_square": None if self.test is None else self.test.to_json(),
        }


def occupancies_of(support: SupportSet) -> list[Occupancy]:
    """The members of every sector among the candidates of a support set: at its threshold, and by
    sides alone, where every image is in a sector, if this is another.
    """
    counts = {support.threshold: support.occupancy}
    counts.setdefault(0.0, support.orthants)
    judged = counts
    if support.unit_occupancy is not None and support.unit_orthants is not None:
        judged = {support.threshold: support.unit_occupancy}
        judged.setdefault(0.0, support.unit_orthants)
    reference, n, n_units = Reference.of(support), support.n_candidates, support.n_units
    null = _null_statistics(reference, n_units, tuple(counts))
    return [
        Occupancy(
            threshold,
            counts[threshold],
            n * reference.share(threshold),
            n,
            n_units,
            reference,
            _test(judged[threshold], reference.share(threshold), n_units, statistics),
        )
        for threshold, statistics in zip(counts, null, strict=True)
    ]


def count_units(
    support: SupportSet, codes: Codes, units: np.ndarray, *, seed: int = 0
) -> SupportSet:
    """A support set of some ``codes`` with the counts of one random image of each of the ``units``
    ``(n,)``, on which the test is; as it was where no candidate shares its unit.

    The sectors are about the center of these images, and in their unit, as in a resampling.
    """
    positions = one_of_each(units, seed=seed)
    variables = support.settings["variables"]
    if len(positions) == support.n_candidates or not variables:
        return replace(support, n_units=len(positions))
    judged = channel_means(codes.take(positions))
    values = leading_values(judged, variables)
    center = centers_of(judged.space, values.mean(axis=0), center=support.settings["centered_on"])
    unit = scales_of(judged.space, values.var(axis=0))
    # Few images can be all alike along a variable, and then they are at its center.
    coordinates = (values - center) / np.where(unit > 0, unit, 1.0)
    occupancy, orthants = members_at(coordinates, [support.threshold, 0])
    return replace(support, n_units=len(judged), unit_occupancy=occupancy, unit_orthants=orthants)


def _test(counts: np.ndarray, share: float, n: int, null: np.ndarray) -> ChiSquare | None:
    """The counts of ``n`` independent codes against the statistics ``null`` of resamplings."""
    if not len(null):
        return None
    expected, starts = _cells(share, n, len(counts))
    statistic = float(pearson(_with_outside(counts, n), expected, starts))
    as_far = int((null >= statistic).sum())
    return ChiSquare(
        statistic, float(null.mean()), (1 + as_far) / (1 + len(null)), len(starts), len(null)
    )


# The table, the figure and the page of one set ask for the same.
@lru_cache(maxsize=8)
def _null_statistics(
    reference: Reference, n: int, thresholds: tuple[float, ...]
) -> list[np.ndarray]:
    """The statistic at each threshold in ``(b,)`` resamplings; none where there is no test."""
    k = len(reference.deviations)
    n = min(n, _MOST_CODES)
    cells = [_cells(reference.share(threshold), n, 2**k) for threshold in thresholds]
    generator = np.random.default_rng(_SEED)
    found: list[list[float]] = [[] for _ in thresholds]
    for _ in range(RESAMPLINGS if any(len(starts) > 1 for _, starts in cells) else 0):
        members = members_at(reference.resample(n, generator), thresholds)
        for counts, (expected, starts), statistics in zip(members, cells, found, strict=True):
            if len(starts) > 1:
                statistics.append(float(pearson(_with_outside(counts, n), expected, starts)))
    return [np.array(statistics) for statistics in found]


def _with_outside(counts: np.ndarray, n: int) -> np.ndarray:
    """What is in no sector, then the sectors: what a merge leaves over is added to a sector."""
    return np.append(n - counts.sum(), counts)


def _cells(share: float, n: int, sectors: int) -> tuple[np.ndarray, np.ndarray]:
    """The expectations of what is outside and of the sectors, and where merged cells start."""
    outside = max(1 - sectors * share, 0.0)
    shares = np.append(outside, np.full(sectors, share))
    # The cells are those of the resamplings.
    return n * shares, cell_starts(min(n, _MOST_CODES) * shares)


def cell_starts(expected: Sequence[float] | np.ndarray) -> np.ndarray:
    """Where cells start when neighbours are merged, from the first on, until each expects 5 at
    least; what is left at the end joins the last. None where all together expect less.
    """
    starts, want = [0], 0.0
    for position, expectation in enumerate(expected, 1):
        want += float(expectation)
        if want >= _LEAST_EXPECTED:
            starts.append(position)
            want = 0.0
    # The last start is that of what is left over, or of nothing.
    return np.array(starts[:-1], dtype=np.int64)


def pearson(counts: np.ndarray, expected: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Pearson's statistic ``sum (count - expected)^2 / expected`` over merged cells."""
    observed = np.add.reduceat(counts, starts)
    wanted = np.add.reduceat(expected, starts)
    return np.asarray((np.square(observed - wanted) / wanted).sum())
