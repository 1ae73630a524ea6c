"""How often figures of a set beside random images hold the truth, and what is told of equal sets.

    python benchmarks/difficulty.py coverage [--rounds 2000] [--images 100]
    python benchmarks/difficulty.py size [--rounds 2000] [--images 100]

Images are vectors of 20 numbers, of which some are further out than others; errors grow with how
far out an image is, and with how hard it is for any model. `coverage`: of a set that is 1.5 times
as far out as random images, the intervals of its ratios to these and of its shares. `size`: of a
second sample of the same images, how often a ratio is told from 1, and which verdicts follow. All
numbers are percent; 2000 rounds have a standard error of 0.5.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter

import numpy as np

from latentmap.expressiveness.difficulty import PLAIN, WHOLES, Held, compare_difficulty

FAR, NUMBERS = 1.5, 20


def draw(
    generator: np.random.Generator, n: int, far: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images ``(n, 20)``, the errors of a generator, and those of a reference model, ``(n,)``."""
    scale = far * generator.lognormal(0, 0.25, (n, 1))
    images = scale * generator.normal(size=(n, NUMBERS))
    hard = np.sqrt(np.square(images).mean(1)) * generator.lognormal(0, 0.3, n)
    errors, reference = (hard * generator.lognormal(0, spread, n) for spread in (0.3, 0.15))
    return images, 0.2 * errors, 0.1 * reference


def held(
    sample: tuple[np.ndarray, np.ndarray, np.ndarray], mean: np.ndarray, *, among: bool
) -> Held:
    images, errors, reference = sample
    raised = len(images) / (len(images) - 1)
    wholes = {
        "mean_image": np.square(images - mean).mean(1) * (raised if among else 1),
        "variance": np.square(images - images.mean(0)).mean(1) * raised,
        "reference": reference,
    }
    return Held({"limit": errors}, wholes, np.arange(len(images)))


def pair_of(seed: int, n: int, far: float) -> tuple[Held, Held]:
    """A set and random images."""
    generator = np.random.default_rng(seed)
    random = draw(generator, n, 1.0)
    mean = random[0].mean(0)
    return held(draw(generator, n, far), mean, among=False), held(random, mean, among=True)


def truths(far: float) -> tuple[dict[str, float], dict[str, float]]:
    """The ratios, and the shares of the set, of endlessly many images."""
    # Errors grow as the root of what is held against, the mean image's error as the square.
    ratios = {PLAIN: far, "mean_image": 1 / far, "variance": 1 / far, "reference": 1.0}
    root = math.sqrt(2 / NUMBERS) * math.exp(
        math.lgamma((NUMBERS + 1) / 2) - math.lgamma(NUMBERS / 2)
    )
    hard = far * root * math.exp((0.25**2 + 0.3**2) / 2)
    error, square = 0.2 * hard * math.exp(0.3**2 / 2), far**2 * math.exp(2 * 0.25**2)
    easy = 0.1 * hard * math.exp(0.15**2 / 2)
    shares = {"mean_image": error / square, "variance": error / square, "reference": error / easy}
    return ratios, shares


def coverage(rounds: int, n: int) -> None:
    ratios, shares = truths(FAR)
    inside: Counter[str] = Counter()
    for seed in range(rounds):
        one, random = pair_of(seed, n, FAR)
        found = compare_difficulty(one, random, beside="random", seed=seed)["limit"]
        for name, ratio in found.ratios.items():
            inside[f"x random, {name}"] += ratio.low <= ratios[name] <= ratio.high
        for name, share in one.shares(seed=seed)["limit"].items():
            inside[f"share of {name}"] += share.low <= shares[name] <= share.high
    print(f"{n} images of each kind, {rounds} rounds: coverage, %")
    for name in (*(f"x random, {one}" for one in ratios), *(f"share of {one}" for one in WHOLES)):
        print(f"{name:24}{100 * inside[name] / rounds:7.1f}")


def size(rounds: int, n: int) -> None:
    apart: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for seed in range(rounds):
        found = compare_difficulty(*pair_of(seed, n, 1.0), beside="random", seed=seed)["limit"]
        for name, ratio in found.ratios.items():
            apart[name] += not ratio.low <= 1 <= ratio.high
        verdicts[found.verdict] += 1
    print(f"{n} images of each kind, {rounds} rounds, both of one kind: told apart, %")
    for name, count in apart.items():
        print(f"{name:24}{100 * count / rounds:7.1f}")
    print(
        "verdicts, %:", {name: round(100 * count / rounds, 1) for name, count in verdicts.items()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("coverage", "size"))
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--images", type=int, default=100)
    arguments = parser.parse_args()
    {"coverage": coverage, "size": size}[arguments.what](arguments.rounds, arguments.images)


if __name__ == "__main__":
    main()
