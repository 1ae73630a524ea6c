"""Cells: spatial codes, cut into the cells of a grid and joined again; see ``patches``.

Shapes: ``n`` codes of ``(c, h, w)``, flat in that order; ``H x W`` cells of ``C`` channels, patches
of ``k x k`` cells, ``p = C k^2``.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from latentmap.mapping.patches import Patches


def fold(codes: Tensor, grid: tuple[int, int, int], by: tuple[int, int]) -> Tensor:
    """The cells ``(n, C, H, W)`` of flat codes ``(n, c h w)``, each of ``by`` rows and columns.

    Example:
        >>> import torch
        >>> fold(torch.arange(4)[None], (1, 2, 2), (2, 1)).tolist()
        [[[[0, 1]], [[2, 3]]]]
    """
    (c, h, w), (rows, columns) = grid, by
    parts = codes.reshape(-1, c, h // rows, rows, w // columns, columns)
    return parts.permute(0, 1, 3, 5, 2, 4).reshape(-1, c * rows * columns, h // rows, w // columns)


def unfold(cells: Tensor, grid: tuple[int, int, int], by: tuple[int, int]) -> Tensor:
    """The flat codes ``(n, c h w)`` whose cells ``(n, C, H, W)`` are."""
    (c, h, w), (rows, columns) = grid, by
    parts = cells.reshape(-1, c, rows, columns, h // rows, w // columns)
    return parts.permute(0, 1, 4, 2, 5, 3).reshape(-1, c * h * w)


def bordered(cells: Tensor, size: int) -> Tensor:
    """Cells ``(n, C, H, W)`` with a border ``(n, C, H + k - 1, W + k - 1)`` that repeats the
    nearest.
    """
    reach = size // 2
    if reach == 0:
        return cells
    return functional.pad(cells, (reach,) * 4, mode="replicate")


def patch_rows(codes: Tensor, patches: Patches) -> Tensor:
    """The patches ``(n H W, p)`` of flat source codes, image after image."""
    cells = bordered(fold(codes, patches.source, patches.source_fold), patches.size)
    windows = cells.unfold(2, patches.size, 1).unfold(3, patches.size, 1)
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, patches.p)


def cell_rows(codes: Tensor, patches: Patches) -> Tensor:
    """The cells ``(n H W, q)`` of flat target codes, image after image."""
    cells = fold(codes, patches.target, patches.target_fold)
    return cells.permute(0, 2, 3, 1).reshape(-1, patches.q)


def convolved(codes: Tensor, weight: Tensor, bias: Tensor, patches: Patches) -> Tensor:
    """The flat target codes ``(n, q')`` that a weight ``(p, q)`` and a bias ``(q,)`` give from flat
    source codes, in the precision of the weight.
    """
    cells = bordered(fold(codes.to(weight), patches.source, patches.source_fold), patches.size)
    shape = patches.q, patches.channels, patches.size, patches.size
    found = functional.conv2d(cells, weight.T.reshape(shape), bias)
    return unfold(found, patches.target, patches.target_fold)
