"""The size of the test of how full sectors are: how often it rejects what is right, at 5 %.

    python benchmarks/occupancy.py [--rounds 200]

Printed for each kind of space, number of codes, and threshold: the share of rounds whose p-value is
at most 0.05, at that threshold and by sides alone (goal: 0.05, within two standard errors). `auto`
is the threshold that the codes themselves choose. Posterior means have the variance 1 - s2; beside
them the last rows have the power against codes that have 1, and against two that are correlated.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from latentmap.codes import Codes, Space
from latentmap.support import ChoiceOptions, choose_support_set
from latentmap.support.centers import Center
from latentmap.support.occupancy import occupancies_of

_S2 = 0.1
Threshold = float | Literal["auto"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    print(f"{rounds} rounds; standard error of 0.05: {math.sqrt(0.05 * 0.95 / rounds):.3f}")
    print("codes              n  variables  threshold  rejected  by sides")
    for kind, n, k, threshold in cases():
        values = np.array([p_values(kind, n, k, threshold, seed) for seed in range(rounds)])
        shares = np.nanmean(np.where(np.isnan(values), np.nan, values <= 0.05), axis=0)
        print(f"{kind:<16}{n:>6}{k:>9}{threshold!s:>11}{shares[0]:>12.3f}{shares[1]:>10.3f}")


def cases() -> Iterator[tuple[str, int, int, Threshold]]:
    for kind in ("w", "posterior means", "z", "z about zero"):
        thresholds: tuple[Threshold, ...] = (0.3, 0.7, "auto")
        for threshold in thresholds:
            yield kind, 500, 4, threshold
        yield kind, 2000, 4, 0.3
        yield kind, 2000, 6, 0.3
    yield "w", 10_000, 7, 0.3
    yield "posterior means", 10_000, 7, 0.3
    yield "means of var. 1", 2000, 4, 0.3
    yield "two correlated", 2000, 4, 0.3


def p_values(kind: str, n: int, k: int, threshold: Threshold, seed: int) -> list[float]:
    """The p-values of one draw; NaN where too few members are expected for a test."""
    vectors = np.random.default_rng(seed).standard_normal((n, k))
    if kind == "posterior means":
        vectors *= math.sqrt(1 - _S2)
    if kind == "two correlated":
        vectors[:, 1] = 0.1 * vectors[:, 0] + math.sqrt(0.99) * vectors[:, 1]
    space = Space("w" if kind in ("w", "two correlated") else "z", k, "a", "aa")
    codes = Codes.from_array(np.arange(n).astype(str), vectors.astype(np.float32), space=space)
    center: Center = "zero" if kind == "z about zero" else "mean"
    support = choose_support_set(
        codes, range(k), ChoiceOptions(threshold=threshold, size=2**k, center=center), seed=seed
    )
    if kind in ("posterior means", "means of var. 1"):
        support = support.with_settings(posterior_variance=[_S2] * k)
    found = occupancies_of(support)
    return [math.nan if one.test is None else one.test.p_value for one in (found[0], found[-1])]


if __name__ == "__main__":
    main()
