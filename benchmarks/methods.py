"""Every method with its defaults, as ``fit(pairs, method=...)`` fits it, beside other libraries.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/methods.py
        [--cases 20000x512x512 200x2048x64 ...] [--methods pls ...] [--slow] [--most 600] [--quick]

A case is pairs x source variables x target variables. Settings are chosen from the pairs, as they
are by default. "CPU s" is the CPU time of one thread, "ratio" that over the time of the products
X'X and X'Y in float64, in the same run. scikit-learn's RidgeCV tries the penalties that ours tries;
MultiTaskLassoCV tries 13, PLSRegression and CCA have 32 components. Of many pairs of many variables
these take minutes (20000x512x512: 0.7, 1.2 and 2; the lasso more than 15), and are left out without
--slow. What is not done after --most seconds is given up.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.linear_model import MultiTaskLassoCV, RidgeCV

from latentmap.codes import Codes, Pairs, Space, pair
from latentmap.mapping import METHODS, fit
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.selection import penalty_grid

CASES = ("20000x512x512", "200x2048x64")
QUICK = ("2000x48x40", "60x200x16")
BOUND = "X'X and X'Y"
COMPONENTS = 32
# Pairs times variables of both spaces, up to which the slow ones take seconds.
SMALL = 10**9
SLOW = ("RidgeCV", "PLSRegression", "CCA", "MultiTaskLassoCV")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--slow", action="store_true", help=f"{', '.join(SLOW)} in any case")
    parser.add_argument("--most", type=float, default=600.0, help="seconds of a library")
    parser.add_argument("--quick", action="store_true", help="small cases")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for case in arguments.cases or (QUICK if arguments.quick else CASES):
        n, p, q = (int(part) for part in case.split("x"))
        slow = arguments.slow or n * p * q < SMALL
        run(pairs_of(n, p, q), arguments.methods, slow=slow, most=arguments.most)


def run(pairs: Pairs, methods: tuple[str, ...], *, slow: bool, most: float) -> None:
    """Prints a line for every method and every other library."""
    x, y = (codes.vectors.numpy() for codes in (pairs.source, pairs.target))
    print(f"\n{len(x)} pairs, {x.shape[1]} to {y.shape[1]} variables", flush=True)
    wide, answers = torch.from_numpy(x).double(), torch.from_numpy(y).double()
    bound = seconds_of(lambda: (wide.T @ wide, wide.T @ answers))
    print(f"  {BOUND:32s} {bound:9.3f} CPU s", flush=True)
    grid = penalty_grid(moments_of_pairs(pairs, targets="squares")).tolist()
    for name, call in peers(x, y, grid).items():
        if slow or name not in SLOW:
            took = seconds_within(call, most)
            if took is None:
                print(f"  {name:32s} not done after {most:.0f} s", flush=True)
            else:
                said(name, took, bound)
    for name in methods:
        settings = {"noise": torch.zeros(x.shape[1])} if "noise" in METHODS[name].needs else {}
        found: dict[str, Any] = {}

        def ours(name: str = name, settings: Any = settings, found: Any = found) -> None:
            found["map"] = fit(pairs, method=name, settings=settings)

        seconds = seconds_of(ours)
        said(f"latentmap {name}", seconds, bound, found["map"].chosen)


def peers(x: np.ndarray, y: np.ndarray, grid: list[float]) -> dict[str, Callable[[], Any]]:
    """Other libraries' fits, with their defaults."""
    k = min(COMPONENTS, *y.shape)
    wide = np.pad(y - y.mean(0), ((0, 0), (0, max(0, x.shape[1] - y.shape[1]))))
    return {
        "RidgeCV": lambda: RidgeCV(grid).fit(x, y),
        "orthogonal_procrustes": lambda: orthogonal_procrustes(x - x.mean(0), wide),
        "PLSRegression": lambda: PLSRegression(k).fit(x, y),
        "CCA": lambda: CCA(k, max_iter=50, tol=1e-3).fit(x, y),
        "MultiTaskLassoCV": lambda: MultiTaskLassoCV(alphas=13, tol=1e-2).fit(x, y),
    }


def seconds_of(call: Callable[[], Any]) -> float:
    """The least CPU time of three calls; of one where it takes more than five seconds."""
    least = float("inf")
    for _ in range(3):
        started = time.process_time()
        call()
        least = min(least, time.process_time() - started)
        if least > 5:
            break
    return least


def seconds_within(call: Callable[[], Any], most: float) -> float | None:
    """The same, None of what is not done after so many seconds: by a process of its own, since some
    compiled loops of an hour hear no signal.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(seconds_of(call)))
    child.start()
    theirs.close()
    found: float | None = ours.recv() if ours.poll(most) else None
    child.kill()
    child.join()
    return found


def said(name: str, seconds: float, bound: float, chosen: str = "") -> None:
    print(f"  {name:32s} {seconds:9.3f} CPU s  ratio {seconds / bound:8.2f}  {chosen}", flush=True)


def pairs_of(n: int, p: int, q: int) -> Pairs:
    """Pairs whose source varies over one and a half decades, with noise in the target."""
    draw = np.random.default_rng(0)
    turned = np.linalg.qr(draw.standard_normal((p, p)))[0]
    x = (draw.standard_normal((n, p)) * np.geomspace(1, 10**-1.5, p)) @ turned + 1
    signal = x @ (draw.standard_normal((p, q)) / np.sqrt(p) * np.geomspace(1, 0.01, q))
    y = signal + 0.5 * np.abs(signal).std() * draw.standard_normal((n, q))
    ids = [str(i) for i in range(n)]
    sides = [
        Codes.from_array(ids, part.astype(np.float32), space=Space("z", part.shape[1], name, name))
        for part, name in ((x, "source"), (y, "target"))
    ]
    return pair(*sides)


if __name__ == "__main__":
    main()
