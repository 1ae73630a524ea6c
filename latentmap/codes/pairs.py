"""Pairs: codes of the same images in two spaces, joined by what the images are, never by position.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from latentmap.codes.codes import Codes
from latentmap.codes.matching import IdIndex, is_known
from latentmap.codes.units import draw_of_units, units_of
from latentmap.errors import PairError
from latentmap.report import Cell, Shown, Table

if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

_NAMED = 3  # Examples that a message names.


@dataclass(frozen=True, eq=False)
class Pairs(Shown):
    """Codes of the same images in two spaces: row ``i`` of both is the image ``ids[i]``.

    The rows may stay on disk; ``blocks`` reads them piece by piece, and ``take`` and ``sample``
    only keep which rows are meant. ``dropped`` counts the images that one side alone has.
    """

    source: Codes
    target: Codes
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"<Pairs of {len(self)} codes in {self.source.space} and in {self.target.space}>"

    def tables(self) -> list[Table]:
        cells: dict[str, Cell] = {
            "pairs": len(self),
            "such as": _examples(self.ids) or None,
            "source": str(self.source.space),
            "target": str(self.target.space),
            "dropped": self.dropped or None,
        }
        return [Table.of_one("Pairs", cells)]

    def to_numpy(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs in memory, float32: the source codes ``(n, p)`` and the target codes ``(n,
        q)``.
        """
        return self.source.to_numpy(), self.target.to_numpy()

    def to_frame(self) -> DataFrame:
        """All pairs in memory as a DataFrame: a row an image by its id, columns ``("source",
        0)`` to ``("target", q - 1)``.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.report.data_frames import pandas_library

        sides = {"source": self.source.to_frame(), "target": self.target.to_frame()}
        return pandas_library().concat(sides, axis=1)

    @property
    def ids(self) -> np.ndarray:
        """The ids of the images, ``(n,)`` text."""
        return self.source.ids

    @property
    def digests(self) -> np.ndarray:
        """What the images are: ``(n, 16)`` uint8, zeros where the content is not known."""
        return self.source.digests

    def take(self, index: np.ndarray) -> Pairs:
        """The pairs at ``index``, in that order; their rows stay where they are."""
        source = self.source.take(index)
        return Pairs(source, _like(source, self.target.take(index)), self.dropped)

    def sample(self, n: int, *, seed: int = 0) -> Pairs:
        """``n`` random pairs, none twice, in the order in which they stand; see ``draw``."""
        return self.take(self.draw(n, seed=seed))

    def draw(self, n: int, *, groups: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """The positions ``(n,)`` of random pairs, none twice, in order.

        A second pair of one unit is drawn after one of each: copies, and pairs of one of the
        ``groups`` ``(len(self),)``, say nearly the same.

        Raises:
            PairError: there are fewer pairs than that.
        """
        return draw_pairs(self.digests, n, groups=groups, seed=seed)

    @property
    def block_size(self) -> int:
        """How many pairs are read at a time where nothing else is said: fewer of large codes."""
        return min(self.source.block_size, self.target.block_size)

    def blocks(self, size: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All pairs in order, ``size`` at a time, by default ``block_size``: float32 source ``(k,
        p)``, target ``(k, q)``.
        """
        size = size or self.block_size
        return zip(self.source.blocks(size), self.target.blocks(size), strict=True)


def draw_pairs(
    digests: np.ndarray, n: int, *, groups: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """What ``Pairs.draw`` gives, of images with these ``digests`` ``(m, 16)``, whose codes need not
    be there. Of one seed, fewer are among more.

    Raises:
        PairError: there are fewer images than that.
    """
    m = len(digests)
    if not 1 <= n <= m:
        raise PairError(f"{n} random pairs were asked for, but there are {m}: ask for 1 to {m}")
    return draw_of_units(units_of(digests, groups), n, seed=seed)


def pair(source: Codes, target: Codes) -> Pairs:
    """Joins codes of two spaces by image: the same id, and the same content where it is known.

    Images that only one side has are dropped and counted. The frames may differ: they show parts of
    the same image.

    Example:
        >>> from latentmap.codes.codes import Codes, Space
        >>> a, b = Space("z", 1, "a", "aa"), Space("z", 1, "b", "bb")
        >>> source = Codes.from_array(["1", "2"], [[1], [2]], space=a)
        >>> pairs = pair(source, Codes.from_array(["2"], [[7]], space=b))
        >>> len(pairs), pairs.dropped
        (1, 1)

    Raises:
        PairError: no image is on both sides, an id has different contents, or an id stands twice.
    """
    if np.array_equal(source.ids, target.ids):
        _check_contents(source, target)
        return Pairs(source, _like(source, target))
    mine, others = IdIndex.of(source.ids), IdIndex.of(target.ids)
    for codes, index in ((source, mine), (target, others)):
        _check_unique(codes, index)
    partner = others.find(mine)
    common = np.flatnonzero(partner >= 0)
    if not len(common):
        raise PairError(_no_common_image(source, target))
    left = source if len(common) == len(source) else source.take(common)
    # By the same ids, which are held once.
    right = target.take(partner[common], ids=left.ids)
    _check_contents(left, right)
    return Pairs(left, _like(left, right), len(source) + len(target) - 2 * len(common))


def _like(source: Codes, target: Codes) -> Codes:
    """The target with the arrays of the source where they are equal, so that they are held once."""
    digests = source.digests if np.array_equal(source.digests, target.digests) else target.digests
    return replace(target, ids=source.ids, digests=digests)


def _check_contents(source: Codes, target: Codes) -> None:
    unequal = np.asarray((source.digests != target.digests).any(axis=1))
    different = is_known(source.digests) & is_known(target.digests) & unequal
    if different.any():
        raise PairError(
            f"{different.sum()} of {len(source)} images have the same id in both spaces but not "
            "the same content "
            f"({_examples(source.ids[different])}): encode the same images with both models"
        )


def _check_unique(codes: Codes, index: IdIndex) -> None:
    repeated = index.repeated()
    if len(repeated):
        raise PairError(
            f"every image must have its own id, but the codes in {codes.space} have some twice "
            f"({_examples(repeated)}): give the images other ids"
        )


def _no_common_image(source: Codes, target: Codes) -> str:
    message = (
        f"the {len(source)} codes in {source.space} ({_examples(source.ids)}) and the "
        f"{len(target)} codes in "
        f"{target.space} ({_examples(target.ids)}) have no image in common: "
    )
    same = {row.tobytes() for row in source.digests if row.any()} & {
        row.tobytes() for row in target.digests
    }
    if same:
        return (
            message
            + f"{len(same)} images are the same under other ids, so open the same --data for both"
        )
    return message + "encode the same images with both models"


def _examples(ids: np.ndarray) -> str:
    names = ", ".join(str(name) for name in ids[:_NAMED])
    return f"{names}, ..." if len(ids) > _NAMED else names
