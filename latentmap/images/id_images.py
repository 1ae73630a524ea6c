"""Images of which nothing is at hand but their ids: what files of codes are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from latentmap.codes import CodeFile, find_ids
from latentmap.codes.code_file import examples
from latentmap.codes.ids import digests_of_ids
from latentmap.errors import ImageError, PairError
from latentmap.images.choice import Choice
from latentmap.images.containers import Container, Extent, Failures
from latentmap.images.contents import Contents
from latentmap.images.scratch import Scratch
from latentmap.images.source import ImageSource
from latentmap.images.views import View


class IdImages(Container):
    """Images that cannot be looked at. What is known of each is its id, which stands for its
    content: in every place an id is that of one image.

    ``mark`` is what tells ids apart that are no names but positions: of other files, they are those
    of other images.
    """

    task_size = 4096

    def __init__(self, ids: np.ndarray, title: str, *, mark: str = "") -> None:
        self.ids, self.title, self._mark = ids, title, mark
        self.known_by = "positions" if mark else "ids"

    def describe(self, index: np.ndarray) -> Contents:
        digests = digests_of_ids(self.ids[index], self._mark)
        return Contents(digests, np.zeros((len(index), 3), np.int64))

    def picture(self, position: int) -> NoReturn:
        raise self._refused()

    def extent(self, position: int) -> Extent:
        raise self._refused()

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        raise self._refused()

    def _refused(self) -> ImageError:
        return ImageError(
            f"{self.title} holds codes, and no images to look at: give these with --data"
        )

    def labels(self) -> None:
        """Nobody said what they show."""


def images_of_codes(files: Sequence[CodeFile]) -> tuple[ImageSource, int]:
    """The images that all of some files of codes are of, in the order of the first, and how many
    others one of the files has codes of.

    They have ids, splits and groups as all images, but cannot be decoded.

    Raises:
        PairError: rows of a file have no ids, or no id is in all files.
    """
    first = files[0]
    kept = None
    for file in files:
        if file.ids is None:
            raise PairError(file.without_ids)
    assert first.ids is not None, "just seen"
    for file in files[1:]:
        assert file.ids is not None, "just seen"
        there = find_ids(file.ids, first.ids) >= 0
        kept = there if kept is None else kept & there
        if not kept.any():
            raise PairError(
                f"the ids of {first.title} ({examples(first.ids)}) and of {file.title} "
                f"({examples(file.ids)}) have none in common: codes of the same images are paired "
                "by equal ids"
            )
    ids = first.ids if kept is None or kept.all() else first.ids[kept]
    mark = "".join(sorted(file.fingerprint for file in files if file.positional))
    title = ", ".join(file.title for file in files)
    choice = Choice(", ".join(Path(file.title).name for file in files))
    images = ImageSource(IdImages(ids, title, mark=mark), np.arange(len(ids)), choice=choice)
    return images, sum(len(file) - len(ids) for file in files)
