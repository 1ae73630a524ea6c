"""How often intervals of gains and of linearity hold the truth, and how often gains are found that
are none.

    python benchmarks/gains.py gains [--rounds 1000] [--images 100] [--spread 0.5]
    python benchmarks/gains.py linearity
    python benchmarks/gains.py size [--rounds 2000]

Errors of images are simulated: those of several maps on one image are correlated (0.7), and images
are lognormally hard, with sigma `--spread` for squared errors. `gains`: R2 and efficiency of a map
beyond the best of three baselines, of which one, two or three are equally good. `linearity`: R2 and
efficiency of a linear map over those of a nonlinear one that is better by much, by little, or not
at all. Beside each coverage stands how often the truth lies below the interval and above it.
`size`: how often a map that is as good as the best baseline gains at the level of 5 %. All numbers
are percent; 1,000 rounds have a standard error of 0.7.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from latentmap.intervals import Estimate
from latentmap.relocation.gains import (
    Bounded,
    Drawn,
    gain_in_codes,
    gain_in_images,
    linearity_in_codes,
    linearity_in_images,
)

_VARIABLES = 8
_ALIKE = 0.7  # Correlation of the errors of two maps on one image.
_FLOOR = 0.1  # Of the error of the mean image.
_BASELINES = {"one best": (0.7, 0.8, 0.9), "two equal": (0.7, 0.7, 0.9), "all equal": (0.7,) * 3}
_NONLINEAR = {"0.71": 0.3, "0.96": 0.48, "1, equal": 0.5}


def together(generator: np.random.Generator, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Correlated normal numbers ``(count, *shape)``."""
    common, own = generator.normal(size=shape), generator.normal(size=(count, *shape))
    return np.asarray(math.sqrt(_ALIKE) * common + math.sqrt(1 - _ALIKE) * own)


def of_codes(
    generator: np.random.Generator, n: int, shares: Sequence[float], spread: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The variance of codes, and what maps miss that have these shares of it as errors."""
    far, hard = np.exp(spread / 2 * generator.normal(size=(2, n, 1)))
    variance = np.square(far * generator.normal(size=(n, _VARIABLES))).mean(1)
    errors = np.square(hard * together(generator, (n, _VARIABLES), len(shares))).mean(2)
    return variance, [share * error for share, error in zip(shares, errors, strict=True)]


def of_images(
    generator: np.random.Generator, n: int, shares: Sequence[float], spread: float
) -> tuple[Bounded, list[np.ndarray]]:
    """The errors of the first map between floor and mean image, and those of the others."""
    most = generator.lognormal(-(spread**2) / 2, spread, n)
    least = _FLOOR * generator.lognormal(-(spread**2) / 2, spread, n)
    hard = np.exp(0.3 * together(generator, (n,), len(shares)) - 0.3**2 / 2)
    moved, *others = (share * most * one for share, one in zip(shares, hard, strict=True))
    return Bounded(moved, least, most), others


def named(errors: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {str(number): error for number, error in enumerate(errors)}


Found = Iterator[tuple[str, Estimate, float]]


def gains(generator: np.random.Generator, n: int, seed: int, spread: float) -> Found:
    """Every figure with its truth: a map has half of the variance as its error."""
    for case, shares in _BASELINES.items():
        variance, (missed, *others) = of_codes(generator, n, (0.5, *shares), spread)
        _, gain, _ = gain_in_codes(missed, variance, named(others), Drawn(None, seed))
        yield f"gain in R2, {case}", gain, shares[0] - 0.5
        bounded, others = of_images(generator, n, (0.5, *shares), spread)
        _, gain = gain_in_images(bounded, named(others), Drawn(None, seed))
        truth = (shares[0] - 0.5) / (shares[0] - _FLOOR)
        yield f"eff. over best, {case}", gain, truth


def linearity(generator: np.random.Generator, n: int, seed: int, spread: float) -> Found:
    """Every figure with its truth."""
    for case, share in _NONLINEAR.items():
        variance, (linear, other) = of_codes(generator, n, (0.5, share), spread)
        part = linearity_in_codes(linear, other, variance, Drawn(None, seed))
        yield f"linearity {case}", part, 0.5 / (1 - share)
        bounded, (other,) = of_images(generator, n, (0.5, share), spread)
        part = linearity_in_images(bounded, other, Drawn(None, seed))
        yield f"the same of eff., {case}", part, 0.5 / (1 - share)


def coverage(
    of: Callable[[np.random.Generator, int, int, float], Found], n: int, rounds: int, spread: float
) -> None:
    generator = np.random.default_rng(0)
    counted: dict[str, np.ndarray] = {}
    for seed in range(rounds):
        for name, one, truth in of(generator, n, seed, spread):
            missed = counted.setdefault(name, np.zeros(2))
            missed += (truth < one.low, truth > one.high)
    print(f"{f'{n} images, %':32}{'held':>8}{'below':>8}{'above':>8}")
    for name, missed in counted.items():
        below, above = 100 * missed / rounds
        print(f"{name:32}{100 - below - above:8.1f}{below:8.1f}{above:8.1f}", flush=True)


def size(n: int, rounds: int, spread: float) -> None:
    print(f"{f'{n} images, %':32}{'gains':>8}")
    for case, shares in _BASELINES.items():
        generator, found = np.random.default_rng(0), 0
        for _ in range(rounds):
            variance, (missed, *others) = of_codes(generator, n, (shares[0], *shares), spread)
            drawn = Drawn(None, n_bootstrap=1)
            found += gain_in_codes(missed, variance, named(others), drawn)[2] <= 0.05
        print(f"{case:32}{100 * found / rounds:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("gains", "linearity", "size"))
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--spread", type=float, default=0.5)
    given = parser.parse_args()
    if given.what == "size":
        size(given.images, given.rounds, given.spread)
    else:
        of = gains if given.what == "gains" else linearity
        coverage(of, given.images, given.rounds, given.spread)


if __name__ == "__main__":
    main()
