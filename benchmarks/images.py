"""How fast images are read, against Pillow: ``python benchmarks/images.py ARCHIVE.zip``.

Every figure is a ratio of times that were taken side by side, piece by piece and in turn, so that
other work on the machine falls on both; shown is the median over the pieces. The archive holds
CelebA's aligned 218x178 JPEGs; they become 64x64 (frame celeba, bicubic). "Bare Pillow" is open,
convert, crop, resize and an array, of bytes that are in memory already; ours, with the decoder that
the default install has, includes reading the archive, threads, order and batches. ``--quick`` takes
1,500 images once.
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


def ours(source: ImageSource, view: View, threads: int | None = None) -> None:
    """All images of a source as batches."""
    for batch in source.batches([view], batch_size=128, threads=threads):
        assert len(batch.positions) == batch.stop - batch.start


def ours_without(source: ImageSource, view: View) -> None:
    """All images of a source as batches, as where simplejpeg is not installed."""
    with mock.patch.object(decoding, "simplejpeg", None):
        ours(source, view)


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
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    source = open_images(arguments.archive)
    if arguments.quick:
        source, arguments.repeat = source.subset(np.arange(min(PIECE, len(source)))), 1
    view = View(Frame("celeba"), (SIZE, SIZE), 3)
    with zipfile.ZipFile(arguments.archive) as archive:
        datas = [archive.read(str(name)) for name in source.ids]
    times: dict[str, list[float]] = {}
    with ThreadPoolExecutor(2) as pool:
        for first in list(range(0, len(source), PIECE)) * arguments.repeat:
            part = source.subset(np.arange(first, min(first + PIECE, len(source))))
            block = datas[first : first + PIECE]
            runs: dict[str, Callable[[], object]] = {
                "Pillow, one thread": partial(pillow_some, block),
                "Pillow, two threads": partial(pillow_pooled, pool, block),
                "ours, one thread": partial(ours, part, view, 1),
                "ours": partial(ours, part, view),
                "ours without simplejpeg": partial(ours_without, part, view),
            }
            for name, run in runs.items():
                times.setdefault(name, []).append(seconds(run) / len(block))
    for name, taken in times.items():
        print(f"{name:24} {1 / median(taken):8.0f} images/s")
    for slow, quick in (
        ("Pillow, one thread", "ours, one thread"),
        ("Pillow, two threads", "ours"),
        ("Pillow, two threads", "ours without simplejpeg"),
        ("ours, one thread", "ours"),
    ):
        print(f"{quick}: {ratio(times, slow, quick):.2f} times as fast as {slow}")
    if decoding.simplejpeg is not None:  # type: ignore[attr-defined]
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
