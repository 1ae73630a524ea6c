"""The cache against plain numpy files: durable writing, reading in a row, reading random rows.

    python benchmarks/cache.py [--rows 500000] [--dim 256] [--repeats 3]

Both write float32 codes to the same folder and end with an fsync of file and folder. Random rows
are read in batches, unsorted, from the page cache. Ratios above 1 mean that the cache is faster;
the best of some repeats counts, taken in turns, since the machine may be busy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from latentmap.cache import EntryKey, LatentCache
from latentmap.codes import Codes, Space
from latentmap.files import fsync_folder
from latentmap.frames import Frame

BATCH = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write  [default: a temporary folder]")
    arguments = parser.parse_args()
    shape = (arguments.rows, arguments.dim)
    codes = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    ids = np.char.add(np.arange(arguments.rows).astype(np.str_), ".jpg")
    digests = np.random.default_rng(1).integers(0, 256, (arguments.rows, 16), dtype=np.uint8)
    key = EntryKey("f" * 64, "z", "d" * 64, {}, {})
    index = np.random.default_rng(2).permutation(arguments.rows)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        array = folder / "codes.npy"

        def write_cache() -> None:
            cache = LatentCache(folder / "cache")
            space = Space("z", arguments.dim, "random", key.model)
            with cache.writer(key, space=space, frame=Frame(), ids=ids, digests=digests) as writer:
                for start in range(0, len(codes), BATCH):
                    positions = np.arange(start, min(start + BATCH, len(codes)))
                    writer.append(positions, codes[positions], stop=int(positions[-1]) + 1)
                writer.finish()

        def write_numpy() -> None:
            with array.open("wb") as file:
                np.save(file, codes)
                file.flush()
                os.fsync(file.fileno())
            fsync_folder(folder)

        def clean() -> None:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            array.unlink(missing_ok=True)

        gigabytes = codes.nbytes / 1e9
        print(f"{shape[0]} x {shape[1]} float32, {gigabytes:.2f} GB")
        compare("durable write, GB/s", gigabytes, write_cache, write_numpy, arguments, clean)

        cached = find(folder, key)
        mapped = np.load(array, mmap_mode="r")
        opening = "first open (every byte hashed), GB/s"
        compare(opening, gigabytes, lambda: find(folder, key), None, arguments)
        for size in (256, BATCH, 65536):
            starts = range(0, min(len(index), 16 * size), size)
            picks = [index[start : start + size] for start in starts]
            compare(
                f"random rows in batches of {size}, thousand rows/s",
                sum(map(len, picks)) / 1e3,
                partial(read_all, cached.rows.take, picks),
                partial(read_all, mapped.__getitem__, picks),
                arguments,
            )
        starts = range(0, len(codes), BATCH)
        compare(
            f"blocks of {BATCH} rows in order, GB/s",
            gigabytes,
            lambda: [cached.rows.read(start, start + BATCH) for start in starts],
            lambda: [mapped[start : start + BATCH].copy() for start in starts],
            arguments,
        )


def read_all(read: Callable[[np.ndarray], np.ndarray], picks: list[np.ndarray]) -> None:
    for pick in picks:
        read(pick)


def find(folder: Path, key: EntryKey) -> Codes:
    codes = LatentCache(folder / "cache").find(key)
    assert codes is not None
    return codes


def compare(
    what: str,
    amount: float,
    ours: Callable[[], object],
    plain: Callable[[], object] | None,
    arguments: argparse.Namespace,
    clean: Callable[[], None] = lambda: None,
) -> None:
    """Prints the best rate of both, taken in turns, and their ratio."""
    times: list[list[float]] = [[], []]
    for _ in range(arguments.repeats):
        clean()
        for work, found in zip((ours, plain), times, strict=True):
            if work is not None:
                begin = time.perf_counter()
                work()
                found.append(time.perf_counter() - begin)
    rates = [amount / min(found) for found in times if found]
    line = f"{what:<45} cache {rates[0]:>8.2f}"
    if plain is not None:
        line += f"   numpy {rates[1]:>8.2f}   ratio {rates[0] / rates[1]:.2f}"
    print(line)


if __name__ == "__main__":
    main()
