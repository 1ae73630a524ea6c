"""Peak memory of a fit: 20,000 against 200,000 cached pairs, from 150 to 64 variables.

    python benchmarks/fit_memory.py [--pairs 20000 200000] [--source 150] [--target 64]

Codes are read from a cache on disk. Every fit runs in a process of its own, which reports its peak
resident memory before the cache is opened (Python, torch) and after the fit; the difference of the
two peaks is what the fit needed. The ids and digests of the images, which do grow, are listed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from latentmap.cache import EntryKey, LatentCache
from latentmap.codes import Space, pair
from latentmap.frames import Frame
from latentmap.mapping import fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs=2, default=(20_000, 200_000))
    parser.add_argument("--source", type=int, default=150)
    parser.add_argument("--target", type=int, default=64)
    parser.add_argument("--child", nargs=2, metavar=("STEP", "CACHE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    spaces = (space_of("source", arguments.source), space_of("target", arguments.target))
    if arguments.child:
        step, cache = arguments.child
        steps = {"write": write_codes, "fit": measure_fit}
        steps[step](LatentCache(cache), spaces, arguments.pairs[0])
        return
    print(f"{'pairs':>8}  {'before MB':>9}  {'peak MB':>9}  {'fit MB':>9}  {'ids MB':>9}  seconds")
    peaks = []
    for n in arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            run_child("write", folder, n, arguments)
            result = json.loads(run_child("fit", folder, n, arguments))
        peaks.append(result["peak"])
        megabytes = [result[key] / 1e6 for key in ("before", "peak", "fit", "ids")]
        columns = "  ".join(f"{number:>9.1f}" for number in megabytes)
        print(f"{n:>8}  {columns}  {result['seconds']:>7.1f}")
    print(f"peak with {arguments.pairs[1]} pairs / {arguments.pairs[0]} pairs: ", end="")
    print(f"{peaks[1] / peaks[0]:.3f}")


def run_child(step: str, folder: str, n: int, arguments: argparse.Namespace) -> str:
    command = [sys.executable, __file__, "--pairs", str(n), "0", "--child", step, folder]
    command += ["--source", str(arguments.source), "--target", str(arguments.target)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def space_of(name: str, dim: int) -> Space:
    return Space("z", dim, name, name.encode().hex().ljust(64, "0"))


def key_of(space: Space) -> EntryKey:
    return EntryKey(space.fingerprint, space.kind, "d" * 64, {"frame": "full"}, {})


def write_codes(cache: LatentCache, spaces: tuple[Space, Space], n: int) -> None:
    generator = np.random.default_rng(0)
    ids = np.char.add(np.char.zfill(np.arange(n).astype(np.str_), 6), ".jpg")
    digests = generator.integers(1, 255, (n, 16), dtype=np.uint8)
    for space in spaces:
        writer = cache.writer(key_of(space), space=space, frame=Frame(), ids=ids, digests=digests)
        with writer:
            for start in range(0, n, 4096):
                stop = min(start + 4096, n)
                codes = generator.standard_normal((stop - start, space.dim), dtype=np.float32)
                writer.append(np.arange(start, stop), codes, stop=stop)
            writer.finish()


def measure_fit(cache: LatentCache, spaces: tuple[Space, Space], n: int) -> None:
    # The libraries' own buffers come with the first use.
    torch.linalg.eigh(torch.eye(max(space.dim for space in spaces), dtype=torch.float64))
    before = peak_memory()
    source, target = (cache.find(key_of(space)) for space in spaces)
    if source is None or target is None:
        raise SystemExit("the cache was not written")
    started = time.perf_counter()
    opened = peak_memory()
    pairs = pair(source, target)
    fit(pairs)
    peak = peak_memory()
    result = {
        "before": before,
        "peak": peak,
        "fit": peak - opened,
        "ids": pairs.ids.nbytes + pairs.digests.nbytes,
        "seconds": time.perf_counter() - started,
    }
    print(json.dumps(result))


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
