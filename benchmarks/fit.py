"""Ridge regression from moments against the bare matrix products and other libraries' fits.

    python benchmarks/fit.py [--cases 200000x150x512 ...] [--dtypes float64 float32]
        [--methods ours ...] [--repeats 3] [--quick] [--busy]

A case is rows x source variables x target variables. Every method runs in a process of its own, in
turns with the bare products X'X and X'Y of the same codes, since the machine may be busy: "ratio"
is the best time of the method over the best time of the products beside it, both in the dtype of
the codes. "extra MB" is the peak of resident memory above that before the call. "error" is the
largest difference of the weights from a float64 reference, relative to the largest weight. --busy
is for a machine that does other work: it counts the CPU time of one thread. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.linalg import lstsq
from sklearn.linear_model import LinearRegression, Ridge
from torch import Tensor

from latentmap.mapping import moments_of
from latentmap.mapping.moment_sums import Targets
from latentmap.mapping.options import MomentPrecision
from latentmap.mapping.regression import solve_ridge

CASES = ("200000x150x512", "200000x512x512", "1000000x512x512")
QUICK = ("20000x150x512", "20000x512x512")
PENALTY = 1.0
# With more rows, solvers that decompose the codes themselves are left out, and so is the error.
MANY = 500_000
# Seconds after which a method is not repeated.
ENOUGH = 60.0
BLOCK = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", help=f"[default: {' '.join(CASES)}]")
    parser.add_argument("--dtypes", nargs="+", default=("float64", "float32"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--busy", action="store_true", help="CPU time of one thread")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = arguments.cases or (QUICK if arguments.quick else CASES)
    if arguments.child:
        method, dtype, shape = arguments.methods[0], arguments.dtypes[0], shape_of(cases[0])
        clock = time.process_time if arguments.busy else time.perf_counter
        print(json.dumps(measure(method, shape, dtype, arguments.repeats, clock)))
        return
    for case in cases:
        for dtype in arguments.dtypes:
            n, p, q = shape_of(case)
            gigabytes = n * (p + q) * np.dtype(dtype).itemsize / 1e9
            print(f"\n{n} x {p} -> {q}, {dtype}, {gigabytes:.2f} GB")
            print(f"{'':<28}{'seconds':>9}  {'bare':>8}  {'ratio':>6}  {'extra MB':>9}  error")
            for method in arguments.methods:
                if n > MANY and method in DECOMPOSING:
                    note = "left out: slow"
                elif available_memory() < gigabytes * (2 if method in COPYING else 1) + 1:
                    note = "left out: not enough memory"
                else:
                    note = line_of(run_child(case, dtype, method, arguments))
                print(f"{method:<28}{note}", flush=True)


def shape_of(case: str) -> tuple[int, int, int]:
    n, p, q = map(int, case.split("x"))
    return n, p, q


def run_child(case: str, dtype: str, method: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", "--cases", case, "--dtypes", dtype]
    command += ["--methods", method, "--repeats", str(arguments.repeats)]
    environment = dict(os.environ)
    if arguments.busy:
        command.append("--busy")
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = "1"
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def line_of(result: dict[str, Any]) -> str:
    seconds, bare = result["seconds"], result["bare"]
    line = f"{seconds:>9.3f}  {bare:>8.3f}  {seconds / bare:>6.2f}  {result['extra'] / 1e6:>9.1f}"
    return line if result["error"] is None else f"{line}  {result['error']:.1e}"


def measure(
    method: str,
    shape: tuple[int, int, int],
    dtype: str,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, Any]:
    x, y = codes_of(shape, dtype)
    work = METHODS[method]
    bare: list[float] = []
    seconds: list[float] = []
    extra: list[int] = []
    # The libraries' own buffers come with the first use.
    products(x[:BLOCK], y[:BLOCK])
    while len(seconds) < repeats and sum(seconds) < ENOUGH:
        begin = clock()
        products(x, y)
        bare.append(clock() - begin)
        before = reset_peak()
        begin = clock()
        weight = work(x, y)
        seconds.append(clock() - begin)
        extra.append(status("VmHWM") - before)
    error = None
    if weight is not None and len(x) <= MANY:
        expected = reference(x, y, 0.0 if method in DECOMPOSING else PENALTY)
        error = float(np.abs(weight - expected).max() / np.abs(expected).max())
    return {
        "seconds": min(seconds),
        "bare": min(bare),
        "extra": max(extra),
        "error": error,
    }


def codes_of(shape: tuple[int, int, int], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes with singular values over 1.5 decades and means away from zero, and noisy targets."""
    n, p, q = shape
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(p, p, generator=generator))[0]
    rotation *= torch.logspace(0.75, -0.75, p)[:, None]
    mean = 1 + torch.randn(p, generator=generator)
    weight = torch.randn(p, q, generator=generator) / p**0.5
    x, y = np.empty((n, p), dtype), np.empty((n, q), dtype)
    for start in range(0, n, BLOCK):
        k = min(BLOCK, n - start)
        source = torch.randn(k, p, generator=generator) @ rotation + mean
        target = source @ weight + torch.randn(k, q, generator=generator) - 1
        x[start : start + k], y[start : start + k] = source.numpy(), target.numpy()
    return x, y


def products(x: np.ndarray, y: np.ndarray) -> None:
    left = torch.from_numpy(x)
    torch.mm(left.T, left)
    torch.mm(left.T, torch.from_numpy(y))


def ours(
    targets: Targets = "squares", precision: MomentPrecision = "exact"
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def work(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        moments = moments_of(x, y, targets=targets, precision=precision)
        return solve_ridge(moments, penalty=PENALTY).weight.numpy()

    return work


def scikit_ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return Ridge(PENALTY, solver="cholesky").fit(x, y).coef_.T


def scikit_least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return LinearRegression().fit(x, y).coef_.T


def scipy_least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ones = np.ones((len(x), 1), x.dtype)
    weight: np.ndarray = lstsq(np.hstack([x, ones]), y, overwrite_a=True)[0]
    return weight[:-1]


def reference(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """The weights in float64, from products of centred blocks."""
    left, right = torch.from_numpy(x), torch.from_numpy(y)
    means = [part.mean(0, dtype=torch.float64) for part in (left, right)]
    xx = penalty * torch.eye(x.shape[1], dtype=torch.float64)
    xy = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        a: Tensor = left[start : start + BLOCK] - means[0]
        xx.addmm_(a.T, a)
        xy.addmm_(a.T, right[start : start + BLOCK] - means[1])
    return torch.cholesky_solve(xy, torch.linalg.cholesky(xx)).numpy()


def reset_peak() -> int:
    """The resident memory from which the peak counts, without what was freed and not given back."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(name: Literal["VmHWM", "VmRSS"]) -> int:
    return kilobytes(Path("/proc/self/status"), name) * 1024


def available_memory() -> float:
    """In GB."""
    return kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024 / 1e9


def kilobytes(file: Path, name: str) -> int:
    fields = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    return int(fields[name].split()[0])


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray | None]] = {
    "bare": products,
    "ours": ours(),
    "ours-full": ours("products"),
    "ours-fast": ours(precision="fast"),
    "scikit-ridge": scikit_ridge,
    "scikit-least-squares": scikit_least_squares,
    "scipy-lstsq": scipy_least_squares,
}
COPYING = ("scikit-ridge", "scikit-least-squares", "scipy-lstsq")
DECOMPOSING = ("scikit-least-squares", "scipy-lstsq")


if __name__ == "__main__":
    main()
