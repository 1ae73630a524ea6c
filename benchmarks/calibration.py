"""How often the tests of similarity indexes find what is not there, and what their intervals cover.

    python benchmarks/calibration.py zero [--rounds 50] [--images 32 100] [--variables 8 512]
    python benchmarks/calibration.py spectra [--rounds 200] [--images 100]
    python benchmarks/calibration.py nearer [--rounds 200] [--images 100]
    python benchmarks/calibration.py coverage [--rounds 400] [--images 100 1000]

`zero`: of spaces that share nothing, how often the interval of the calibrated score holds 0, and
how often the score is above it. `spectra`: how often two such spaces are more alike than their
spectra make them, at 5 %. `nearer`: how often a space is found to be nearer to one of two others
that it is as near to, at 5 %, uncorrected. `coverage`: of the intervals of CKA, kernel CKA and GULP
of normal codes, of which the truth is known in closed form. All numbers are percent.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import chi2

from latentmap.comparison.gulp import GULP_PENALTY, gulp_distances, whitened
from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.measuring import measure, n_steps
from latentmap.comparison.nearer import nearer_of
from latentmap.comparison.relations import CKA, GULP, KERNEL_CKA, by_relation
from latentmap.comparison.resampled import Resampling, jackknife_error
from latentmap.comparison.similarity import compare_codes
from latentmap.comparison.spectra import SpectraPlan, spectra_null
from latentmap.comparison.steps import Steps
from latentmap.intervals import student_quantile
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.moments import JointMoments

FITTED = 2000
CORRELATION = 0.7
GROUPS = 20


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moments_of(spaces: list[torch.Tensor]) -> JointMoments:
    sums = MomentSums([part.shape[1] for part in spaces])
    sums.update(spaces)
    return sums.moments()


def groups(n: int, seed: int) -> list[torch.Tensor]:
    order = np.random.default_rng(seed).permutation(n)
    return [torch.from_numpy(np.setdiff1d(order, part)) for part in np.array_split(order, GROUPS)]


def show(head: str, rows: dict[str, list[float]], titles: list[str]) -> None:
    print(f"{head:34}" + "".join(f"{title:>12}" for title in titles))
    for name, numbers in rows.items():
        print(f"{name:34}" + "".join(f"{number:12.1f}" for number in numbers), flush=True)


def zero(rounds: int, images: list[int], variables: list[int]) -> None:
    for n in images:
        for d in variables:
            counted = {name: np.zeros(2) for name in INDEXES}
            for seed in range(rounds):
                fit = moments_of([normal(10 * seed + i, max(FITTED, 2 * d), d) for i in (0, 1)])
                codes = [normal(10 * seed + i, n, d) for i in (2, 3)]
                found = compare_codes(codes, fit, seed=seed, permutations=19).matrices
                for name, one in found.items():
                    counted[name] += [one.calibrated_low[0, 1] == 0, one.calibrated[0, 1] > 0]
            rows = {name: list(100 * part / rounds) for name, part in counted.items()}
            show(f"{n} images, {d} variables, {rounds} rounds", rows, ["holds 0", "above 0"])


def uneven(seed: int, n: int, d: int) -> torch.Tensor:
    """Normal codes whose variables vary from 1 to a tenth."""
    return normal(seed, n, d) * torch.logspace(0, -1, d)


def spectra(rounds: int, images: list[int], variables: list[int]) -> None:
    for n in images:
        small = dict.fromkeys(INDEXES, 0)
        plan = SpectraPlan.of([12, 8], 99)
        for seed in range(rounds):
            fit = moments_of([uneven(10 * seed + d, FITTED, d) for d in (12, 8)])
            codes = [uneven(10 * seed + d + 1, n, d) for d in (12, 8)]
            steps = Steps(None, n_steps(2, 0) + plan.steps)
            found, _ = measure(codes, fit, Resampling([], []), steps)
            null = spectra_null(fit, plan, n, seed=seed, steps=steps)
            for name, index in INDEXES.items():
                sign = 1 if index.higher_is_alike else -1
                alike = sign * null[name][:, 0, 1] >= sign * found[name].value[0, 1]
                small[name] += (1 + alike.sum()) / (1 + len(alike)) <= 0.05
        rows = {name: [100 * part / rounds] for name, part in small.items()}
        show(f"spectra: {n} images, {rounds} rounds", rows, ["p <= 5 %"])


def three(seed: int, n: int) -> list[torch.Tensor]:
    """A space, and two that are as near to it."""
    hidden, way = normal(seed, n, 4), normal(10**7, 4, 8)
    return [hidden @ way + 1.0 * normal(seed + i, n, 8) for i in (1, 2, 3)]


def nearer(rounds: int, images: list[int], variables: list[int]) -> None:
    for n in images:
        counted = {name: np.zeros(2) for name in INDEXES}
        for seed in range(rounds):
            fit = moments_of(three(10 * seed + 5, FITTED))
            resampling = Resampling(groups(n, seed), [])
            codes = three(10 * seed, n)
            found, _ = measure(codes, fit, resampling, Steps(None, n_steps(3, 0)))
            for name, one in found.items():
                test = nearer_of(one, higher_is_alike=INDEXES[name].higher_is_alike)[0]
                held = test.difference.low <= 0 <= test.difference.high
                counted[name] += [test.p_value <= 0.05, held]
        rows = {name: list(100 * part / rounds) for name, part in counted.items()}
        show(f"nearer: {n} images, {rounds} rounds", rows, ["p <= 5 %", "holds 0"])


def true_kernel_cka(d: int, rho: float) -> float:
    """Of normal codes of ``d`` variables that correlate pair by pair."""
    square = 2 * chi2.median(d)

    def hsic(r: float) -> float:
        both = ((1 + 2 / square) ** 2 - (2 * r / square) ** 2) ** (-d / 2)
        apart = (1 + 2 / square) ** -d
        about = (
            square / (square + 1) / np.sqrt((1 + 1 / (square + 1)) ** 2 - (r / (square + 1)) ** 2)
        )
        return float(both + apart - 2 * about**d)

    return hsic(rho) / hsic(1)


def true_gulp(fit: JointMoments, rho: float) -> float:
    """Of such codes, whitened by some moments."""
    ways = []
    for number in (0, 1):
        products = fit.between(number, number).xx
        share = products / products.trace()
        penalty = GULP_PENALTY * torch.eye(len(share), dtype=share.dtype)
        ways.append(torch.linalg.inv(share + penalty) / products.trace())
    own = [float((way @ way).trace()) for way in ways]
    shared = rho**2 * float((ways[0] @ ways[1]).trace())
    products_of = np.array([[own[0], shared], [shared, own[1]]])
    return float(gulp_distances(products_of, np.array(own))[0, 1])


def correlated(seed: int, n: int, d: int) -> list[torch.Tensor]:
    one, other = normal(seed, n, d), normal(seed + 1, n, d)
    return [one, CORRELATION * one + (1 - CORRELATION**2) ** 0.5 * other]


def coverage(rounds: int, images: list[int], variables: list[int]) -> None:
    d = 8
    fit = moments_of(correlated(10**6, FITTED, d))
    truth = {
        "cka": CORRELATION**2,
        "kernel_cka": true_kernel_cka(d, CORRELATION),
        "gulp": true_gulp(fit, CORRELATION),
    }
    relations = {"cka": CKA, "kernel_cka": KERNEL_CKA, "gulp": GULP}
    reach = student_quantile(0.975, GROUPS - 1)
    for n in images:
        held = {name: np.zeros(2) for name in truth}
        for seed in range(rounds):
            codes = correlated(2 * seed, n, d)
            white = [
                whitened(part, fit.between(i, i).source_spectrum) for i, part in enumerate(codes)
            ]
            for name, relation in relations.items():
                seen = white if name == "gulp" else codes
                _, value, without = by_relation(seen, relation, groups(n, seed))
                parts = [one.numpy() for one in (value[None], without)]
                if name == "gulp":
                    parts = [gulp_distances(p, np.diagonal(p, axis1=1, axis2=2)) for p in parts]
                (whole,), error = parts[0][:, 0, 1], jackknife_error(parts[1][:, 0, 1])
                held[name] += [abs(whole - truth[name]) <= reach * error, whole - truth[name]]
        rows = {
            f"{name} {truth[name]:.4f}": [100 * part[0] / rounds, 100 * part[1] / rounds]
            for name, part in held.items()
        }
        show(f"coverage: {n} images, {rounds} rounds", rows, ["covered", "bias"])


WHAT: dict[str, Callable[[int, list[int], list[int]], None]] = {
    "zero": zero,
    "spectra": spectra,
    "nearer": nearer,
    "coverage": coverage,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--images", type=int, nargs="+", default=[100])
    parser.add_argument("--variables", type=int, nargs="+", default=[8])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    WHAT[arguments.what](arguments.rounds, arguments.images, arguments.variables)


if __name__ == "__main__":
    main()
