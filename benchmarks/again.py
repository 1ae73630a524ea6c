"""The second run, one more image, and many files that have not changed.

    python benchmarks/again.py [--images 1000] [--files 100000] [--codes 10000 100000 1000000]
    python benchmarks/again.py --quick

1. ``Coder.encoded`` of pictures with the bundled ``vae``: the first time, again, with one image
   more, and of all after a half, beside the time of the first; how many codes were computed.
2. ``images.examine(store=...)`` of many small files: the first time, and again, beside ``os.stat``
   of each, which is the bound.
3. ``LatentCache.cover`` among many entries of other images with the same model.
4. ``cache verify`` and ``cache list`` as commands for more and more codes: seconds and peak memory,
   beside reading and hashing the same bytes.

Seconds are of the processor, in one thread and the threads that decode.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from latentmap.cache import Coder, EntryKey, LatentCache
from latentmap.codes import Space
from latentmap.encoders import load
from latentmap.frames import Frame
from latentmap.images import ImageSource, contents, open_images

_COMMAND = """
import resource, sys, time
from latentmap.cli.main import main
import latentmap.cache, latentmap.cli.cache
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.process_time()
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(time.process_time() - begin, (peak - base) / 1024, file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=200)
    parser.add_argument("--codes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="small numbers: some seconds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.files, arguments.entries = 200, 2000, 10
        arguments.codes = [1000, 10_000]
    # Files of a benchmark are new, which would not be trusted.
    contents._RACY = -(10**18)
    with tempfile.TemporaryDirectory() as name:
        one_more(Path(name), arguments.images)
        unchanged_files(Path(name), arguments.files)
        many_entries(Path(name), arguments.entries, 100_000 if not arguments.quick else 1000)
        for n in arguments.codes:
            whole_cache(Path(name) / f"cache-{n}", n)


def taken(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def one_more(folder: Path, n: int) -> None:
    chance = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(n + 1):
        # As smooth as photographs are.
        small = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((178, 218)).save(folder / "pictures" / f"{number}.jpg")
    model = load("vae", device="cpu")
    pictures = folder / "pictures"
    first = encoded(folder / "a", model, open_images(pictures, limit=n), "first run")
    encoded(folder / "a", model, open_images(pictures, limit=n), "again", first)
    encoded(folder / "a", model, open_images(pictures), "one image more", first)
    encoded(folder / "b", model, open_images(pictures, limit=n // 2), "half of them", first)
    encoded(folder / "b", model, open_images(pictures, limit=n), "all after half", first)


def encoded(
    cache: Path, model: object, images: ImageSource, what: str, first: float | None = None
) -> float:
    found = []
    seconds = taken(lambda: found.extend(Coder.of(cache).encoded([model], images)))  # type: ignore[list-item]
    (one,) = found
    ratio = "" if first is None else f"   {seconds / first:6.3f} of the first run"
    print(f"{what:<16} {one.there:>6} there {one.computed:>6} computed {seconds:8.2f} s{ratio}")
    return seconds


def unchanged_files(folder: Path, n: int) -> None:
    (folder / "files").mkdir()
    # Distinct, small, quickly written, and not black.
    for number in range(n):
        pixels = b"\xff" * 4 + number.to_bytes(4, "big")
        (folder / "files" / f"{number}.pgm").write_bytes(b"P5 2 2 65535\n" + pixels)
    store = LatentCache(folder / "files-cache").contents
    images = open_images(folder / "files")
    first = taken(lambda: images.examine(store=store))
    again = open_images(folder / "files")
    warm = taken(lambda: again.examine(store=store))
    paths = [f"{folder}/files/{name}" for name in again.ids]
    bound = taken(lambda: [os.stat(path) for path in paths])  # noqa: PTH116
    print(
        f"contents of {n} files: first {first:.2f} s, again {warm:.2f} s; os.stat of each "
        f"{bound:.2f} s, ratio {warm / bound:.2f}"
    )


def fill(cache: LatentCache, n: int, dim: int, *, seed: int) -> EntryKey:
    chance = np.random.default_rng(seed)
    ids = np.char.add(np.arange(n).astype(np.str_), ".jpg")
    digests = chance.integers(0, 256, (n, 16), dtype=np.uint8)
    key = EntryKey("f" * 64, "z", f"{seed:064x}", {}, {})
    space = Space("z", dim, "random", key.model)
    with cache.writer(key, space=space, frame=Frame(), ids=ids, digests=digests) as writer:
        for start in range(0, n, 8192):
            positions = np.arange(start, min(start + 8192, n))
            codes = chance.standard_normal((len(positions), dim), dtype=np.float32)
            writer.append(positions, codes, stop=int(positions[-1]) + 1)
        writer.finish()
    return key


def many_entries(folder: Path, entries: int, n: int) -> None:
    cache = LatentCache(folder / "entries-cache")
    keys = [fill(cache, n, 2, seed=seed) for seed in range(entries)]
    fresh = LatentCache(folder / "entries-cache")
    exact = taken(lambda: fresh.find(keys[-1]))
    digests = np.random.default_rng(10**6).integers(0, 256, (n, 16), dtype=np.uint8)
    other = replace(keys[0], data="e" * 64)
    nothing = taken(lambda: fresh.cover(other, digests))
    print(
        f"{entries} entries of {n} images of one model: found by its key {exact:.3f} s, a look for "
        f"{n} other images in all of them {nothing:.3f} s"
    )


def whole_cache(folder: Path, n: int) -> None:
    fill(LatentCache(folder), n, 64, seed=0)
    files = sorted((folder / "entries").glob("*/*"))
    hashing = taken(lambda: [hashlib.sha256(path.read_bytes()) for path in files])
    figures = {}
    for words in (("verify",), ("list",)):
        run = subprocess.run(
            [sys.executable, "-c", _COMMAND, "cache", *words, "--cache", str(folder)],
            check=True,
            capture_output=True,
            text=True,
        )
        figures[words[0]] = [float(part) for part in run.stderr.split()[-2:]]
    print(
        f"{n} codes of 64: "
        + "; ".join(f"cache {what} {s:.2f} s, {mb:.0f} MB" for what, (s, mb) in figures.items())
        + f"; hashing the bytes {hashing:.2f} s"
    )


if __name__ == "__main__":
    main()
