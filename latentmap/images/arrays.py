"""Images that lie ready as pixels: IDX files, npy and npz, HDF5 datasets, handwritten digits.

Whatever the file holds is seen as uint8 ``(n, h, w, c)``: bytes as they are, other values as
values.py says. Files that can be mapped into memory are not read before their rows are wanted.
"""

from __future__ import annotations

import copy
import functools
import gzip
import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import map_array, open_arrays, open_regular, reading, reason_of
from latentmap.files.hdf5_files import Hdf5File, look_into_hdf5
from latentmap.images.containers import Container, Extent, Failures
from latentmap.images.contents import Contents, FileState, Marks
from latentmap.images.labels import labels_beside, labels_within
from latentmap.images.naming import index_ids
from latentmap.images.scratch import Scratch
from latentmap.images.shapes import channels_first
from latentmap.images.tables import as_names
from latentmap.images.values import ValueRange, eight_bits, own_range, suggested_range
from latentmap.images.views import View
from latentmap.limits import DEFLATE, Allowance

# What the look into an HDF5 file tells besides its datasets: by these a pack is known.
HDF5_ATTRIBUTES = ("format", "version")
HDF5_TEXTS = ("record", "space")

# The arrays by which dSprites' own file is known, and the values of its images. It has another,
# ``metadata``, of Python objects, which is never read.
DSPRITES = {"imgs": ValueRange(0.0, 1.0), "latents_values": None, "latents_classes": None}

_SOME = 256
_BLOCK = 1 << 24  # Bytes of images that are one task, where they are more than one.
_IMAGE = 500  # Bytes of memory that an image takes beside its pixels: its id, digest and shape.
_LISTED = 20
_STEP = 1 << 20  # Bytes that are unpacked at a time.
_IDX_IMAGES = {b"\x00\x00\x08\x03": 3, b"\x00\x00\x08\x04": 4}


class Pixels(Protocol):
    """An array in memory or on disk, or rows of a dataset."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class ArrayImages(Container):
    """Images that need no decoding; their ids are their positions.

    ``pixels`` has shape ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)`` with ``c`` 1 or 3, and
    holds uint8, uint16, floats in [0, 1], or any numbers with a ``value_range``. ``find_labels``
    looks for the labels of the images, of which it is told the number. ``state`` is that of the
    file, if they are in one, before it was opened, and ``size`` are its bytes.

    Ids are made when they are asked for; ``between`` gives some of the images without that.
    """

    task_size = 256

    def __init__(
        self,
        pixels: Pixels,
        title: str,
        value_range: ValueRange | None = None,
        find_labels: Callable[[int], np.ndarray | None] | None = None,
        *,
        state: FileState | None = None,
        size: int | None = None,
    ) -> None:
        self.title = title
        self._state, self._size = state, size
        self._first = 0
        self._find_labels = find_labels
        self.value_range = value_range
        self._pixels = pixels
        self._channels_first = channels_first(pixels.shape, title)
        self._own = own_range(pixels.dtype)
        row = math.prod(pixels.shape[1:]) * pixels.dtype.itemsize
        self.task_size = max(1, min(self.task_size, _BLOCK // row))
        if pixels.dtype.kind not in "biuf" or (value_range is None and self._own is None):
            raise _other_type(pixels, title)

    @property
    def whole(self) -> int:
        """How many images the array holds."""
        return self._pixels.shape[0]

    @cached_property
    def ids(self) -> np.ndarray:  # type: ignore[override]  # of images that all are asked for
        if self._size is not None:
            # Their pixels may be a byte each.
            allowance = Allowance(self.title, self._size, ImageError)
            allowance.spend(self.whole * _IMAGE, f"{self.whole} images")
        return index_ids(self.whole)

    def between(self, start: int, stop: int) -> ArrayImages:
        """Images ``start`` to ``stop``, with the ids that they have."""
        some = copy.copy(self)
        some._first = start
        some.ids = index_ids(self.whole, start, stop)
        return some

    def labels(self) -> np.ndarray | None:
        if self._find_labels is None:
            return super().labels()
        labels = self._find_labels(self.whole)
        return None if labels is None else labels[self._first :][: len(self.ids)]

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Some images, uint8 ``(k, h, w, c)``; perhaps a view of the file, not to be written to."""
        rows = self._stored(index)
        try:
            if self.value_range is not None:
                rows = self.value_range.to_eight_bits(rows)
            elif self._own is not None:
                rows = eight_bits(rows, self._own.white)
        except ImageError as error:
            raise ImageError(f"{self.title}: {error}") from error
        if rows.ndim == 3:
            return rows[..., None]
        return rows.transpose(0, 2, 3, 1) if self._channels_first else rows

    def _stored(self, index: np.ndarray) -> np.ndarray:
        rows: np.ndarray
        index = index + self._first
        with reading(self.title, ImageError, "get the file again"):
            if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
                rows = self._pixels[int(index[0]) : int(index[0]) + len(index)]
            elif isinstance(self._pixels, np.ndarray):
                rows = self._pixels[index]
            else:
                # Datasets take rising indexes only.
                rising, places = np.unique(index, return_inverse=True)
                rows = self._pixels[rising][places]
        return rows

    def extent(self, position: int) -> Extent:
        row = self._stored(np.array([position]))
        said = self.value_range or self._own
        assert said is not None, "checked when it was opened"
        pixel = row[..., :1, :1] if self._channels_first else row[:, :1, :1]
        return Extent(float(row.min()), float(row.max()), said.white, bool((row == pixel).all()))

    def picture(self, position: int) -> np.ndarray:
        picture: np.ndarray = np.array(self.rows(np.array([position]))[0])
        return picture

    def describe(self, index: np.ndarray) -> Contents:
        rows = np.ascontiguousarray(self.rows(index))
        height, width, channels = shape = rows.shape[1:]
        # The shape belongs to the content; the file format does not.
        head = hashlib.sha256(f"uint8 {height}x{width}x{channels}\n".encode())
        size = height * width * channels
        data = rows.reshape(-1).data
        parts = []
        for start in range(0, len(data), size):
            digest = head.copy()
            digest.update(data[start : start + size])
            parts.append(digest.digest()[:16])
        digests = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 16)
        return Contents(digests, np.tile(np.array(shape, np.int64), (len(index), 1)))

    def marks(self, index: np.ndarray) -> Marks | None:
        return None if self._state is None else self._state.marks(index + self._first)

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        rows = self.rows(index)
        for view, out in zip(views, outs, strict=True):
            view.render(rows, out)
        return []


def _state_of(path: Path, *known: object) -> FileState:
    return FileState.of(path.stat(), *known)


def _other_type(pixels: Pixels, title: str) -> ImageError:
    message = f"{title} must hold uint8, or floats in [0, 1], not {pixels.dtype}"
    if pixels.dtype.kind not in "biu":
        return ImageError(message)
    some = np.asarray(pixels[:_SOME])
    low, high = int(some.min()), int(some.max())
    return ImageError(
        f"{message} such as {low} to {high}: say which values are black and white, such as "
        f"--range {suggested_range(low, high)}"
    )


def open_idx(path: Path, value_range: ValueRange | None = None) -> ArrayImages:
    """The images of an IDX file such as ``train-images-idx3-ubyte.gz``.

    Raises:
        ImageError: it is no IDX file of images, or is cut off.
    """
    state = _state_of(path, value_range)
    with open_regular(path) as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        what = "is no gzip file, or is cut off" if zipped else "is no IDX file of images"
        with reading(path, ImageError, "get it again", what=what):
            size = path.stat().st_size
            if zipped:
                pixels = _unpacked_idx(path, file, size)
            else:
                shape, start = _idx_shape(path, file)
                _require_size(path, shape, size - start)
                pixels = np.memmap(path, np.uint8, mode="r", offset=start, shape=shape)
    labels = functools.partial(labels_beside, path)
    return ArrayImages(pixels, str(path), value_range, labels, state=state, size=size)


def _unpacked_idx(path: Path, packed: BufferedReader, packed_size: int) -> np.ndarray:
    """The pixels of a compressed file, of which no more is unpacked than its head promises."""
    with gzip.open(packed) as file:
        shape, _ = _idx_shape(path, file)
        size = math.prod(shape)
        if size > DEFLATE * packed_size:
            raise ImageError(
                f"{path} should hold {size} bytes of pixels, more than {packed_size} bytes can "
                "unpack to: it is cut off or damaged"
            )
        Allowance(str(path), packed_size, ImageError).spend(size, f"{size} bytes of pixels")
        pixels = np.empty(size, np.uint8)
        view, filled = pixels.data, 0
        while filled < size and (count := file.readinto(view[filled : filled + _STEP])):
            filled += count
        _require_size(path, shape, filled + len(file.read(1)))
    return pixels.reshape(shape)


def _idx_shape(path: Path, file: Any) -> tuple[tuple[int, ...], int]:
    """The shape that an IDX file of images promises, and where its pixels begin."""
    magic = file.read(4)
    dims = _IDX_IMAGES.get(magic)
    if dims is None:
        labels = ": it holds labels" if magic == b"\x00\x00\x08\x01" else ""
        raise ImageError(
            f"{path} is no IDX file of images: it must begin with 00000803, "
            f"not {magic.hex() or 'nothing'}{labels}"
        )
    numbers = file.read(4 * dims)
    shape = struct.unpack(f">{dims}I", numbers) if len(numbers) == 4 * dims else (0,) * dims
    if 0 in shape:
        raise _cut_off(path, shape, 0)
    return shape, 4 + 4 * dims


def _require_size(path: Path, shape: tuple[int, ...], size: int) -> None:
    if size != math.prod(shape):
        raise _cut_off(path, shape, size)


def _cut_off(path: Path, shape: tuple[int, ...], size: int) -> ImageError:
    return ImageError(
        f"{path} should hold {' x '.join(map(str, shape))} pixels, which is {math.prod(shape)} "
        f"bytes, but holds {size}: it is cut off or damaged"
    )


def open_numpy(path: Path, key: str | None, value_range: ValueRange | None = None) -> ArrayImages:
    """The images of a ``.npy`` file, or of one array of a ``.npz`` file.

    Raises:
        ImageError: the file is no such array, is cut off, or holds Python objects.
    """
    what = "cannot be read as an array of numbers"
    state, size = _state_of(path, key, value_range), path.stat().st_size
    with reading(path, ImageError, "give a whole file of numbers", what=what):
        if path.suffix.lower() == ".npy":
            return ArrayImages(map_array(path), str(path), value_range, state=state, size=size)
        with open_arrays(path, ImageError) as arrays:
            own = DSPRITES.keys() <= arrays.keys()
            name = key or ("imgs" if own else _only_name(path, list(arrays)))
            if name not in arrays:
                raise ImageError(f"{path} has no array {name!r}: it has {_listed(list(arrays))}")
            if own and name == "imgs" and value_range is None:
                value_range = DSPRITES[name]
            array, title = arrays[name](), f"{path}:/{name}"
            labels = functools.partial(labels_within, path)
            return ArrayImages(array, title, value_range, labels, state=state, size=size)


def open_hdf5(path: Path, name: str | None, value_range: ValueRange | None = None) -> ArrayImages:
    """The images of one dataset of an HDF5 file.

    Raises:
        ImageError: the file or the dataset cannot be used.
    """
    state = _state_of(path, name, value_range)
    with reading(path, ImageError, "write it again"):
        file = look_into_hdf5(path, attributes=HDF5_ATTRIBUTES, texts=HDF5_TEXTS)
        names = list(file.datasets) or list(file.refused)
        if name is None:
            name = _only_name(path, names, complete=file.complete)
        name = name.strip("/")
        if name not in file.datasets:
            file = _asked_for(path, name, file)
        stored = file.stored(name)
        one_piece = stored.offset is not None and stored.nbytes > 0
        pixels: Pixels = file.map(name) if one_piece else file.served(name)
    return ArrayImages(pixels, f"{path}:/{name}", value_range, state=state, size=file.size)


def _asked_for(path: Path, name: str, file: Hdf5File) -> Hdf5File:
    """What a file says of a dataset that no hard link of the walk through it leads to."""
    try:
        return look_into_hdf5(path, name=name)
    except ValueError as error:
        raise ImageError(
            f"{path} has no dataset {name!r} that can be read ({reason_of(error)}): it "
            f"has {_listed(list(file.datasets))}"
        ) from error


def digits(value_range: ValueRange | None = None) -> ArrayImages:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, their 17 levels spread over 0 to 255."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    levels = loaded.images
    pixels = np.floor(levels * 255 / 16 + 0.5).astype(np.uint8)
    return ArrayImages(pixels, "digits", value_range, lambda _: as_names(loaded.target))


def _only_name(path: Path, names: list[str], *, complete: bool = True) -> str:
    if len(names) == 1 and complete:
        return names[0]
    if "images" in names:
        return "images"
    raise ImageError(f"{path} holds {_listed(names)}: say which, as {path.name}:/NAME")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return (", ".join(sorted(names)[:_LISTED]) or "nothing") + more
