"""How many new codes of the kind of a fit are outside of the ellipsoid that holds 99 % of them.

    python benchmarks/typicality.py [--rounds 400]

Of each kind of codes some are fitted on and 1,000 others are judged, many times over: the mean
share outside in percent, with its standard error, by the distances of the fitted codes from each
other, and by the law of normal codes (Hotelling's T^2), which needs more than two pairs a
direction. Codes are normal, of Student's law with 5 degrees of freedom, whose tails are heavier, or
uniform, whose tails are lighter. It should be 1.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import LinearMap, fit, typicality


def draw(generator: np.random.Generator, kind: str, n: int, d: int) -> np.ndarray:
    if kind == "uniform":
        return generator.uniform(size=(n, d)).astype(np.float32)
    codes = generator.normal(size=(n, d))
    if kind == "Student 5":
        codes /= np.sqrt(generator.chisquare(5, size=(n, 1)) / 5)
    return codes.astype(np.float32)


def fitted_on(codes: np.ndarray) -> LinearMap:
    ids = [str(i) for i in range(len(codes))]
    d = codes.shape[1]
    source = Codes.from_array(ids, codes, space=Space("z", d, "a", "aa"))
    target = Codes.from_array(ids, codes[:, :1], space=Space("z", 1, "b", "bb"))
    return fit(pair(source, target), settings={"penalty": 1.0})


def outside(linear_map: LinearMap, codes: torch.Tensor) -> float:
    try:
        return 100 * float(typicality(linear_map, codes).outside.mean())
    except MapError:
        return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    generator = np.random.default_rng(0)
    print(f"{'outside, %':12}{'d':>5}{'pairs':>7}{'fitted codes':>16}{'normal law':>12}")
    for kind in ("normal", "Student 5", "uniform"):
        for d in (8, 64):
            for n in (100, 200, 1000):
                shares = np.empty((rounds, 2))
                for number in range(rounds):
                    found = fitted_on(draw(generator, kind, n, d))
                    new = torch.from_numpy(draw(generator, kind, 1000, d))
                    by_law = replace(found, source_distances=None)
                    shares[number] = outside(found, new), outside(by_law, new)
                mean, law = shares.mean(0)
                error = shares[:, 0].std() / np.sqrt(rounds)
                print(f"{kind:12}{d:5}{n:7}{mean:9.2f} ± {error:.2f}{law:12.2f}", flush=True)


if __name__ == "__main__":
    main()
