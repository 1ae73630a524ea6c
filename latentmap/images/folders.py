"""Images as the files of a folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular
from latentmap.images.companions import Companion, beside, within
from latentmap.images.containers import EncodedImages
from latentmap.images.contents import FileState, Marks
from latentmap.images.formats import is_image_name, no_images
from latentmap.images.naming import id_array, is_ignored
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance


class FolderImages(EncodedImages):
    """The image files of a folder and the folders in it."""

    def __init__(self, folder: Path, value_range: ValueRange | None = None) -> None:
        self.title = str(folder)
        self.value_range = value_range
        self._folder = folder
        paths, self.others = _walk(folder)
        if not paths:
            raise no_images(str(folder), self.others)
        # The names themselves are no file that asks for memory.
        own = 8 * sum(map(len, paths))
        self.ids = id_array(paths, Allowance(str(folder), own, ImageError))

    def read_bytes(self, position: int) -> bytes:
        return read_regular(self._folder / str(self.ids[position]))

    def marks(self, index: np.ndarray) -> Marks:
        folder = f"{self._folder}/"
        values, settled = [], []
        for name in self.ids[index]:
            try:
                # Not by pathlib, which takes five times as long as asking.
                status = os.stat(folder + name)  # noqa: PTH116
            except OSError:
                # No file has this mark; whoever reads it meets the error.
                state = FileState(bytes(16), settled=False)
            else:
                state = FileState.of(status, name, self.value_range)
            values.append(state.mark)
            settled.append(state.settled)
        marks = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)
        return Marks(marks, np.array(settled, np.bool_))

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        for path in within(self.title, self.others, names):
            file = self._folder / path
            yield Companion(str(file), functools.partial(read_regular, file))
        yield from beside(self._folder, names)


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
                (images if is_image_name(path) else others).append(path)
    return images, others
