"""Patches: how one map for all positions of a grid reads source codes, and where it writes.

Spatial codes ``(c, h, w)`` are cut into the cells of the coarser of two grids: a position of the
finer one is part of a cell, and its channels are channels of the cell (space to depth). A map gives
the target's cell from the source's cells about it, its patch; beyond the border the nearest cell
stands in.

Shapes: the grid has ``H x W`` cells; a patch of ``k x k`` cells of ``C`` channels has ``p = C k^2``
variables, in the order channel, row, column; a target's cell has ``q``. The channels of a cell are
in the order channel, row, column of the positions that it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from latentmap.errors import MapError

if TYPE_CHECKING:
    from latentmap.codes import Space

# So many cells in each direction, or all of the grid: an ordinary map of flat codes.
PatchSize = int | Literal["full"]
# Of two grids that are as large, where nothing else is asked for.
DEFAULT = 3
BORDER = "replicate"
_LARGEST = 2**31


@dataclass(frozen=True)
class Patches:
    """Patches of ``size x size`` cells between two grids ``(c, h, w)`` that are cut into ``height x
    width`` cells, by default as many as the coarser of both has in each direction.
    """

    size: int
    source: tuple[int, int, int]
    target: tuple[int, int, int]
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "height", self.height or min(self.source[1], self.target[1]))
        object.__setattr__(self, "width", self.width or min(self.source[2], self.target[2]))

    def __str__(self) -> str:
        return f"{self.size}x{self.size} of {self.height}x{self.width} cells, border replicated"

    @property
    def cells(self) -> int:
        """How many cells an image has: so many rows does it give to a fit."""
        return self.height * self.width

    @property
    def source_fold(self) -> tuple[int, int]:
        """How many rows and columns of the source's grid one of its cells is made of."""
        return self._fold(self.source)

    @property
    def target_fold(self) -> tuple[int, int]:
        """The same of the target."""
        return self._fold(self.target)

    @property
    def channels(self) -> int:
        """``C``, of a source cell."""
        return self.source[0] * self.source_fold[0] * self.source_fold[1]

    @property
    def p(self) -> int:
        return self.channels * self.size**2

    @property
    def q(self) -> int:
        return self.target[0] * self.target_fold[0] * self.target_fold[1]

    def to_json(self) -> dict[str, Any]:
        """What a file says of them."""
        return {
            "size": self.size,
            "source": list(self.source),
            "target": list(self.target),
            "cells": [self.height, self.width],
            "border": BORDER,
        }

    @classmethod
    def from_json(cls, record: Any) -> Patches:
        """Those of which a file has the fields.

        Raises:
            ValueError: they are not those of patches.
        """
        known = record if isinstance(record, Mapping) else {}
        lists = [known.get(name) for name in ("source", "target", "cells")]
        numbers = [known.get("size")]
        for given, length in zip(lists, (3, 3, 2), strict=True):
            whole = given if isinstance(given, list) and len(given) == length else [None] * length
            numbers += whole
        if known.get("border") != BORDER or not all(
            type(one) is int and 0 < one < _LARGEST for one in numbers
        ):
            raise ValueError("patches must have a size, two grids, and a border that is replicated")
        size, a, b, c, d, e, f, height, width = (int(one) for one in numbers if one)
        try:
            return _checked(cls(size, (a, b, c), (d, e, f), height, width))
        except MapError as error:
            raise ValueError(str(error)) from None

    def _fold(self, grid: tuple[int, int, int]) -> tuple[int, int]:
        return grid[1] // self.height, grid[2] // self.width


def patches_between(source: Space, target: Space, size: PatchSize | None) -> Patches | None:
    """The patches of that size between two spaces; None for a map of flat codes.

    None stands for 3, and for a map of flat codes where the spaces are not grids of at least 3x3
    cells one of which folds to the other.

    Raises:
        MapError: a space is no grid, the grids do not fold, the patch is larger than the grid, or
            no patch has that size.
    """
    if size == "full":
        return None
    if size is None:
        try:
            return patches_between(source, target, DEFAULT)
        except MapError:
            return None
    for space in (source, target):
        if len(space.shape) != 3:
            raise MapError(
                f"patches are of grids, of codes (c, h, w), and {space} has none: fit with the "
                "patch full"
            )
    (a, b, c), (d, e, f) = source.shape, target.shape
    return _checked(Patches(size, (a, b, c), (d, e, f)))


def _checked(patches: Patches) -> Patches:
    """The same, if it can be.

    Raises:
        MapError: the size is not odd, the grids do not fold, or the patch is larger than the
            coarser one.
    """
    if type(patches.size) is not int or patches.size < 1 or patches.size % 2 == 0:
        raise MapError(
            f"a patch is of 1, 3, 5 or any odd number of rows and columns, or full, not "
            f"{patches.size!r}"
        )
    (_, *one), (_, *two) = patches.source, patches.target
    cells = (patches.height, patches.width)
    if any(grid[axis] % cells[axis] for grid in (one, two) for axis in (0, 1)):
        raise MapError(
            f"one grid folds to another where a whole number of its rows and columns is one of the "
            f"other's, and {one[0]}x{one[1]} and {two[0]}x{two[1]} do not: fit with the patch full"
        )
    if patches.size > min(patches.height, patches.width):
        raise MapError(
            f"a patch of {patches.size}x{patches.size} is larger than the grid of "
            f"{patches.height}x{patches.width} cells: choose a smaller one"
        )
    return patches
