"""How often the 95 % intervals of predictions and of carried directions hold what they promise.

    python benchmarks/uncertainty.py [--draws 6] [--small]

Source codes are normal, with variances that fall over `decades`; target codes are a linear map of
them and noise. `signal` is the ratio of their variances, and spread over ten times between the
target variables where it says "mixed". Weights are normal ("even"), or of the size of one over
(steep) or of (flat) the spread of their source variable. Directions are random, and single
variables. Every line is over so many draws of pairs and weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from latentmap.codes import Codes, Pairs, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import FitOptions, fit
from latentmap.mapping.uncertainty import carry, predict

Q = 10
SHAPES = ((60, 20, 1.0), (200, 20, 1.0), (60, 150, 1.0), (200, 150, 1.5), (2000, 150, 1.5))


@dataclass(frozen=True)
class World:
    """``n`` pairs of ``p`` variables over some decades of spread, and how they are related."""

    n: int
    p: int
    decades: float
    signal: float
    weights: str
    mixed: bool

    def drawn(self, seed: int) -> tuple[Pairs, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pairs to fit, the weights ``(p, q)``, and new codes of both sides."""
        generator = torch.Generator().manual_seed(seed)
        spread = torch.logspace(0, -self.decades, self.p, dtype=torch.float64)
        weight = torch.randn(self.p, Q, generator=generator, dtype=torch.float64)
        weight *= spread[:, None] ** {"even": 0, "steep": -1, "flat": 1}[self.weights]
        noise = (weight.square() * spread.square()[:, None]).sum(0).sqrt() / self.signal**0.5
        if self.mixed:
            noise *= torch.logspace(-0.5, 0.5, Q, dtype=torch.float64)
        count = self.n + 300
        x = torch.randn(count, self.p, generator=generator, dtype=torch.float64) * spread + 1
        y = x @ weight + noise * torch.randn(count, Q, generator=generator, dtype=torch.float64)
        ids = [str(number) for number in range(self.n)]
        source, target = (
            Codes.from_array(ids, part[: self.n], space=Space("z", part.shape[1], name, name))
            for part, name in ((x, "a"), (y, "b"))
        )
        return pair(source, target), weight, x[self.n :], y[self.n :]


def coverage(world: World, options: FitOptions, draws: int) -> list[float]:
    """Shares, in percent: predictions, random directions, single variables."""
    held = []
    for seed in range(draws):
        pairs, weight, x, y = world.drawn(seed)
        linear_map = fit(pairs, options)
        low, high = predict(linear_map, x).interval()
        shares = [((low < y) & (y < high)).double().mean()]
        generator = torch.Generator().manual_seed(seed)
        for directions in (
            torch.randn(50, world.p, generator=generator, dtype=torch.float64),
            torch.eye(world.p, dtype=torch.float64),
        ):
            try:
                low, high = carry(linear_map, directions).interval()
            except MapError:  # No direction can be judged by fewer pairs than variables.
                shares.append(torch.tensor(torch.nan))
                continue
            truth = directions @ weight
            shares.append(((low < truth) & (truth < high)).double().mean())
        held.append([100 * float(share) for share in shares])
    return np.mean(held, axis=0).tolist()


def worlds(small: bool) -> Iterator[World]:
    for n, p, decades in SHAPES[:3] if small else SHAPES:
        for signal in (0.1, 1.0, 10.0, 1000.0):
            yield World(n, p, decades, signal, "even", mixed=False)
            yield World(n, p, decades, signal, "even", mixed=True)
            yield World(n, p, decades, signal, "steep", mixed=False)
            yield World(n, p, decades, signal, "flat", mixed=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--small", action="store_true", help="the first shapes alone")
    arguments = parser.parse_args()
    print(f"{'method':<16}{'n':>5}{'p':>5}{'signal':>8}  {'weights':<12}", end="")
    print(f"{'predicted':>10}{'directions':>12}{'variables':>11}")
    fits = (
        FitOptions("ridge"),
        FitOptions("ridge", intercept=False),
        FitOptions("least-squares"),
    )
    for world in worlds(arguments.small):
        for options in fits:
            try:
                shares = coverage(world, options, arguments.draws)
            except MapError:  # Least squares of fewer pairs than variables.
                continue
            name = f"{options.method}{'' if options.intercept else ', zero'}"
            kind = f"{world.weights}{', mixed' if world.mixed else ''}"
            print(f"{name:<16}{world.n:>5}{world.p:>5}{world.signal:>8g}  {kind:<12}", end="")
            print(f"{shares[0]:>10.1f}{shares[1]:>12.1f}{shares[2]:>11.1f}", flush=True)


if __name__ == "__main__":
    main()
