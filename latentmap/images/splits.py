"""Splits: which images train, which validate and which test, the same each time.

CelebA's own partition, as text or as Kaggle's csv, is taken where it lies beside the images, or in
``Eval`` there, or one folder further up. Elsewhere the sha256 of the id
decides (80 %, 10 %, 10 %), so that no image changes sides when others are added; with groups the
group decides, so that all images of a person are on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.companions import Companion
from latentmap.images.naming import NameRows
from latentmap.images.tables import Table, as_names, parse_table, read_table

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
PARTITION_FILES = ("list_eval_partition.txt", "list_eval_partition.csv")
HASH_RULE = "80/10/10 by a hash of the id"


@dataclass(frozen=True, eq=False)
class Partition:
    """The split of each image, as strings ``(n,)``, and the ``title`` of the file that says it."""

    splits: np.ndarray
    title: str


class PartitionFile:
    """A partition that lies with images, ``far`` from them where it may be of others; ``digest`` is
    the sha256 of its bytes.

    Raises:
        ImageError: it cannot be read, or is no table.
    """

    def __init__(self, companion: Companion) -> None:
        self.title, self.far = companion.title, companion.far
        try:
            data = companion.read()
        except (OSError, ImageError) as error:
            raise ImageError(f"the table {self.title} cannot be read: {error}") from error
        self.digest = hashlib.sha256(data).hexdigest()
        table = parse_table(data, self.title)
        self._numbers = next(iter(table.columns.values()))
        self._rows = NameRows(table.names, self.title)

    def names_any(self, ids: np.ndarray) -> bool:
        """Whether it names one of some images."""
        return self._rows.names_any(ids)

    def splits(self, ids: np.ndarray) -> np.ndarray:
        """The split that it gives each image (0, 1, 2), as strings ``(n,)``.

        Raises:
            ImageError: an image is missing, or a value is none of the three.
        """
        numbers = self._numbers[self._rows.locate(ids)]
        if numbers.dtype.kind != "f" or not np.isin(numbers, (0, 1, 2)).all():
            raise ImageError(f"{self.title} must give each image 0 (train), 1 (val) or 2 (test)")
        splits: np.ndarray = np.array(SPLITS, dtype="U5")[numbers.astype(np.int64)]
        return splits


def find_partition(ids: np.ndarray, companions: Iterable[Companion]) -> Partition | None:
    """What the first partition among the companions of images says of them, if there is one.

    One that lies far from the images and names none of them is not theirs.

    Raises:
        ImageError: it cannot be read, or names some of them and not all.
    """
    for companion in companions:
        file = PartitionFile(companion)
        if not file.far or file.names_any(ids):
            return Partition(file.splits(ids), file.title)
    return None


def split_by_hash(names: np.ndarray) -> np.ndarray:
    """The split of each name (an id, or a group), as strings ``(n,)``."""
    unique, inverse = np.unique(names, return_inverse=True)
    assigned = np.array([_split_of(str(name)) for name in unique], dtype="U5")
    splits: np.ndarray = assigned[inverse]
    return splits


def read_groups(path: Path) -> tuple[Table, np.ndarray]:
    """A table of two columns such as ``file,identity``, and the group in each of its rows, as
    strings.

    Raises:
        ImageError: the file is no such table.
    """
    table = read_table(path)
    if len(table.columns) != 1:
        raise ImageError(
            f"{path} must have two columns, the image and its group, not {len(table.columns) + 1}"
        )
    return table, as_names(next(iter(table.columns.values())))


def _split_of(name: str) -> Split:
    # The first 8 bytes as a fraction of their range.
    fraction = (
        int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        / 2**64
    )
    return "train" if fraction < 0.8 else "val" if fraction < 0.9 else "test"
