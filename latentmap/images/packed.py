"""Packed images: the file of ``latentmap images pack``, uint8 pixels with frame and size applied.

It keeps ids and digests of the original files, so that a pack and its folder are the same data. The
file is HDF5: ``images`` (n, h, w, c) in one piece, ``ids``, ``digests`` (n, 16), ``splits`` where
the originals had a partition, and a JSON ``record``. Images that a model made come with the
``codes`` (n, d) that they were made from, and a JSON ``space``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes import Space
from latentmap.errors import ImageError
from latentmap.files import parse_json, reading, reason_of
from latentmap.files.hdf5_files import Hdf5File, look_into_hdf5
from latentmap.frames import Frame
from latentmap.images.arrays import HDF5_ATTRIBUTES, HDF5_TEXTS, ArrayImages
from latentmap.images.containers import Failures
from latentmap.images.contents import Contents
from latentmap.images.scratch import Scratch
from latentmap.images.splits import SPLITS
from latentmap.images.views import View

FORMAT = "latentmap images"
VERSION = 1
# Boxes of pictures of unknown size are compared on a grid this fine.
_FINE = 1 << 20
_LONGEST_SIDE = 1 << 24


@dataclass(frozen=True)
class Packed:
    """What was done to the images of a pack.

    ``resized`` tells whether a filter changed them, or they were only cut out; ``original_size`` is
    the size that all had before, ``original_channels`` likewise, None when they differed.
    """

    view: View
    resized: bool
    original_size: tuple[int, int] | None
    original_channels: int | None

    def translate(self, view: View) -> View:
        """The view of a packed picture that shows what ``view`` shows of the original.

        Raises:
            ImageError: the pack does not hold that part, or was resized by another filter.
        """
        frame = self._relative(view.frame)
        if frame is None:
            raise ImageError(
                f"the pack shows frame {self.view.frame.name!r}, which does not contain "
                f"{view.frame.name!r}: use the original images, or pack them with that frame"
            )
        if self.resized and view.frame.resize != self.view.frame.resize:
            raise ImageError(
                f"the pack was resized with {self.view.frame.resize}, not {view.frame.resize}: "
                f"use the original images, or pack them with --resize {view.frame.resize}"
            )
        return replace(view, frame=frame)

    def is_exact(self, view: View) -> bool:
        """Whether ``view`` has the same pixels from this pack as from the original images."""
        frame = self._relative(view.frame)
        if view.channels != self.view.channels:
            grey_as_colour = view.channels == 3 and self.original_channels == 1
            if not grey_as_colour and (view.channels == 3 or self.resized):
                return False
        if self.resized:
            return view.frame == self.view.frame and view.size == self.view.size
        known = self.original_size is not None or view.frame.name == self.view.frame.name
        return frame is not None and known

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in the file, and in keys of what was computed from it."""
        return {
            "frame": self.view.frame.to_json(),
            "size": list(self.view.size),
            "channels": self.view.channels,
            "resized": self.resized,
            "original_size": self.original_size and list(self.original_size),
            "original_channels": self.original_channels,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Packed:
        """The record that ``to_json`` wrote.

        Raises:
            ValueError, LookupError: it is none.
        """
        size, channels = _size(record["size"]), record["channels"]
        original, original_channels = record["original_size"], record["original_channels"]
        if type(record["resized"]) is not bool or not _is_known(channels):
            raise ValueError("its record is not that of a pack")
        if original_channels is not None and not _is_known(original_channels):
            raise ValueError("its record is not that of a pack")
        view = View(Frame.from_json(record["frame"]), size, channels)
        return cls(view, record["resized"], original and _size(original), original_channels)

    def _relative(self, frame: Frame) -> Frame | None:
        if frame.name == self.view.frame.name:
            return Frame("full", frame.resize)
        if self.original_size is not None:
            return frame.within(self.view.frame, *self.original_size)
        if "center" in (frame.name, self.view.frame.name):
            # Where the centre is depends on the size of each original.
            return None
        return frame.within(self.view.frame, _FINE, _FINE)


def _size(sides: Any) -> tuple[int, int]:
    """The height and the width of pictures in a record."""
    height, width = sides
    if not all(type(side) is int and 0 < side <= _LONGEST_SIDE for side in (height, width)):
        raise ValueError(f"{height} x {width} is no size of pictures")
    return height, width


def _is_known(channels: Any) -> bool:
    return type(channels) is int and channels in (1, 3)


class PackedImages(ArrayImages):
    """A pack, mapped into memory.

    Raises:
        ImageError: the file is no sound pack.
    """

    def __init__(self, path: Path) -> None:
        self._file = _look(path)
        version = self._file.attributes.get("version")
        if version != VERSION:
            raise ImageError(
                f"{path} is a pack of version {version}, this latentmap reads version {VERSION}: "
                "pack the images again"
            )
        if (pixels := self._file.datasets.get("images")) and pixels.offset is None:
            raise ImageError(f"{path} is a pack whose images are not in one piece: pack again")
        try:
            super().__init__(self._file.map("images"), str(path))
            self.packed = Packed.from_json(parse_json(self._file.text("record")))
            n, view = self._pixels.shape[0], self.packed.view
            self._require("images", (n, *view.size, view.channels), "|u1")
            self.ids = self._ids(n)
            self._require("digests", (n, 16), "|u1")
            self._digests = self._file.read("digests")
            self.splits = self._splits(n)
            self.codes = self._codes(n)
        except Exception as error:  # Of ours, too, which do not name the file.
            raise ImageError(
                f"{path} is a damaged pack ({reason_of(error)}): pack again"
            ) from error

    def _require(self, name: str, shape: tuple[int, ...], kind: str) -> None:
        """Refuses a dataset of another shape or type."""
        found = self._file.stored(name)
        if (found.shape, found.dtype.str) != (shape, kind):
            raise ValueError(
                f"{name} must be {np.dtype(kind)} of shape {shape}, not {found.dtype} of shape "
                f"{found.shape}"
            )

    def _ids(self, n: int) -> np.ndarray:
        names = self._file.read_texts("ids")
        if (len(names), len(np.unique(names))) != (n, n):
            raise ValueError(f"ids must be {n} different ones, not {len(np.unique(names))}")
        return np.char.decode(names, "utf-8", "surrogateescape")

    def _splits(self, n: int) -> np.ndarray | None:
        if "splits" not in self._file.datasets:
            return None
        splits = np.char.decode(self._file.read_texts("splits"), "ascii")
        if len(splits) != n or not np.isin(splits, SPLITS).all():
            raise ValueError(f"splits must be {n} of {', '.join(SPLITS)}")
        return splits

    def _codes(self, n: int) -> tuple[Space, np.ndarray] | None:
        """The codes that the images were made of, and their space."""
        if "codes" not in self._file.datasets:
            return None
        space = Space.from_json(parse_json(self._file.text("space")))
        self._require("codes", (n, space.dim), "<f4")
        codes = self._file.map("codes")
        if not np.isfinite(codes).all():
            raise ValueError("its codes are not finite")
        return space, np.asarray(codes)

    def describe(self, index: np.ndarray) -> Contents:
        """Digests of the original files, and the shapes in which they are packed."""
        return Contents(
            self._digests[index],
            np.tile(np.array(self._pixels.shape[1:], np.int64), (len(index), 1)),
        )

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        return super().render(index, [self.packed.translate(v) for v in views], outs, scratch)

    def mapped(self, index: np.ndarray, view: View) -> np.ndarray | None:
        """The packed pixels themselves, if ``view`` needs no others and ``index`` leaves none out.

        They may be written to, in memory: the file stays as it is.
        """
        inner = self.packed.translate(view)
        same = (inner.frame.name, view.size) == ("full", self.packed.view.size)
        whole = len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index)))
        if not (same and view.channels == self.packed.view.channels and whole):
            return None
        # Copy-on-write, because torch takes only memory that could be written to.
        with reading(self.title, ImageError, "open the pack again"):
            return self._file.map("images", writable=True)[index[0] : index[0] + len(index)]


def is_pack(path: Path) -> bool:
    """Whether an HDF5 file is a pack.

    Raises:
        ImageError: it is no HDF5 file.
    """
    return _look(path).attributes.get("format") == FORMAT


def _look(path: Path) -> Hdf5File:
    with reading(path, ImageError, "get it again"):
        return look_into_hdf5(path, attributes=HDF5_ATTRIBUTES, texts=HDF5_TEXTS)
