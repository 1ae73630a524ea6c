"""Moments of patches: time against the float64 GEMM of unfolded ones, and memory with more images.

    python benchmarks/patches.py [--images 16 64] [--channels 32] [--grid 64] [--size 5]

Codes are random, made block by block, so that none stay in memory. Seconds are of the processor.
The bound is that of `X'X` and `X'Y` of patches that are unfolded already (p = channels size^2), of
as many cells; what unfolding costs is not in it. A third line is of moments gathered from unfolded
patches, as `MomentSums` has them. Memory is the peak above that of a process that has gathered one
block.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from latentmap.mapping.cells import cell_rows, patch_rows
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.patch_sums import PatchSums
from latentmap.mapping.patches import Patches

_BLOCK = 4  # Images at a time.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs=2, default=(16, 64))
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--target", type=int, default=3)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    grid = arguments.grid
    patches = Patches(
        arguments.size, (arguments.channels, grid, grid), (arguments.target, grid, grid)
    )
    torch.set_num_threads(1)
    if arguments.child:
        print(json.dumps(gathered(patches, arguments.child)))
        return
    few, many = arguments.images
    print(f"{patches}: {patches.p} to {patches.q} variables, {patches.cells} cells an image")
    found = [run_child(n) for n in (few, many)]
    bound, unfolded = gemm_seconds(patches), unfolded_seconds(patches)
    rate = found[1]["seconds"] / many
    print(f"seconds an image: moments {rate:.4f}, GEMM {bound:.4f}, unfolded {unfolded:.4f}")
    print(f"moments / GEMM: {rate / bound:.2f}; unfolded / GEMM: {unfolded / bound:.2f}")
    for n, one in zip((few, many), found, strict=True):
        print(f"{n} images: {one['growth'] / 1e6:.1f} MB above the first block")


def run_child(n: int) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--child", str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def gathered(patches: Patches, n: int) -> dict[str, float]:
    """Seconds and growth in bytes of gathering the moments of ``n`` images."""
    sums = PatchSums(patches)
    sums.update(*next(codes(patches, _BLOCK)))
    sums.moments()
    before, seconds = peak(), 0.0
    for x, y in codes(patches, n):
        started = time.process_time()
        sums.update(x, y)
        seconds += time.process_time() - started
    started = time.process_time()
    sums.moments()
    return {"seconds": seconds + time.process_time() - started, "growth": peak() - before}


def gemm_seconds(patches: Patches) -> float:
    """Of the products of the unfolded patches of an image."""
    x = torch.randn(patches.cells, patches.p, dtype=torch.float64)
    y = torch.randn(patches.cells, patches.q, dtype=torch.float64)
    xx = torch.zeros(patches.p, patches.p, dtype=torch.float64)
    xy = torch.zeros(patches.p, patches.q, dtype=torch.float64)
    return best(lambda: (xx.addmm_(x.T, x), xy.addmm_(x.T, y)))


def unfolded_seconds(patches: Patches) -> float:
    """Of gathering the moments of an image from unfolded patches."""
    sums = MomentSums((patches.p, patches.q))
    ((x, y),) = codes(patches, 1)
    return best(lambda: sums.update([patch_rows(x, patches), cell_rows(y, patches)]))


def best(work: object, *, times: int = 5) -> float:
    assert callable(work)
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def codes(patches: Patches, n: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random codes of ``n`` images, some at a time."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, n, _BLOCK):
        k = min(_BLOCK, n - start)
        yield tuple(
            torch.randn(k, grid[0] * grid[1] * grid[2], generator=generator)
            for grid in (patches.source, patches.target)
        )  # type: ignore[misc]  # Two of them.


def peak() -> int:
    """The largest memory that this process had so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
