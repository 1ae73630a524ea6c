"""What a data set costs that workers share: a small model, checked here, then asked of 10^9 images.

    python benchmarks/costs.py [--images 24000] [--quick] [--workers 2]

    seconds = start + images / (workers * rate) + shards * commit

``start`` and ``rate`` come from `latentmap encode vae --workers 1` of two sizes, ``commit`` from a
plan of small shards, the rate of sums from `latentmap fit --workers 1` on codes that are there. The
model is then held against runs that it was not made of: more images, by more workers. Bytes of
codes, of a shard in a manifest and of a plan are read off the files. The machine should do nothing
else.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

run = importlib.import_module("shards").run  # Of the script beside this one.
SIZES = 4
IMAGES, CODE = 10**9, 512


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="2,400 images")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    images = 2_400 if arguments.quick else arguments.images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (images // SIZES, images, 2 * images):
            run([["sample", "svae", "-n", str(size), "--out", f"{size}.h5"]], folder)
        few, many = (encode(folder, size, 1) for size in (images // SIZES, images))
        rate = (images - images // SIZES) / (many - few)
        start = many - images / rate
        print(f"encode: start {start:.1f} s, {rate:.0f} images/s a worker")
        check("encode", folder, images, arguments.workers, start, rate, encode)
        check("encode", folder, 2 * images, arguments.workers, start, rate, encode)
        a_commit = commit(folder, images // SIZES)
        few, many = (fit(folder, size, 1) for size in (images // SIZES, images))
        summed = (images - images // SIZES) / max(many - few, 0.1)
        begun = many - images / summed
        print(f"fit: start {begun:.1f} s, {summed:.0f} pairs/s a worker (64 and 64 variables)")
        check("fit", folder, 2 * images, arguments.workers, begun, summed, fit)
        extrapolate(rate, a_commit, *sizes(folder, 2 * images))


def encode(folder: Path, size: int, workers: int) -> float:
    """Seconds of encoding anew."""
    return timed(folder, f"{size}-{workers}", ["encode", "vae"], size, workers)


def fit(folder: Path, size: int, workers: int) -> float:
    """Seconds of a fit from codes that are there."""
    cache, words = f"{size}-fit", ["fit", "--src", "vae", "--dst", "vae-b"]
    if not (folder / cache).exists():
        timed(folder, cache, words, size, workers)
    return timed(folder, cache, words, size, workers)


def timed(folder: Path, cache: str, words: list[str], size: int, workers: int) -> float:
    begun = time.perf_counter()
    words = [*words, "--data", f"{size}.h5", "--cache", cache, "--device", "cpu"]
    run([[*words, "--workers", str(workers)]], folder)
    return time.perf_counter() - begun


def check(what: str, folder: Path, size: int, workers: int, start: float, rate: float, way) -> None:
    """Prints what the model says of a run, and what it took."""
    predicted, taken = start + size / (workers * rate), way(folder, size, workers)
    print(
        f"{what}, {size} images, {workers} workers: {predicted:.1f} s by the model, "
        f"{taken:.1f} s measured, {predicted / taken:.2f} of it"
    )


def commit(folder: Path, size: int) -> float:
    """Seconds a shard of committing, of a plan of many small ones."""
    words = ["encode", "vae", "--data", f"{size}.h5", "--cache", "commits", "--device", "cpu"]
    run([[*words, "--plan", "--shard-images", "8", "--batch-size", "8"]], folder)
    run([[*words, "--batch-size", "8", "--shard", "0/1"]], folder)
    begun = time.perf_counter()
    run([["cache", "commit", "--cache", "commits"]], folder)
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    run([["cache", "list", "--cache", "commits"]], folder)
    shards = -(-size // 8)
    each = max(first - (time.perf_counter() - begun), 0) / shards
    print(f"commit: {1e3 * each:.2f} ms a shard ({shards} shards)")
    return each


def sizes(folder: Path, size: int) -> tuple[float, float]:
    """Bytes that a code of 64 variables takes beside its numbers, and a shard in a manifest."""
    from latentmap.cache import LatentCache

    cache = LatentCache(folder / f"{size}-2")
    manifest = cache.entries.all()[0].manifest
    assert manifest is not None, "it was just written"
    codes = sum(record.size for record in manifest.shards) / manifest.rows
    a_shard = len(manifest.to_bytes()) / len(manifest.shards)
    print(f"a code: {codes:.0f} bytes, of which 256 are its numbers; a shard: {a_shard:.0f} bytes")
    return codes - 256, a_shard


def extrapolate(rate: float, a_commit: float, beside: float, a_shard: float) -> None:
    """What a billion images ask for, by the same model."""
    shards = -(-IMAGES // ((64 << 20) // (4 * CODE)))
    print(f"\n10^9 images, codes of {CODE} variables, {shards:,} shards of 64 MiB:")
    print(f"  codes     {IMAGES * (4 * CODE + beside) / 1e12:.2f} TB")
    print(f"  manifest  {shards * a_shard / 1e6:.1f} MB")
    print(f"  commits   {shards * (a_commit + (64 << 20) / 1.5e9) / 60:.0f} min at 1.5 GB/s")
    for each in (rate, 1e4):
        for workers in np.array([10, 100, 1000]):
            days = IMAGES / (workers * each) / 86400
            print(f"  {workers:5d} workers of {each:,.0f} images/s: {days:.2f} days")


if __name__ == "__main__":
    main()
