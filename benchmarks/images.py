"""How fast images are read, against Pillow: ``python benchmarks/images.py ARCHIVE.zip``.

Every figure is a ratio of times that were taken side by side, piece by piece and in turn, so that
other work on the machine falls on both; shown is the median over the pieces. The archive holds
CelebA's aligned 218x178 JPEGs; they become 64x64 (frame celeba, bicubic). "Bare Pillow" is open,
convert, crop, resize and an array, of bytes that are in memory already; ours includes reading the
archive, threads, order and batches.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from latentmap.frames import Frame, crop_resize
from latentmap.images import ImageSource, View, decoding, open_images

SIZE = 64
# As Pillow counts: left, top, right, bottom of the frame celeba in 218x178 pixels.
BOX = (25, 45, 153, 173)
PIECE = 1500


def pillow(data: bytes) -> np.ndarray:
    """One image by bare Pillow calls."""
    image = Image.open(io.BytesIO(data)).convert("RGB").crop(BOX)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def pillow_some(datas: list[bytes]) -> list[np.ndarray]:
    """Some images by bare Pillow calls."""
    return [pillow(data) for data in datas]


def pillow_pooled(pool: ThreadPoolExecutor, datas: list[bytes]) -> None:
    """Some images by bare Pillow calls in threads, in pieces that are worth handing over."""
    list(pool.map(pillow_some, [datas[first : first + 16] for first in range(0, len(datas), 16)]))


def ours(source: ImageSource, view: View, decoder: object) -> None:
    """All images of a source as batches, decoded by simplejpeg, or by Pillow when it is None."""
    with mock.patch.object(decoding, "simplejpeg", decoder):
        for batch in source.batches([view], batch_size=128):
            assert len(batch.positions) == batch.stop - batch.start


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    source = open_images(arguments.archive)
    view = View(Frame("celeba"), (SIZE, SIZE), 3)
    with zipfile.ZipFile(arguments.archive) as archive:
        datas = [archive.read(str(name)) for name in source.ids]
    fast: Any = decoding.simplejpeg  # type: ignore[attr-defined]
    times: dict[str, list[float]] = {"pillow 1": [], "pillow 2": [], "default": [], "fast": []}
    with ThreadPoolExecutor(2) as pool:
        for first in list(range(0, len(source), PIECE)) * arguments.repeat:
            part = source.subset(np.arange(first, min(first + PIECE, len(source))))
            block = datas[first : first + PIECE]
            runs: dict[str, Callable[[], object]] = {
                "pillow 1": partial(pillow_some, block),
                "default": partial(ours, part, view, None),
                "pillow 2": partial(pillow_pooled, pool, block),
                "fast": partial(ours, part, view, fast),
            }
            for name, run in runs.items():
                if name != "fast" or fast is not None:
                    times[name].append(seconds(run) / len(block))
    for name, taken in times.items():
        if taken:
            print(f"{name:10} {1 / median(taken):8.0f} images/s")
    print(f"ours, default install, / Pillow on one core: {ratio(times, 'pillow 1', 'default'):.2f}")
    if fast is not None:
        print(
            f"ours, fast decoder, / Pillow on two threads: {ratio(times, 'pillow 2', 'fast'):.2f}"
        )
        print(f"largest difference between the decoders: {difference(datas[:1000])}")
    print(f"largest difference from Pillow's resize: {resize_difference(datas[:1000])}")


def ratio(times: dict[str, list[float]], slow: str, quick: str) -> float:
    """The median of the ratios of neighbouring times."""
    return median(a / b for a, b in zip(times[slow], times[quick], strict=True))


def difference(datas: list[bytes]) -> int:
    """The largest difference of a pixel between simplejpeg and Pillow."""
    largest = 0
    for data in datas:
        pixels = decoding.decode(data).astype(int)
        with mock.patch.object(decoding, "simplejpeg", None):
            largest = max(largest, int(np.abs(pixels - decoding.decode(data)).max()))
    return largest


def resize_difference(datas: list[bytes]) -> int:
    """The largest difference of a pixel between pillow-bicubic here and bare Pillow."""
    frame = Frame("celeba", "pillow-bicubic")
    return max(
        int(
            np.abs(
                crop_resize(decoding.decode(d), frame, (SIZE, SIZE)) - pillow(d).astype(int)
            ).max()
        )
        for d in datas
    )


if __name__ == "__main__":
    main()
