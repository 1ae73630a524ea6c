"""How often intervals hold the truth, and how often unrelated spaces are taken for alike.

    python benchmarks/coverage.py intervals [--rounds 2000]
    python benchmarks/coverage.py persons [--rounds 300]
    python benchmarks/coverage.py null [--rounds 300]

`intervals`: of means and shares of 10 to 100 images, whose errors are normal, lognormal, or those
of a map: beside the intervals of latentmap, plain percentiles of the same resamplings and Student's
interval. `persons`: the same where images are of persons, who differ more than their images; beside
it, resampling images. `null`: the share of unrelated spaces whose p-value is at most 5 %, by one
image a person and by all images. All numbers are percent; 2000 rounds have a standard error of 0.5.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import t as student

from latentmap.comparison.similarity import compare_codes
from latentmap.intervals import Estimate, Resampled, percentiles, resample, shares
from latentmap.mapping.moment_sums import MomentSums

# Rows (parts, wholes) of n images, and the true share.
Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def of_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values, np.ones_like(values)


def of_a_map(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """R2: what is missed of codes in eight variables; images differ in how far out they are."""
    far, missed = np.exp(0.5 * generator.normal(size=(2, n, 1)))
    codes = far * generator.normal(size=(n, 8))
    errors = 0.5 * missed * generator.normal(size=(n, 8))
    variance = np.square(codes).mean(1)
    return variance - np.square(errors).mean(1), variance


def of_images(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The efficiency: baseline, floor and error of images."""
    baseline = generator.lognormal(0, 0.5, n)
    floor = 0.1 * generator.lognormal(0, 0.8, n)
    error = 0.4 * baseline * generator.lognormal(0, 0.3, n)
    return baseline - error, baseline - floor


SHARES: dict[str, tuple[Draw, float]] = {
    "mean, normal": (lambda g, n: of_means(g.normal(5, 1, n)), 5.0),
    "mean, lognormal 0.5": (lambda g, n: of_means(g.lognormal(0, 0.5, n)), math.exp(0.125)),
    "mean, lognormal 1": (lambda g, n: of_means(g.lognormal(0, 1, n)), math.exp(0.5)),
    "R2": (of_a_map, 0.75),
    "efficiency": (
        of_images,
        (1 - 0.4 * math.exp(0.045)) / (1 - 0.1 * math.exp(0.32 - 0.125)),
    ),
}


def holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def estimate(parts: np.ndarray, wholes: np.ndarray, found: Resampled) -> tuple[Estimate, float]:
    """The interval of latentmap, and the half width of Student's."""
    values = shares(found.means[:, 0], found.means[:, 1])
    contributions = (parts - values[0] * wholes) / wholes.mean()
    error = contributions.std(ddof=1) / math.sqrt(len(parts))
    return found.estimate(values), float(student.ppf(0.975, len(parts) - 1) * error)


def intervals(rounds: int) -> None:
    print(f"{'coverage, %':22}{'images':>7}{'latentmap':>11}{'percentiles':>13}{'Student':>9}")
    for name, (draw, truth) in SHARES.items():
        for n in (10, 20, 50, 100):
            generator = np.random.default_rng(0)
            held = np.zeros(3)
            for seed in range(rounds):
                parts, wholes = draw(generator, n)
                found = resample(np.stack([parts, wholes]), seed=seed)
                one, half = estimate(parts, wholes, found)
                plain = percentiles(shares(found.drawn[:, 0], found.drawn[:, 1]))
                about = (one.value - half, one.value + half)
                held += [holds(each, truth) for each in (one[1:], plain, about)]
            ours, others, last = 100 * held / rounds
            print(f"{name:22}{n:7}{ours:11.1f}{others:13.1f}{last:9.1f}", flush=True)


def persons(rounds: int) -> None:
    """Means of errors of persons of 1 to 9 images; most of an error is the person's."""
    print(f"{'coverage, %':22}{'persons':>8}{'by person':>11}{'by image':>10}")
    truth = math.exp((0.5**2 + 0.3**2) / 2)
    for n in (10, 20, 50, 200):
        generator = np.random.default_rng(0)
        held = np.zeros(2)
        for seed in range(rounds):
            units = np.repeat(np.arange(n), generator.integers(1, 10, n))
            person = generator.normal(0, 0.5, n)[units]
            errors = np.exp(person + generator.normal(0, 0.3, len(units)))
            for number, given in enumerate((units, None)):
                found = resample(errors[None], given, seed=seed)
                held[number] += holds(found.estimate(found.means[:, 0])[1:], truth)
        by_person, by_image = 100 * held / rounds
        print(f"{'mean, lognormal':22}{n:8}{by_person:11.1f}{by_image:10.1f}", flush=True)


def null(rounds: int) -> None:
    """Two spaces that share nothing, of 40 persons of 1 to 7 images."""
    small: dict[str, np.ndarray] = {}
    for seed in range(rounds):
        generator = torch.Generator().manual_seed(seed)
        sizes = np.random.default_rng(seed).integers(1, 8, 40)
        units = np.repeat(np.arange(40), sizes)
        rows = torch.from_numpy(units)
        spaces = [
            torch.randn(40, 8, generator=generator)[rows]
            + 0.5 * torch.randn(len(rows), 8, generator=generator)
            for _ in range(2)
        ]
        sums = MomentSums([8, 8])
        sums.update([torch.randn(400, 8, generator=generator) for _ in range(2)])
        for number, given in enumerate((units, None)):
            found = compare_codes(spaces, sums.moments(), seed=seed, units=given, permutations=19)
            for name, matrix in found.matrices.items():
                counted = small.setdefault(name, np.zeros(2))
                counted[number] += matrix.p_value[0, 1] <= 0.05
    print(f"{'false positives, %':22}{'one a person':>14}{'all images':>12}")
    for name, counted in small.items():
        by_person, by_image = 100 * counted / rounds
        print(f"{name:22}{by_person:14.1f}{by_image:12.1f}")


WHAT = {"intervals": intervals, "persons": persons, "null": null}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    WHAT[arguments.what](arguments.rounds)


if __name__ == "__main__":
    main()
