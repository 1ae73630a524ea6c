"""Part splits: which images of a source that is opened part by part train, and which test.

One file, or one table of groups, decides for all parts, as it does where all ids are at hand. It is
read once, by whoever asks for parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.parts import ImageParts
from latentmap.images.source import ImageSource
from latentmap.images.splits import HASH_RULE, PartitionFile, split_by_hash

_IDS = 1 << 16  # Images whose ids are in memory at a time.


@dataclass(frozen=True, eq=False)
class PartSplits:
    """The splits of images: ``of`` gives those between two positions, as strings ``(n,)``; ``rule``
    is what says them, in words, and ``digest`` the sha256 of that, empty where it is ``HASH_RULE``.
    """

    rule: str
    digest: str
    of: Callable[[int, int], np.ndarray]

    @property
    def key(self) -> str:
        """What two of the same images have in common when they are the same splits."""
        return f"{self.rule} {self.digest}" if self.digest else self.rule


def part_splits(images: ImageParts) -> PartSplits:
    """The splits of images; where a partition says them, all ids are looked at once.

    Raises:
        ImageError: a partition cannot be read, or names some of the images and not all.
    """
    if isinstance(images, ImageSource):
        return _of_source(images)
    for file in _partitions(images):
        if not file.far or any(file.names_any(ids) for ids in _ids(images)):
            # What is wrong with it is told before any work.
            for ids in _ids(images):
                file.splits(ids)
            return _by_file(images, file)
    return PartSplits(HASH_RULE, "", lambda start, stop: split_by_hash(_part(images, start, stop)))


def known_splits(images: ImageParts, key: str) -> PartSplits:
    """The splits that ``part_splits`` found elsewhere, whose ``key`` that is not ``HASH_RULE``.

    Raises:
        ImageError: they are no more the same.
    """
    if isinstance(images, ImageSource):
        found = iter([_of_source(images)])
    else:
        found = (_by_file(images, file) for file in _partitions(images))
    for one in found:
        if one.key == key:
            return one
    raise ImageError(
        f"what says the splits of {images.choice.file} was changed meanwhile: run the command again"
    )


def _of_source(images: ImageSource) -> PartSplits:
    rule = images.split_rule
    # Of groups, or of a pack, the splits themselves are all that matters.
    digest = "" if rule == HASH_RULE else hashlib.sha256(images.splits.tobytes()).hexdigest()
    return PartSplits(rule, digest, lambda start, stop: images.splits[start:stop])


def _partitions(images: ImageParts) -> Iterator[PartitionFile]:
    return map(PartitionFile, images.part(0, 1).partition_files())


def _by_file(images: ImageParts, file: PartitionFile) -> PartSplits:
    return PartSplits(
        file.title, file.digest, lambda start, stop: file.splits(_part(images, start, stop))
    )


def _part(images: ImageParts, start: int, stop: int) -> np.ndarray:
    return images.part(start, stop).ids


def _ids(images: ImageParts) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _IDS):
        yield _part(images, start, min(start + _IDS, len(images)))
