"""Parts: runs of the images of a source, of which nothing else has to be in memory.

``ImageSource`` gives parts of images whose ids are all known; what is here knows how many images
there are, and opens those that are asked for. Ids, contents and order are those that the whole
source has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.arrays import ArrayImages
from latentmap.images.choice import Choice
from latentmap.images.folders import IndexedImages
from latentmap.images.index_file import Index
from latentmap.images.sets import FilesOfImages, Span
from latentmap.images.source import ImageSource
from latentmap.progress import Progress

Counts = Mapping[str, int]


class ImageParts(Protocol):
    """Images of which a run is opened at a time; ``choice`` is how they were chosen."""

    @property
    def choice(self) -> Choice: ...

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> ImageSource:
        """Images ``start`` to ``stop``, of which there is at least one.

        Raises:
            ImageError: they cannot be read.
        """


class FileParts:
    """The images of a set of files. ``counts`` says how many are in each, by its absolute path:
    what is ``known`` of just these files is believed, else all of them are counted.
    """

    def __init__(
        self,
        files: FilesOfImages,
        choice: Choice,
        known: Iterable[Counts] = (),
        progress: Progress | None = None,
    ) -> None:
        self.choice = choice
        self._files = files
        paths = [str(file.path.absolute()) for file in files.files]
        there = {*paths}
        counted = next((counts for counts in known if counts.keys() == there), None)
        if counted is None:
            counted = {}
            for number, path in enumerate(paths):
                counted[path] = files.count(number)
                if progress:
                    progress(number + 1, len(paths))
        self.counts: Counts = counted
        self._ends = np.cumsum([counted[path] for path in paths])
        if not len(self):
            raise ImageError(f"{files.title} holds no images: give the names of files that do")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def part(self, start: int, stop: int) -> ImageSource:
        first, last = np.searchsorted(self._ends, (start, stop - 1), "right").tolist()
        spans = []
        for number in range(first, last + 1):
            end = int(self._ends[number])
            begin = int(self._ends[number - 1]) if number else 0
            low, high = max(start, begin) - begin, min(stop, end) - begin
            if low < high:
                spans.append(Span(number, low, high, end - begin))
        container = self._files.container(spans)
        return ImageSource(container, np.arange(stop - start), choice=self.choice)


class IndexParts:
    """The images of an index, of which no path is in memory."""

    def __init__(self, index: Index, choice: Choice) -> None:
        self.choice = choice
        self._index = index

    def __len__(self) -> int:
        return self._index.count

    def part(self, start: int, stop: int) -> ImageSource:
        container = IndexedImages(self._index, start, stop)
        return ImageSource(container, np.arange(stop - start), choice=self.choice)


class ArrayParts:
    """The images of an array, of which neither ids nor pixels are in memory."""

    def __init__(self, images: ArrayImages, choice: Choice) -> None:
        self.choice = choice
        self._images = images

    def __len__(self) -> int:
        return self._images.whole

    def part(self, start: int, stop: int) -> ImageSource:
        container = self._images.between(start, stop)
        return ImageSource(container, np.arange(stop - start), choice=self.choice)


class FirstParts:
    """The first ``n`` images of others, which are more."""

    def __init__(self, parts: ImageParts, n: int) -> None:
        self.choice = replace(parts.choice, limit=n)
        self.whole, self._n = parts, n

    def __len__(self) -> int:
        return self._n

    def part(self, start: int, stop: int) -> ImageSource:
        part = self.whole.part(start, stop)
        part.choice = self.choice
        return part


def counts_in(parts: ImageParts) -> Counts | None:
    """How many images are in each file of a set, of which these are; None of other images."""
    if isinstance(parts, FirstParts):
        parts = parts.whole
    return parts.counts if isinstance(parts, FileParts) else None
