"""Fits as they are called, against the bare matrix products and scikit-learn's ridge.

    python benchmarks/fit.py [--cases 200000x150x512 ...] [--methods fit ...] [--repeats 3]
        [--quick] [--streamed] [--busy]

A case is rows x source variables x target variables, of float32 codes in memory. "fit" is
`fit(pairs)` with its defaults, which chooses a ridge penalty by leave-one-out, "ridge-map"
`RidgeMap().fit(x, y)`, by generalised cross-validation; "fit-penalty" and "fit-fast" have a given
penalty. Beside them scikit-learn's `Ridge()`, and `RidgeCV()` with its three penalties; -64 is of
float64 copies, and "ridge-cv-grid" has the penalties that `fit` chooses among (--quick).

Every method runs in a process of its own, in turns with the bare products X'X and X'Y, since the
machine may be busy: of float64 copies of the codes ("of 64") and of the codes ("of 32"), on 100,000
of the rows at most. "ratio" is the best time of the method over theirs. "extra MB" is the peak of
resident memory above that before the call. "error" is the largest difference of the weights from a
float64 reference with the penalty 1, relative to the largest weight, where that is given.

--streamed fits from a cache on disk, which is written before (4 bytes a number, removed after);
"extra MB" is then that of opening it, pairing and fitting. --busy is for a machine that does other
work: it counts the CPU time of one thread. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.linear_model import Ridge, RidgeCV
from torch import Tensor

from latentmap.cache import EntryKey, LatentCache
from latentmap.codes import Codes, Pairs, Space, pair
from latentmap.frames import Frame
from latentmap.mapping import FitOptions, fit
from latentmap.mapping.estimators import RidgeMap
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.selection import penalty_grid

CASES = ("200000x150x512", "200000x512x512")
STREAMED = ("1000000x512x512",)
QUICK = ("20000x150x512", "20000x512x512")
PENALTY = 1.0
# Rows of the bare products; times grow with the rows.
BARE = 100_000
# Seconds after which a method is not repeated.
ENOUGH = 60.0
BLOCK = 8192

Shape = tuple[int, int, int]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Work:
    """What a method does with arrays ``x``, ``y`` and the pairs of them; it may give weights
    ``(p, q)`` with the penalty 1.
    """

    run: Callable[[np.ndarray, np.ndarray, Pairs], np.ndarray | None]
    copies: int = 0  # Of all codes, which have to fit into memory.
    small: bool = False  # Of cases of --quick alone.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", help=f"[default: {' '.join(CASES)}]")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--streamed", action="store_true", help="from a cache on disk")
    parser.add_argument("--busy", action="store_true", help="CPU time of one thread")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = arguments.cases or (
        QUICK if arguments.quick else STREAMED if arguments.streamed else CASES
    )
    if arguments.child:
        clock = time.process_time if arguments.busy else time.perf_counter
        steps = {"memory": in_memory, "write": write, "streamed": streamed}
        step, _, folder = arguments.child.partition(":")
        result = steps[step](
            arguments.methods[0], shape_of(cases[0]), arguments.repeats, clock, folder
        )
        print(json.dumps(result))
        return
    for case in cases:
        gigabytes = codes_size(case) / 1e9
        print(f"\n{case}, float32, {gigabytes:.2f} GB{', streamed' if arguments.streamed else ''}")
        print(f"{'':<18}{'seconds':>9}{'of 64':>8}{'of 32':>8}{'extra MB':>10}  error", flush=True)
        if arguments.streamed:
            with tempfile.TemporaryDirectory() as folder:
                run_child(case, "fit", arguments, f"write:{folder}")
                for method in STREAMING:
                    if method in arguments.methods:
                        show(method, run_child(case, method, arguments, f"streamed:{folder}"))
            continue
        for method in arguments.methods:
            work = METHODS[method]
            if work.small and not arguments.quick:
                print(f"{method:<18}left out: slow")
            elif available_memory() < gigabytes * (2 + work.copies) + 1:
                print(f"{method:<18}left out: not enough memory")
            else:
                show(method, run_child(case, method, arguments, "memory"))


def shape_of(case: str) -> Shape:
    n, p, q = map(int, case.split("x"))
    return n, p, q


def codes_size(case: str) -> int:
    n, p, q = shape_of(case)
    return n * (p + q) * 4


def run_child(case: str, method: str, arguments: argparse.Namespace, step: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", step, "--cases", case, "--methods", method]
    command += ["--repeats", str(arguments.repeats)]
    environment = dict(os.environ)
    if arguments.busy:
        command.append("--busy")
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = "1"
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def show(method: str, result: dict[str, Any]) -> None:
    seconds = result["seconds"]
    line = f"{method:<18}{seconds:>9.3f}{seconds / result['bare64']:>8.2f}"
    line += f"{seconds / result['bare32']:>8.2f}{result['extra'] / 1e6:>10.1f}"
    print(line if result["error"] is None else f"{line}  {result['error']:.1e}", flush=True)


def in_memory(method: str, shape: Shape, repeats: int, clock: Clock, _: str) -> dict[str, Any]:
    x, y = codes_of(shape)
    ids = np.arange(len(x)).astype(np.str_)
    source, target = (
        Codes.from_array(ids, part, space=space)
        for part, space in zip((x, y), spaces(shape), strict=True)
    )
    pairs = pair(source, target)
    work = METHODS[method].run
    result, weight = measured(lambda: work(x, y, pairs), (x, y), repeats, clock)
    if weight is not None:
        expected = reference(x, y)
        result["error"] = float(np.abs(weight - expected).max() / np.abs(expected).max())
    return result


def streamed(method: str, shape: Shape, repeats: int, clock: Clock, folder: str) -> dict[str, Any]:
    def work() -> None:
        cache = LatentCache(folder)
        source, target = (cache.find(key_of(space)) for space in spaces(shape))
        if source is None or target is None:
            raise SystemExit("the cache was not written")
        METHODS[method].run(np.empty(0), np.empty(0), pair(source, target))

    # Of fewer rows, so that they take no memory that a later peak would hide in.
    sample = codes_of((min(shape[0], BLOCK), *shape[1:]))
    result, _ = measured(work, sample, repeats, clock)
    scale = shape[0] / len(sample[0])
    return result | {name: result[name] * scale for name in ("bare64", "bare32")}


def measured(
    work: Callable[[], np.ndarray | None],
    codes: tuple[np.ndarray, np.ndarray],
    repeats: int,
    clock: Clock,
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The best times of the work and of the bare products, taken in turns, and the memory."""
    rows = slice(0, min(len(codes[0]), BARE))
    single = [torch.from_numpy(part[rows]) for part in codes]
    scale = len(codes[0]) / len(single[0])
    seconds: list[float] = []
    bare: dict[str, list[float]] = {"bare64": [], "bare32": []}
    extra: list[int] = []
    weight = None
    # The libraries' own buffers come with the first use.
    products(*(part[:BLOCK].double() for part in single))
    torch.linalg.eigh(torch.eye(max(part.shape[1] for part in single), dtype=torch.float64))
    while len(seconds) < repeats and sum(seconds) < ENOUGH:
        double = [part.double() for part in single]
        for name, parts in (("bare64", double), ("bare32", single)):
            begin = clock()
            products(*parts)
            bare[name].append((clock() - begin) * scale)
        del double
        before = reset_peak()
        begin = clock()
        weight = work()
        seconds.append(clock() - begin)
        extra.append(status("VmHWM") - before)
    result = {"seconds": min(seconds), "extra": max(extra), "error": None}
    return result | {name: min(times) for name, times in bare.items()}, weight


def products(x: Tensor, y: Tensor) -> None:
    torch.mm(x.T, x)
    torch.mm(x.T, y)


def codes_of(shape: Shape, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Codes with singular values over 1.5 decades and means away from zero, and noisy targets."""
    n, p, q = shape
    x, y = np.empty((n, p), dtype), np.empty((n, q), dtype)
    for start, source, target in blocks_of(shape):
        x[start : start + len(source)], y[start : start + len(source)] = source, target
    return x, y


def blocks_of(shape: Shape) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The codes of ``codes_of``, block by block with where these start."""
    n, p, q = shape
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(p, p, generator=generator))[0]
    rotation *= torch.logspace(0.75, -0.75, p)[:, None]
    mean = 1 + torch.randn(p, generator=generator)
    weight = torch.randn(p, q, generator=generator) / p**0.5
    for start in range(0, n, BLOCK):
        k = min(BLOCK, n - start)
        source = torch.randn(k, p, generator=generator) @ rotation + mean
        target = source @ weight + torch.randn(k, q, generator=generator) - 1
        yield start, source.numpy(), target.numpy()


def spaces(shape: Shape) -> tuple[Space, Space]:
    source, target = (
        Space("z", dim, name, name.encode().hex().ljust(64, "0"))
        for name, dim in (("source", shape[1]), ("target", shape[2]))
    )
    return source, target


def key_of(space: Space) -> EntryKey:
    return EntryKey(space.fingerprint, space.kind, "d" * 64, {"frame": "full"}, {})


def write(_: str, shape: Shape, __: int, ___: Clock, folder: str) -> dict[str, Any]:
    """Writes both spaces to a cache, one after the other."""
    cache, n = LatentCache(folder), shape[0]
    ids = np.char.add(np.char.zfill(np.arange(n).astype(np.str_), 7), ".jpg")
    digests = np.random.default_rng(0).integers(1, 255, (n, 16), dtype=np.uint8)
    for side, space in enumerate(spaces(shape)):
        writer = cache.writer(key_of(space), space=space, frame=Frame(), ids=ids, digests=digests)
        with writer:
            for start, *codes in blocks_of(shape):
                stop = start + len(codes[side])
                writer.append(np.arange(start, stop), codes[side], stop=stop)
            writer.finish()
    return {}


def reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights in float64, from products of centred blocks."""
    left, right = torch.from_numpy(x), torch.from_numpy(y)
    means = [part.mean(0, dtype=torch.float64) for part in (left, right)]
    xx = PENALTY * torch.eye(x.shape[1], dtype=torch.float64)
    xy = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        a: Tensor = left[start : start + BLOCK] - means[0]
        xx.addmm_(a.T, a)
        xy.addmm_(a.T, right[start : start + BLOCK] - means[1])
    return torch.cholesky_solve(xy, torch.linalg.cholesky(xx)).numpy()


def fit_default(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> None:
    fit(pairs)


def fit_gcv(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> None:
    fit(pairs, FitOptions(select="gcv"))


def fit_penalty(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> np.ndarray:
    return fit(pairs, settings={"penalty": PENALTY}).weight.numpy()


def fit_fast(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> np.ndarray:
    options = FitOptions(settings={"penalty": PENALTY}, moments="fast")
    return fit(pairs, options).weight.numpy()


def ridge_map(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> None:
    RidgeMap().fit(x, y)


def scikit_ridge(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> np.ndarray:
    return Ridge(PENALTY).fit(x, y).coef_.T


def scikit_ridge_64(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> np.ndarray:
    return Ridge(PENALTY).fit(x.astype(np.float64), y.astype(np.float64)).coef_.T


def scikit_ridge_cv(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> None:
    RidgeCV().fit(x, y)


def scikit_ridge_cv_grid(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> None:
    grid = penalty_grid(moments_of_pairs(pairs, targets="squares"))
    RidgeCV(alphas=grid.numpy()).fit(x, y)


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


METHODS = {
    "fit": Work(fit_default),
    "fit-gcv": Work(fit_gcv),
    "fit-penalty": Work(fit_penalty),
    "fit-fast": Work(fit_fast),
    "ridge-map": Work(ridge_map),
    "ridge": Work(scikit_ridge, copies=1),
    "ridge-64": Work(scikit_ridge_64, copies=4),
    "ridge-cv": Work(scikit_ridge_cv, copies=6),
    "ridge-cv-grid": Work(scikit_ridge_cv_grid, copies=6, small=True),
}
STREAMING = ("fit", "fit-gcv", "fit-penalty", "fit-fast")


if __name__ == "__main__":
    main()
