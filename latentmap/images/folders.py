"""Images as the files of a folder, which is walked through, or was listed before."""

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
from latentmap.images.index_file import Index
from latentmap.images.naming import id_array
from latentmap.images.values import ValueRange
from latentmap.images.walking import files_in
from latentmap.limits import Allowance


class FileImages(EncodedImages):
    """Image files in a folder, whose ids are their paths from there."""

    _folder: Path

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


class FolderImages(FileImages):
    """The image files of a folder and the folders in it."""

    def __init__(self, folder: Path, value_range: ValueRange | None = None) -> None:
        self.title = str(folder)
        self.value_range = value_range
        self._folder = folder
        paths: list[str] = []
        others: list[str] = []
        for path in files_in(folder):
            (paths if is_image_name(path) else others).append(path)
        self.others = others
        if not paths:
            raise no_images(str(folder), self.others)
        # The names themselves are no file that asks for memory.
        own = 8 * sum(map(len, paths))
        self.ids = id_array(paths, Allowance(str(folder), own, ImageError))

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        for path in within(self.title, self.others, names):
            file = self._folder / path
            yield Companion(str(file), functools.partial(read_regular, file))
        yield from beside(self._folder, names)


class IndexedImages(FileImages):
    """Images ``start`` to ``stop`` of an index."""

    def __init__(self, index: Index, start: int, stop: int) -> None:
        self.title = str(index.path)
        self.value_range = index.value_range
        self._folder = index.folder
        self.ids = index.ids(start, stop)

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        for name in names:
            file = self._folder / name
            if file.is_file():
                yield Companion(str(file), functools.partial(read_regular, file))
        yield from beside(self._folder, names)
