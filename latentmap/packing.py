"""Packing: images decoded once into one file that every command takes instead of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from latentmap.errors import ImageError, OutputError
from latentmap.files import replace_atomic
from latentmap.images import ImageSource, OnError
from latentmap.packed import FORMAT, VERSION, Packed
from latentmap.progress import Progress
from latentmap.views import View

_BLOCK = 256


@dataclass(frozen=True)
class PackResult:
    """What ``pack_images`` wrote: how many images, what was done to them, and which it left out."""

    path: Path
    count: int
    packed: Packed
    skipped: tuple[str, ...]


def pack_images(
    source: ImageSource,
    view: View,
    path: Path,
    *,
    progress: Progress | None = None,
    on_error: OnError = "stop",
) -> PackResult:
    """Writes the images of a source, as a view sees them, to a pack at ``path``.

    The file is there whole or not at all. Ids, digests and splits are those of the source, so that
    the pack stands for it everywhere.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``, or the source is a pack.
        OutputError: the file cannot be written.
    """
    if source.packed is not None:
        raise ImageError(f"{source.path} is a pack already: pack the original images")
    packed = _what_is_done(source, view)
    positions: list[np.ndarray] = []
    skipped: list[str] = []

    def fill(images: h5py.Dataset) -> None:
        kept = 0
        for batch in source.batches([view], batch_size=_BLOCK, on_error=on_error):
            pixels = batch.images[0].permute(0, 2, 3, 1).numpy()
            images[kept : kept + len(pixels)] = pixels
            kept += len(pixels)
            positions.append(batch.positions)
            skipped.extend(message for _, message in batch.failed)
            if progress is not None:
                progress(batch.stop, len(source))

    with replace_atomic(path) as temporary, _as_output_errors(path):
        _write(temporary, packed, len(source), fill)
        kept = np.concatenate(positions)
        if skipped:
            _close_up(temporary, packed, len(kept))
        _write_rows(temporary, source, kept)
    return PackResult(path, len(kept), packed, tuple(skipped))


def _what_is_done(source: ImageSource, view: View) -> Packed:
    shapes = source.shapes[source.shapes[:, 0] > 0]
    if not len(shapes):
        raise ImageError(f"none of the {len(source)} images of {source.path} can be read")
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


def _write(path: Path, packed: Packed, count: int, fill: Callable[[h5py.Dataset], None]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file["record"] = json.dumps(packed.to_json(), sort_keys=True)
        shape = (count, *packed.view.size, packed.view.channels)
        fill(file.create_dataset("images", shape, np.uint8))


def _close_up(path: Path, packed: Packed, count: int) -> None:
    """Writes the file anew with its first ``count`` images: such a dataset cannot shrink."""
    longer = path.with_name(f"{path.name}.longer")
    path.rename(longer)
    try:
        with h5py.File(longer) as file:

            def copy(images: h5py.Dataset) -> None:
                for start in range(0, count, _BLOCK):
                    stop = min(start + _BLOCK, count)
                    images[start:stop] = file["images"][start:stop]

            _write(path, packed, count, copy)
    finally:
        longer.unlink()


def _write_rows(path: Path, source: ImageSource, positions: np.ndarray) -> None:
    splits = source.partition()
    with h5py.File(path, "a") as file:
        file["ids"] = np.char.encode(source.ids[positions], "utf-8", "surrogateescape")
        file["digests"] = source.digests[positions]
        file["shapes"] = source.shapes[positions]
        if splits is not None:
            file["splits"] = np.char.encode(splits[positions])


@contextmanager
def _as_output_errors(path: Path) -> Iterator[None]:
    """What HDF5 says of a full disk takes five lines, and on closing is no OSError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, OutputError):
            raise
        said = re.search(r"error message = '([^']*)'", str(error))
        reason = said.group(1) if said else " ".join(str(error).split())
        raise OutputError(f"{path} could not be written: {reason}; nothing was changed") from error
