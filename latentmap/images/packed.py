"""Packed images: the file of ``latentmap images pack``, uint8 pixels with frame and size applied.

It keeps ids and digests of the original files, so that a pack and its folder are the same data. The
file is HDF5: ``images`` (n, h, w, c) in one piece, ``ids``, ``digests`` (n, 16), ``splits`` where
the originals had a partition, and a JSON ``record``. Images that a model made come with the
``codes`` (n, d) that they were made from, and a JSON ``space``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes import Space
from latentmap.errors import ImageError
from latentmap.frames import Frame
from latentmap.images.arrays import ArrayImages, map_dataset, open_h5
from latentmap.images.containers import Contents, Failures
from latentmap.images.decoding import Scratch
from latentmap.images.views import View

FORMAT = "latentmap images"
VERSION = 1
# Boxes of pictures of unknown size are compared on a grid this fine.
_FINE = 1 << 20


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
        """The record that ``to_json`` wrote."""
        height, width = record["size"]
        view = View(Frame.from_json(record["frame"]), (height, width), record["channels"])
        size = record["original_size"]
        return cls(
            view, record["resized"], size and (size[0], size[1]), record["original_channels"]
        )

    def _relative(self, frame: Frame) -> Frame | None:
        if frame.name == self.view.frame.name:
            return Frame("full", frame.resize)
        if self.original_size is not None:
            return frame.within(self.view.frame, *self.original_size)
        if "center" in (frame.name, self.view.frame.name):
            # Where the centre is depends on the size of each original.
            return None
        return frame.within(self.view.frame, _FINE, _FINE)


class PackedImages(ArrayImages):
    """A pack, mapped into memory."""

    def __init__(self, path: Path) -> None:
        with open_h5(path) as file:
            if file.attrs.get("version") != VERSION:
                raise ImageError(
                    f"{path} is a pack of version {file.attrs.get('version')}, this latentmap "
                    f"reads version {VERSION}: pack the images again"
                )
            try:
                super().__init__(map_dataset(path, file["images"]), str(path))
                self.packed = Packed.from_json(json.loads(file["record"][()]))
                self.ids = np.char.decode(file["ids"][:], "utf-8", "surrogateescape")
                self._digests = file["digests"][:]
                self.splits = np.char.decode(file["splits"][:]) if "splits" in file else None
                self.codes: tuple[Space, np.ndarray] | None = None
                if "codes" in file:
                    space = Space(**json.loads(file["space"][()]))
                    self.codes = (space, np.asarray(map_dataset(path, file["codes"])))
            except (KeyError, TypeError, ValueError) as error:
                raise ImageError(f"{path} is a damaged pack ({error}): pack again") from error
        if not isinstance(self._pixels, np.memmap):
            raise ImageError(f"{path} is a pack whose images are not in one piece: pack again")

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
        inner, pixels = self.packed.translate(view), self._pixels
        same = (inner.frame.name, view.size) == ("full", self.packed.view.size)
        whole = len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index)))
        if not (same and view.channels == self.packed.view.channels and whole):
            return None
        assert isinstance(pixels, np.memmap)
        assert pixels.filename is not None
        # Copy-on-write, because torch takes only memory that could be written to.
        writable = np.memmap(pixels.filename, np.uint8, "c", pixels.offset, pixels.shape)
        return writable[index[0] : index[0] + len(index)]


def is_pack(path: Path) -> bool:
    """Whether an HDF5 file is a pack.

    Raises:
        ImageError: it is no HDF5 file.
    """
    with open_h5(path) as file:
        return bool(file.attrs.get("format") == FORMAT)
