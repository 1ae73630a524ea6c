"""Containers: where images lie. A container knows its ids and renders some images as views.

``EncodedImages`` are files that must be decoded: folders.py has those of a folder, archives.py and
tars.py those in zip and tar files. arrays.py has pixels that lie ready, packed.py the files that
latentmap itself packs.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.companions import Companion
from latentmap.images.contents import Contents, Marks
from latentmap.images.decoding import (
    decode,
    decode_plain_jpeg,
    decode_values,
    decode_with_pillow,
    own_range,
    picture_shape,
    plain_jpeg,
    reading_of,
)
from latentmap.images.labels import folder_labels
from latentmap.images.pixel_memory import ImageMemory
from latentmap.images.scratch import Scratch
from latentmap.images.values import ValueRange
from latentmap.images.views import View

KnownBy = Literal["contents", "ids", "positions"]
Failures = list[tuple[int, str]]
# Of decoded pictures at a time: about a core's own cache.
_RUN_BYTES = 1 << 20


@dataclass(frozen=True)
class Extent:
    """The lowest and the highest value of an image as it is stored, and which value is white;
    ``flat`` tells whether all pixels are the same.
    """

    low: float
    high: float
    white: float
    flat: bool


class Container(ABC):
    """Images in one place; ``ids`` are unique strings in natural order.

    ``task_size`` is how many images are worth a task of their own. ``known_by`` is what tells the
    images from others: all but files of codes have their ``contents``. ``value_range`` is what the
    user says of their values, None where they are what the file says; ``others`` are the files in
    that place that are no images.
    """

    title: str
    ids: np.ndarray
    task_size: int
    known_by: KnownBy = "contents"
    value_range: ValueRange | None = None
    others: Sequence[str] = ()

    @abstractmethod
    def picture(self, position: int) -> np.ndarray:
        """One image as it lies there, uint8 ``(h, w, c)``."""

    @abstractmethod
    def describe(self, index: np.ndarray) -> Contents:
        """Digests and shapes of some images."""

    def marks(self, index: np.ndarray) -> Marks | None:
        """What is seen of some images without reading them; None where they are not in files of
        their own, or cost no reading.
        """
        return None

    def study(
        self,
        index: np.ndarray,
        views: Sequence[View],
        outs: Sequence[np.ndarray],
        needed: Callable[[np.ndarray], np.ndarray],
        scratch: Scratch,
    ) -> tuple[Contents, list[int]]:
        """What ``describe`` gives; and the places in ``index`` of images whose contents are
        ``needed``, and which one reading put into ``outs`` as well, as ``render`` would: none
        where pixels lie ready.
        """
        return self.describe(index), []

    @abstractmethod
    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        """Puts some images, as each view sees them, into ``outs``.

        Gives back what could not be read: a place in ``index``, and what is wrong.
        """

    @abstractmethod
    def extent(self, position: int) -> Extent:
        """The values of one image, as they are stored.

        Raises:
            ImageError: it cannot be read.
        """

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        """The files called so in or beside the images, those first that are meant for them most."""
        return iter(())

    def labels(self) -> np.ndarray | None:
        """The label of each image, as strings ``(n,)``, where it is known; by default the folder
        that each lies in.

        Raises:
            ImageError: there are labels with the images that do not fit them.
        """
        return folder_labels(self.ids)


class EncodedImages(Container):
    """Image files; a subclass says where their bytes are."""

    task_size = 16

    @abstractmethod
    def read_bytes(self, position: int) -> bytes:
        """The bytes of one image file.

        Raises:
            ImageError, OSError: they cannot be read.
        """

    def stored_size(self, position: int, data: bytes) -> int:
        """How many bytes an image file, whose bytes are ``data``, takes where it lies."""
        return len(data)

    def picture(self, position: int) -> np.ndarray:
        try:
            data = self._read(position)
            with ImageMemory(self.stored_size(position, data)):
                return decode(data, self.value_range)
        except ImageError as error:
            raise ImageError(self._unreadable(position, error)) from error

    def extent(self, position: int) -> Extent:
        try:
            data = self._read(position)
            with ImageMemory(self.stored_size(position, data)):
                values = decode_values(data)
                colours = values.colours
                low, high = float(colours.min()), float(colours.max())
                flat = _is_flat(colours)
        except ImageError as error:
            raise ImageError(self._unreadable(position, error)) from error
        white = values.white if self.value_range is None else self.value_range.white
        return Extent(low, high, white, flat)

    def describe(self, index: np.ndarray) -> Contents:
        contents = _unread(len(index))
        for k, position in enumerate(index):
            self._describe_one(contents, k, int(position))
        return contents

    def study(
        self,
        index: np.ndarray,
        views: Sequence[View],
        outs: Sequence[np.ndarray],
        needed: Callable[[np.ndarray], np.ndarray],
        scratch: Scratch,
    ) -> tuple[Contents, list[int]]:
        contents, shown = _unread(len(index)), []
        run = _Run(views, outs, scratch)
        for k, position in enumerate(index):
            data = self._describe_one(contents, k, int(position))
            if data is None or not needed(contents.digests[k : k + 1])[0]:
                continue
            with suppress(ImageError), ImageMemory(self.stored_size(int(position), data)):
                self._show(data, run, k)
                shown.append(k)
        run.render()
        return contents, shown

    def _describe_one(self, contents: Contents, k: int, position: int) -> bytes | None:
        """Puts the content of one image at ``k``, and gives its bytes back if it can be read."""
        try:
            data = self._read(position)
            said = self._said(data)
            digest = hashlib.sha256(said + data)
            contents.digests[k] = np.frombuffer(digest.digest(), np.uint8, 16)
            with ImageMemory(self.stored_size(position, data)):
                contents.shapes[k] = picture_shape(data)
            head = reading_of(data)
            if head:
                digest = hashlib.sha256(said + head + data)
                contents.digests[k] = np.frombuffer(digest.digest(), np.uint8, 16)
        except ImageError:
            # Whoever needs the pixels meets the error; here the other images matter.
            return None
        return data

    def _said(self, data: bytes) -> bytes:
        """What of the user's range belongs to the content: the same bytes with other values for
        black and white are other pictures, with those that the file says they are the same.
        """
        said = self.value_range
        if said is None:
            return b""
        try:
            same = said == own_range(data)
        except ImageError:  # Damaged, but still some bytes.
            same = False
        return b"" if same else f"values {said}\n".encode()

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        failures = []
        run = _Run(views, outs, scratch)
        for k, position in enumerate(index):
            try:
                data = self._read(position)
                with ImageMemory(self.stored_size(int(position), data)):
                    self._show(data, run, k)
            except ImageError as error:
                failures.append((k, self._unreadable(position, error)))
        run.render()
        return failures

    def _show(self, data: bytes, run: _Run, k: int) -> None:
        shape = plain_jpeg(data) if self.value_range is None else None
        if shape is None or not decode_plain_jpeg(data, run.place(k, shape)):
            picture = decode_with_pillow(data, self.value_range)
            run.place(k, picture.shape)[...] = picture
        run.keep()

    def _read(self, position: int) -> bytes:
        try:
            return self.read_bytes(position)
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from error

    def _unreadable(self, position: int, error: ImageError) -> str:
        return f"image {str(self.ids[position])!r} of {self.title} cannot be read: {error}"


def _unread(n: int) -> Contents:
    return Contents(np.zeros((n, 16), np.uint8), np.zeros((n, 3), np.int64))


def _is_flat(colours: np.ndarray) -> bool:
    """Whether all pixels are the same, without a copy of them; the first row tells of most."""
    return all(bool((row == colours[0, 0]).all()) for row in colours)


class _Run:
    """Pictures of one size that follow each other, decoded side by side and rendered at once.

    Small pictures cost half as much then as one by one.
    """

    def __init__(self, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch) -> None:
        self._views = views
        self._outs = outs
        self._scratch = scratch
        self._stack = scratch.take((0, 0, 0, 0))
        self._first = self._count = 0

    def place(self, k: int, shape: tuple[int, ...]) -> np.ndarray:
        """Where the pixels of image ``k`` go; ``keep`` says that they are there."""
        follows = k == self._first + self._count and shape == self._stack.shape[1:]
        if not (follows and self._count < len(self._stack)):
            self.render()
            capacity = max(1, _RUN_BYTES // math.prod(shape))
            self._stack = self._scratch.take((capacity, *shape))
            self._first = k
        place: np.ndarray = self._stack[self._count]
        return place

    def keep(self) -> None:
        """Counts the picture whose place was asked for last."""
        self._count += 1
        if self._stack[0].size > _RUN_BYTES:
            # A large one has its memory as long as it is being read, and not longer.
            self.render()
            self._stack = self._scratch.take((0, 0, 0, 0))

    def render(self) -> None:
        """Shows the pictures to the views."""
        if self._count:
            stop = self._first + self._count
            for view, out in zip(self._views, self._outs, strict=True):
                view.render(self._stack[: self._count], out[self._first : stop])
        self._count = 0
