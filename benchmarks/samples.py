"""How often the intervals of figures of generated images hold the truth, and the size of the test
for memorisation.

    python benchmarks/samples.py neighbours [--rounds 400] [--images 100,1000]
    python benchmarks/samples.py distances [--rounds 400] [--images 100,1000]
    python benchmarks/samples.py lines [--rounds 90] [--images 100,1000]
    python benchmarks/samples.py memorisation [--rounds 1000] [--images 100,1000]

Real codes are normal in 8 or 32 variables. `neighbours`: precision, recall, density, coverage, both
clipped figures, and realism, of a good generator and of one of which 30 % of the images are far
away; the truth is the mean of the figure over all rounds. `distances`: Fréchet and kernel distance
and the Vendi score, of a generator with other moments and of a perfect one; the truth is known, or
for the Vendi score that of 200,000 codes. `lines`: bias and standard deviation of the Fréchet
distance as it is, by twice the whole less halves, and by lines through samples of several sizes.
`memorisation`: images of 8 variables, none, or a quarter of them, near to training images; the
truth is the mean share. Coverage and size are percent; 400 rounds have a standard error of 1.1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.linalg import sqrtm

from latentmap.expressiveness.coverage import CLIPPED, FIGURES, measure_coverage
from latentmap.expressiveness.distances import frechet_distance, kernel_distance, plain_frechet
from latentmap.expressiveness.diversity import vendi_score
from latentmap.expressiveness.memorisation import memorisation
from latentmap.intervals import Estimate

SIZES = (8, 32)  # Variables.


class Normal:
    """Codes with variances that fall as 1 / sqrt(i), and another distribution beside them."""

    def __init__(self, d: int, *, other: bool) -> None:
        self.d, variances = d, 1 / np.sqrt(np.arange(1, d + 1))
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]
        self.real = np.diag(variances)
        turned = turn @ np.diag(1.3 * variances) @ turn.T
        self.made = (self.real + turned) / 2 if other else self.real
        self.apart = np.eye(d)[0] * (0.3 if other else 0)
        self.roots = [np.linalg.cholesky(one) for one in (self.real, self.made)]

    def draw(self, seed: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        chance = np.random.default_rng(seed)
        real, made = (
            chance.normal(size=(k, self.d)) @ root.T
            for k, root in zip((n, m), self.roots, strict=True)
        )
        return real, made + self.apart

    @property
    def frechet(self) -> float:
        shared = np.trace(np.real(sqrtm(self.real @ self.made)))
        return float(self.apart @ self.apart + np.trace(self.real + self.made) - 2 * shared)


def tensors(*parts: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(part) for part in parts]


def told(what: str, n: int, d: int, truth: float, found: list[Estimate]) -> None:
    value, low, high = np.array(found).T
    held = 100 * np.mean((low <= truth) & (truth <= high))
    print(
        f"{what:34}{n:7}{d:5}{truth:11.4f}{value.mean() - truth:10.4f}{value.std():10.4f}"
        f"{(high - low).mean() / 2:10.4f}{held:8.1f}",
        flush=True,
    )


def head() -> None:
    print(
        f"{'':34}{'images':>7}{'d':>5}{'truth':>11}{'bias':>10}{'sd':>10}{'+-':>10}{'covers':>8}",
        flush=True,
    )


def neighbours(rounds: int, images: list[int]) -> None:
    head()
    names = (*FIGURES, *CLIPPED, "realism")
    for n, d, bad in cases(images, (0.0, 0.3)):
        found: dict[str, list[Estimate]] = {name: [] for name in names}
        normal = Normal(d, other=True)
        for seed in range(fewer(rounds, n)):
            real, made = normal.draw(seed, n, n)
            made[np.random.default_rng(seed).random(n) < bad] += 6
            measured = measure_coverage(*tensors(real, made), seed=seed)
            for name in names:
                found[name].append(getattr(measured, name))
        for name, estimates in found.items():
            told(
                f"{name}, {bad:.0%} bad",
                n,
                d,
                float(np.mean([e.value for e in estimates])),
                estimates,
            )


def distances(rounds: int, images: list[int]) -> None:
    head()
    for n, d, other in cases(images, (False, True)):
        normal = Normal(d, other=bool(other))
        large = tensors(*normal.draw(-1 % 2**32, 200_000, 200_000))
        scores = [vendi_score(one).plain for one in large]
        kernel = kernel_of_moments(normal)
        found: dict[str, list[Estimate]] = {"Fréchet": [], "kernel": [], "Vendi": [], "ratio": []}
        for seed in range(rounds):
            real, made = tensors(*normal.draw(seed, n, n))
            found["Fréchet"].append(frechet_distance(real, made, seed=seed).estimate())
            found["kernel"].append(kernel_distance(real, made).estimate())
            vendi = [vendi_score(one, seed=seed) for one in (real, made)]
            found["Vendi"].append(vendi[1].estimate())
            found["ratio"].append(vendi[1].over(vendi[0]))
        truths = (normal.frechet, kernel, scores[1], scores[1] / scores[0])
        for (name, estimates), truth in zip(found.items(), truths, strict=True):
            told(f"{name}, {'other' if other else 'equal'}", n, d, truth, estimates)


def kernel_of_moments(normal: Normal) -> float:
    """The squared distance by (x y / d + 1)^3, from 40 samples of 5,000 codes."""
    found = [
        kernel_distance(*tensors(*normal.draw(10**6 + seed, 5000, 5000))) for seed in range(40)
    ]
    return float(np.mean([one.value for one in found])) if normal.apart.any() else 0.0


FRACTIONS = {
    "half to all": (0.5, 0.6, 0.7, 0.8, 0.9),
    "fifth to all": (0.2, 0.3, 0.4, 0.6, 0.8),
}


def lines(rounds: int, images: list[int]) -> None:
    names = ("as it is", "two points", *FRACTIONS)
    print(f"{'bias, sd':10}{'images':>7}{'d':>5}" + "".join(f"{name:>20}" for name in names))
    for n, d, other in cases(images, (False, True)):
        normal = Normal(d, other=bool(other))
        found: dict[str, list[float]] = {name: [] for name in names}
        for seed in range(fewer(rounds, n)):
            real, made = normal.draw(seed, n, n)
            chance = np.random.default_rng(seed)
            found["as it is"].append(plain_frechet(real, made))
            found["two points"].append(frechet_distance(*tensors(real, made), seed=seed).value)
            for name, parts in FRACTIONS.items():
                found[name].append(intercept(real, made, parts, chance))
        said = "".join(
            f"{np.mean(values) - normal.frechet:12.4f}{np.std(values):8.4f}"
            for values in found.values()
        )
        print(f"{'other' if other else 'equal':10}{n:7}{d:5}{said}", flush=True)


def intercept(
    real: np.ndarray, made: np.ndarray, parts: tuple[float, ...], chance: np.random.Generator
) -> float:
    """That of a line in 1 / n through the whole and means of four samples of each size."""
    n = len(real)
    at, values = [1 / n], [plain_frechet(real, made)]
    for part in parts:
        k = round(n * part)
        drawn = [
            plain_frechet(real[chance.permutation(n)[:k]], made[chance.permutation(n)[:k]])
            for _ in range(4)
        ]
        at.append(1 / k)
        values.append(float(np.mean(drawn)))
    return float(np.polyfit(at, values, 1)[1])


def remembered(rounds: int, images: list[int]) -> None:
    head()
    for n, d, share in cases(images, (0.0, 0.25)):
        small, found = 0, []
        rounds_here = fewer(rounds, n)
        for seed in range(rounds_here):
            chance = np.random.default_rng(seed)
            made, trained, held = chance.normal(size=(3, n, d))
            near = chance.random(n) < share
            made[near] = trained[chance.integers(0, n, near.sum())] + 0.1 * chance.normal(
                size=(near.sum(), d)
            )
            measured = memorisation(*tensors(made, trained, held), seed=seed)
            found.append(measured.share)
            small += measured.p_value <= 0.05
        truth = 0.5 if share == 0 else float(np.mean([one.value for one in found]))
        told(f"share, {share:.0%} remembered", n, d, truth, found)
        print(f"{'':34}p <= 0.05 in {100 * small / rounds_here:.1f} %", flush=True)


def cases(images: list[int], last: tuple[float, ...]) -> Iterator[tuple[int, int, float]]:
    return ((n, d, one) for n in images for d in SIZES for one in last)


def fewer(rounds: int, n: int) -> int:
    """Half of the rounds where each takes a second."""
    return rounds if n < 1000 else max(rounds // 2, 1)


WHAT: dict[str, Callable[[int, list[int]], None]] = {
    "neighbours": neighbours,
    "distances": distances,
    "lines": lines,
    "memorisation": remembered,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--images", default="100,1000")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    WHAT[arguments.what](arguments.rounds, [int(n) for n in arguments.images.split(",")])


if __name__ == "__main__":
    main()
