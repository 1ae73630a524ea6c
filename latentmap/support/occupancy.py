"""Whether codes fill the sectors as their prior would: the counts beside what it expects.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.support.support_set import SupportSet

# Below this expectation of a cell the chi-square distribution does not hold (Cochran 1954).
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class ChiSquare:
    """Pearson's test that counts come from a distribution.

    ``cells`` were compared: sectors with small expectations are merged, and what is in no sector is
    a cell too. ``excess`` is ``statistic / freedom``, about 1 where the distribution is right.
    """

    statistic: float
    freedom: int
    p_value: float
    cells: int

    @property
    def excess(self) -> float:
        return self.statistic / self.freedom

    @property
    def p_text(self) -> str:
        """The p-value for people; below the smallest number it is not 0."""
        return f"p = {self.p_value:.2g}" if self.p_value > 0 else "p < 1e-300"

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {**vars(self), "excess": self.excess}


@dataclass(frozen=True, eq=False)
class Occupancy:
    """The members of every sector at a threshold, and what is expected.

    ``expected`` is the same number for every sector: leading variables are taken as independent
    and normal, standard normal in a space of kind ``z`` (its prior), and with the mean and the
    deviation of the codes in any other (``fitted``). ``test`` is None where too few members are
    expected for one.
    """

    threshold: float
    counts: np.ndarray
    expected: float
    n: int
    fitted: bool
    test: ChiSquare | None

    def to_json(self) -> dict[str, Any]:
        """Counts, expectation and test."""
        return {
            "threshold": self.threshold,
            "counts": self.counts.tolist(),
            "occupied": int((self.counts > 0).sum()),
            "members": int(self.counts.sum()),
            "expected": self.expected,
            "n": self.n,
            "reference": "independent normal" if self.fitted else "standard normal",
            "chi_square": None if self.test is None else self.test.to_json(),
        }


def occupancy_of(support: SupportSet, *, threshold: float | None = None) -> Occupancy:
    """The members of every sector among the candidates of a support set; ``threshold=0`` counts
    by sides alone, where every image is in a sector.
    """
    at_zero = threshold == 0
    counts = support.orthants if at_zero else support.occupancy
    k = len(support.settings["variables"])
    fitted = support.space.kind != "z"
    return _compare(counts, 0.0 if at_zero else support.threshold, k, support.n_candidates, fitted)


def occupancies_of(support: SupportSet) -> list[Occupancy]:
    """That of a support set at its threshold, and by sides alone where this is another."""
    others = [occupancy_of(support, threshold=0)] if support.threshold > 0 else []
    return [occupancy_of(support), *others]


def _compare(counts: np.ndarray, threshold: float, k: int, n: int, fitted: bool) -> Occupancy:
    from scipy.stats import norm

    share = float(norm.sf(threshold)) ** k
    test = chi_square(
        # Outside first: what a merge leaves over is added to a sector.
        np.append(n - counts.sum(), counts),
        n * np.append(max(1 - len(counts) * share, 0), np.full(len(counts), share)),
        estimated=2 * k if fitted else 0,
    )
    return Occupancy(threshold, counts, n * share, n, fitted, test)


def chi_square(counts: np.ndarray, expected: np.ndarray, *, estimated: int = 0) -> ChiSquare | None:
    """Pearson's test of ``counts`` against ``expected`` ones; None where it has no freedom.

    Neighbouring cells are merged, from the first on, until each expects 5 at least; what is left at
    the end joins the last. ``estimated`` parameters of the distribution were taken from the counts.
    """
    from scipy.stats import chisquare

    merged: list[tuple[float, float]] = []
    have, want = 0.0, 0.0
    for count, expectation in zip(counts.tolist(), expected.tolist(), strict=True):
        have, want = have + count, want + expectation
        if want >= _LEAST_EXPECTED:
            merged.append((have, want))
            have, want = 0.0, 0.0
    if merged:
        merged[-1] = (merged[-1][0] + have, merged[-1][1] + want)
    freedom = len(merged) - 1 - estimated
    if freedom < 1:
        return None
    observed, wanted = (np.array(column) for column in zip(*merged, strict=True))
    result = chisquare(observed, wanted * (observed.sum() / wanted.sum()), ddof=estimated)
    return ChiSquare(float(result.statistic), freedom, float(result.pvalue), len(merged))
