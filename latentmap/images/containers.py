"""Containers: where images lie. A container knows its ids and renders some images as views.

``EncodedImages`` are files that must be decoded, here those of a folder; archives.py has zip files,
arrays.py pixels that lie ready, packed.py the files that latentmap itself packs.
"""

from __future__ import annotations

import hashlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.decoding import (
    SUFFIXES,
    Scratch,
    decode,
    decode_plain_jpeg,
    decode_with_pillow,
    picture_shape,
    plain_jpeg,
)
from latentmap.images.naming import is_ignored, natural_key
from latentmap.images.views import View

Failures = list[tuple[int, str]]
# Of decoded pictures at a time: about a core's own cache.
_RUN_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Contents:
    """What is known of some images: ``digests`` (n, 16) uint8, and ``shapes`` (n, 3) int64.

    A digest is the start of the sha256 of the content; a shape is height, width and channels, zeros
    for an image that cannot be read.
    """

    digests: np.ndarray
    shapes: np.ndarray


class Container(ABC):
    """Images in one place; ``ids`` are unique strings in natural order.

    ``task_size`` is how many images are worth a task of their own.
    """

    title: str
    ids: np.ndarray
    task_size: int

    @abstractmethod
    def picture(self, position: int) -> np.ndarray:
        """One image as it lies there, uint8 ``(h, w, c)``."""

    @abstractmethod
    def describe(self, index: np.ndarray) -> Contents:
        """Digests and shapes of some images."""

    @abstractmethod
    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        """Puts some images, as each view sees them, into ``outs``.

        Gives back what could not be read: a place in ``index``, and what is wrong.
        """

    def companion(self, name: str) -> str | None:
        """The text of a file of that name in or beside the images, if there is one."""
        return None


class EncodedImages(Container):
    """Image files; a subclass says where their bytes are."""

    task_size = 16

    @abstractmethod
    def read_bytes(self, position: int) -> bytes:
        """The bytes of one image file.

        Raises:
            ImageError, OSError: they cannot be read.
        """

    def picture(self, position: int) -> np.ndarray:
        try:
            return decode(self._read(position))
        except ImageError as error:
            raise ImageError(self._unreadable(position, error)) from error

    def describe(self, index: np.ndarray) -> Contents:
        digests = np.zeros((len(index), 16), np.uint8)
        shapes = np.zeros((len(index), 3), np.int64)
        for k, position in enumerate(index):
            try:
                data = self._read(position)
                digests[k] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8, 16)
                shapes[k] = picture_shape(data)
            except ImageError:
                # Whoever needs the pixels meets the error; here the other images matter.
                continue
        return Contents(digests, shapes)

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        failures = []
        run = _Run(views, outs, scratch)
        for k, position in enumerate(index):
            try:
                data = self._read(position)
                shape = plain_jpeg(data)
                if shape is None or not decode_plain_jpeg(data, run.place(k, shape)):
                    picture = decode_with_pillow(data)
                    run.place(k, picture.shape)[...] = picture
                run.keep()
            except ImageError as error:
                failures.append((k, self._unreadable(position, error)))
        run.render()
        return failures

    def _read(self, position: int) -> bytes:
        try:
            return self.read_bytes(position)
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from error

    def _unreadable(self, position: int, error: ImageError) -> str:
        return f"image {str(self.ids[position])!r} of {self.title} cannot be read: {error}"


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

    def render(self) -> None:
        """Shows the pictures to the views."""
        if self._count:
            stop = self._first + self._count
            for view, out in zip(self._views, self._outs, strict=True):
                view.render(self._stack[: self._count], out[self._first : stop])
        self._count = 0


class FolderImages(EncodedImages):
    """The image files of a folder and the folders in it."""

    def __init__(self, folder: Path) -> None:
        self.title = str(folder)
        self._folder = folder
        paths, others = _walk(folder)
        if not paths:
            found = f"only files such as {min(others)!r}" if others else "it is empty"
            raise ImageError(
                f"{folder} holds no images ({', '.join(SUFFIXES)}), {found}: "
                "give a folder, an archive or a file of images"
            )
        self.ids = np.array(sorted(paths, key=natural_key), np.str_)

    def read_bytes(self, position: int) -> bytes:
        return (self._folder / str(self.ids[position])).read_bytes()

    def companion(self, name: str) -> str | None:
        for folder in (self._folder, self._folder.absolute().parent):
            if (folder / name).is_file():
                return (folder / name).read_text("utf-8")
        return None


def _refuse(error: OSError) -> None:
    raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """Relative paths of images, and of other files; linked folders too, but not in circles."""
    images: list[str] = []
    others: list[str] = []
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        identity = os.stat(parent)  # noqa: PTH116  # os.walk gives strings
        if (identity.st_dev, identity.st_ino) in seen:
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        prefix = Path(parent).relative_to(folder).as_posix()
        for name in files:
            path = name if prefix == "." else f"{prefix}/{name}"
            if not is_ignored(path):
                (images if path.lower().endswith(SUFFIXES) else others).append(path)
    return images, others
