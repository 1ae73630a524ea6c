"""How often the intervals of probes hold the truth.

    python benchmarks/probes.py figures [--rounds 2000]
    python benchmarks/probes.py chance [--rounds 2000]

`figures`: of a probe of two classes whose logits are normal, so that the truth is known in closed
form, and of a probe of numbers; of mapped codes, which have noise of their own, and of the share
that is kept. `chance`: of a probe that was fitted to an attribute that has nothing to do with the
codes, how often the interval of its AUC holds 0.5. All numbers are percent; 2000 rounds have a
standard error of 0.5.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy.special import ndtr

from latentmap.intervals import Estimate
from latentmap.relocation.probe_figures import ProbeFigure, class_figures, number_figures
from latentmap.relocation.probe_fits import fit_probe, probabilities
from latentmap.relocation.probing import assign_folds

_NOISE = 1.0  # Of mapped codes, beside that of own ones, which is 1.


def of_classes(
    generator: np.random.Generator, n: int, share: float, apart: float
) -> dict[str, tuple[ProbeFigure, tuple[float, float, float]]]:
    """Figures of one draw of images, and the truth of mapped, ceiling and kept. The classes, of
    which the second has a ``share``, are ``2 apart`` standard deviations of own logits apart.
    """
    classes = (generator.random(n) < share).astype(np.int64)
    own = apart * (2 * classes - 1) + generator.normal(size=n)
    mapped = own + _NOISE * generator.normal(size=n)
    figures = class_figures(
        classes,
        probabilities(mapped[:, None]),
        probabilities(own[:, None]),
        np.arange(n),
        common=int(share > 0.5),
        seed=int(generator.integers(1 << 31)),
    )
    far = apart / math.sqrt(1 + _NOISE**2)
    right, area = (
        (float(ndtr(far)), float(ndtr(apart))),
        (
            float(ndtr(math.sqrt(2) * far)),
            float(ndtr(math.sqrt(2) * apart)),
        ),
    )
    floors = {"accuracy": max(share, 1 - share), "balanced_accuracy": 0.5, "auc": 0.5}
    truths = {"accuracy": right, "balanced_accuracy": right, "auc": area}
    return {name: (figures[name], with_share(*truths[name], floors[name])) for name in figures}


def of_numbers(
    generator: np.random.Generator, n: int
) -> dict[str, tuple[ProbeFigure, tuple[float, float, float]]]:
    numbers = generator.normal(size=n)
    own = numbers + 0.5 * generator.normal(size=n)
    mapped = own + 0.4 * generator.normal(size=n)
    seed = int(generator.integers(1 << 31))
    figures = number_figures(numbers, mapped, own, np.arange(n), centre=0.0, seed=seed)
    return {"r2": (figures["r2"], with_share(1 - 0.5**2 - 0.4**2, 1 - 0.5**2, 0.0))}


def with_share(mapped: float, ceiling: float, floor: float) -> tuple[float, float, float]:
    return mapped, ceiling, (mapped - floor) / (ceiling - floor)


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


CASES = {
    "classes alike": lambda g, n: of_classes(g, n, 0.5, 1.0),
    "one in ten": lambda g, n: of_classes(g, n, 0.1, 1.0),
    "easy classes": lambda g, n: of_classes(g, n, 0.5, 1.6),
    "numbers": of_numbers,
}


def figures(rounds: int) -> None:
    print(f"{'coverage, %':18}{'figure':20}{'images':>7}{'mapped':>9}{'ceiling':>9}{'kept':>7}")
    for case, draw in CASES.items():
        for n in (100, 1000):
            generator = np.random.default_rng(0)
            held: dict[str, np.ndarray] = {}
            for _ in range(rounds):
                for name, (figure, truths) in draw(generator, n).items():
                    found = (figure.mapped, figure.ceiling, figure.kept)
                    counted = held.setdefault(name, np.zeros(3))
                    counted += [holds(*both) for both in zip(found, truths, strict=True)]
            for name, counted in held.items():
                mapped, ceiling, kept = 100 * counted / rounds
                print(f"{case:18}{name:20}{n:7}{mapped:9.1f}{ceiling:9.1f}{kept:7.1f}", flush=True)


def chance(rounds: int) -> None:
    print(f"{'holds 0.5, %':18}{'images':>7}{'AUC':>7}")
    for n in (100, 1000):
        generator, held = np.random.default_rng(0), 0
        for seed in range(rounds):
            codes = generator.normal(size=(300, 8))
            classes = generator.integers(0, 2, 300).astype(np.float64)
            folds = assign_folds(classes, np.arange(300), seed)
            probe = fit_probe(codes, classes, classes=2, folds=folds)
            read = probabilities(probe.read(generator.normal(size=(n, 8))))
            truth = generator.integers(0, 2, n)
            found = class_figures(truth, read, read, np.arange(n), common=0, seed=seed)
            held += holds(found["auc"].mapped, 0.5)
        print(f"{'':18}{n:7}{100 * held / rounds:7.1f}", flush=True)


WHAT = {"figures": figures, "chance": chance}


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
