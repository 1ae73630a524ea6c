"""Packing: images decoded once into one file that every command takes instead of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import create_hdf5, replace_atomic, temporary_beside
from latentmap.files.hdf5_output import SafeFile
from latentmap.images.packed import FORMAT, VERSION, Packed
from latentmap.images.source import ImageSource, OnError
from latentmap.images.views import View
from latentmap.progress import Progress

if TYPE_CHECKING:
    import h5py

_BLOCK = 256


@dataclass(frozen=True)
class PackResult:
    """What ``pack_images`` wrote: how many images, what was done to them, and which it left out."""

    path: Path
    count: int
    packed: Packed
    skipped: tuple[str, ...]


def pack_images(
    images: ImageSource,
    view: View,
    path: str | Path,
    *,
    progress: Progress | None = None,
    on_error: OnError = "stop",
) -> PackResult:
    """Writes some images, as a view sees them, to a pack at ``path``.

    The file is there whole or not at all. Ids, digests and splits stay, so that the pack
    stands for the images everywhere.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``, or they are from a pack.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if images.packed is not None:
        raise ImageError(f"{images.path} is a pack already: pack the original images")
    packed = _what_is_done(images, view)
    positions: list[np.ndarray] = []
    skipped: list[str] = []
    kept = 0
    with replace_atomic(path) as temporary:
        with new_pack(temporary, packed, len(images)) as (file, disk):
            for batch in images.batches([view], batch_size=_BLOCK, on_error=on_error):
                pixels = batch.images[0].permute(0, 2, 3, 1).numpy()
                file["images"][kept : kept + len(pixels)] = pixels
                disk.check()
                kept += len(pixels)
                positions.append(batch.positions)
                skipped.extend(message for _, message in batch.failed)
                if progress is not None:
                    progress(batch.stop, len(images))
            if not skipped:
                _write_rows(file, images, np.concatenate(positions))
        if skipped:
            longer = temporary_beside(path)
            temporary.rename(longer)
            try:
                _close_up(longer, temporary, packed, images, np.concatenate(positions))
            finally:
                longer.unlink()
    return PackResult(path, kept, packed, tuple(skipped))


def _what_is_done(images: ImageSource, view: View) -> Packed:
    shapes = images.shapes[images.shapes[:, 0] > 0]
    if not len(shapes):
        raise ImageError(f"none of the {len(images)} images of {images.path} can be read")
    sizes = np.unique(shapes[:, :2], axis=0).tolist()
    channels = np.unique(shapes[:, 2]).tolist()
    resized = False
    for height, width in sizes:
        top, left, bottom, right = view.frame.pixels(height, width)
        resized = resized or (bottom - top, right - left) != view.size
    return Packed(
        view,
        resized,
        (sizes[0][0], sizes[0][1]) if len(sizes) == 1 else None,
        channels[0] if len(channels) == 1 else None,
    )


@contextmanager
def new_pack(path: Path, packed: Packed, count: int) -> Iterator[tuple[h5py.File, SafeFile]]:
    """A pack to be written, with its head and room for ``count`` images; and the file under it."""
    with create_hdf5(path) as (file, disk):
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file["record"] = json.dumps(packed.to_json(), sort_keys=True)
        file.create_dataset("images", (count, *packed.view.size, packed.view.channels), np.uint8)
        yield file, disk


def _write_rows(file: h5py.File, images: ImageSource, positions: np.ndarray) -> None:
    splits = images.partition()
    file["ids"] = np.char.encode(images.ids[positions], "utf-8", "surrogateescape")
    file["digests"] = images.digests[positions]
    if splits is not None:
        file["splits"] = np.char.encode(splits[positions])


def _close_up(
    longer: Path, path: Path, packed: Packed, images: ImageSource, positions: np.ndarray
) -> None:
    """Writes a file anew without room for the images left out: such a dataset cannot shrink."""
    count = len(positions)
    import h5py

    with h5py.File(longer) as old, new_pack(path, packed, count) as (file, disk):
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            file["images"][start:stop] = old["images"][start:stop]
            disk.check()
        _write_rows(file, images, positions)
