"""How often the intervals of a learning curve hold the truth.

    python benchmarks/curves.py [--rounds 200]

Codes of 12 variables are mapped to 8 with noise; maps are by ridge from 16, 64, 256 random pairs of
1024, five draws each, and from all, scored on 300 images that differ in how far out they lie. What
a map misses of an image is a part of what it misses of the code, over a floor. Printed, in percent:
how often the intervals over images hold the figure of these draws over all images that there could
be; how often another draw lies in the range over draws; how often the interval of the pairs that
are enough holds those of the same curve without noise, by the sizes, and by a grid of 40 sizes.
The estimate over the truth is a mean. 200 rounds have a standard error of 1.5.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict

import numpy as np

from latentmap.relocation.curve_figures import CurveFigures
from latentmap.relocation.draws import Missed, in_turn, turns_of
from latentmap.relocation.enough import first_within
from latentmap.relocation.measuring import ImageErrors

P, Q, POOL, IMAGES, DRAWS = 12, 8, 1024, 300, 5
SIZES = [16, 64, 256, 1024]
FINE = np.unique(np.geomspace(16, POOL, 40).astype(int)).tolist()
FAR, NOISE, OF_IMAGE, FLOOR = 0.3, 0.5, 0.2, 0.1


def codes(generator: np.random.Generator, weight: np.ndarray, n: int) -> tuple[np.ndarray, ...]:
    x = np.exp(FAR * generator.normal(size=(n, 1))) * generator.normal(size=(n, P))
    return x, x @ weight + NOISE * generator.normal(size=(n, Q))


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.solve(x.T @ x + np.eye(P), x.T @ y)


def true_error(weight: np.ndarray, found: np.ndarray) -> float:
    """Over all images that there could be."""
    return NOISE**2 + math.exp(2 * FAR**2) * float(np.square(weight - found).sum()) / Q


def shares_of(variance: float, error: float) -> dict[str, float]:
    """R2, and the efficiency, whose baseline and floor are those of images."""
    return {"r2": 1 - error / variance, "efficiency": (variance - error) / variance}


def one_round(number: int, counted: dict[str, list[float]]) -> None:
    generator = np.random.default_rng(number)
    weight = generator.normal(size=(P, Q)) / math.sqrt(P)
    pool, (x, y) = codes(generator, weight, POOL), codes(generator, weight, IMAGES)
    hard = FLOOR * np.exp(0.5 * generator.normal(size=IMAGES))
    variance = float(true_error(weight, np.zeros_like(weight)))
    spread = np.square(y).mean(1)

    def drawn(size: int) -> np.ndarray:
        rows = generator.permutation(POOL)[:size]
        return ridge(pool[0][rows], pool[1][rows])

    maps = [[drawn(size) for _ in range(DRAWS if size < POOL else 1)] for size in SIZES]
    missed = [np.stack([np.square(y - x @ one).mean(1) for one in of]) for of in maps]
    turns = [turns_of(IMAGES, len(of), seed=number) for of in maps]
    rows = [
        hard + OF_IMAGE * of[turn, np.arange(IMAGES)]
        for of, turn in zip(missed, turns, strict=True)
    ]
    bounds = [hard, hard + OF_IMAGE * spread]
    moved = [
        in_turn(row, turn, np.mean([*bounds, *rows[:k], *rows[k + 1 :]], axis=0))
        for k, (row, turn) in enumerate(zip(rows, turns, strict=True))
    ]
    nothing = np.full(IMAGES, np.nan)
    errors = ImageErrors(
        *(np.arange(IMAGES), np.arange(IMAGES), nothing, nothing, spread, nothing, nothing),
        *bounds,
    )
    figures = CurveFigures.of(
        errors, errors, [Missed(of.mean(0), of.mean(1)) for of in missed], moved, 0
    )
    for k, (size, of) in enumerate(zip(SIZES, maps, strict=True)):
        found, over_draws = figures.at(k)
        truth = shares_of(variance, float(np.mean([true_error(weight, one) for one in of])))
        for name, value in truth.items():
            _, low, high = found[name]
            counted[f"{name} over images, {size} pairs"].append(low <= value <= high)
            if len(of) < 2:
                continue
            low, high = over_draws[name]
            for _ in range(10):
                again = np.square(y - x @ drawn(size)).mean(1)
                value = shares_of(float(spread.mean()), float(again.mean()))[name]
                counted[f"{name} over draws, {size} pairs"].append(low <= value <= high)
    end = true_error(weight, maps[-1][0])

    def expected(sizes: list[int], times: int) -> np.ndarray:
        means = [np.mean([true_error(weight, drawn(n)) for _ in range(times)]) for n in sizes[:-1]]
        return 1 - np.array([*means, end]) / variance

    by_sizes, finely = (
        first_within(SIZES, expected(SIZES, 20)),
        first_within(FINE, expected(FINE, 5)),
    )
    for name, one in figures.enough(SIZES, seed=0).items():
        counted[f"enough by {name}, same sizes"].append(one.pairs.low <= by_sizes <= one.pairs.high)
        counted[f"enough by {name}, fine sizes"].append(one.pairs.low <= finely <= one.pairs.high)
        counted[f"enough by {name}, times the truth"].append(one.pairs.value / finely)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    counted: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        one_round(number, counted)
    for what, held in counted.items():
        print(f"{what:40} {100 * float(np.mean(held)):6.1f}")


if __name__ == "__main__":
    main()
