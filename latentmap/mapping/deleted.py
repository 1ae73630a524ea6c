"""Deleted residuals of ridge: what the map of the other pairs misses each pair by.

That needs no refits. With ``A = G + penalty I`` and the products ``G`` weighted, the map without
the pairs of a unit misses them by ``(I - K W)^-1 r``, ``r`` their residuals, ``W`` their weights,
and ``K = 1 / n + Xc A^-1 Xc'`` between them, without ``1 / n`` where the map has no intercept (Cook
and Weisberg 1982, section 3.6). For a pair alone that is ``r / (1 - h)``, ``h`` its leverage.

Shapes: ``n`` pairs, ``k`` of a block, ``g`` of a unit, ``m`` penalties, ``q`` target variables,
``r`` directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import FREE
from latentmap.transfers import Arriving, a_batch_late, upload

# Rows at a time, and numbers at a time: 4 MB, which stay in the processor's cache. Several
# penalties share one product, because many small ones wait for each other's threads (measured: 7
# times slower on a busy machine).
_BLOCK = 512
_NUMBERS = 1 << 19
# The same of a GPU, where small products take as long as larger ones (268 MB). By reasoning: not
# measured.
_BLOCK_THERE = 8192
_NUMBERS_THERE = 1 << 25


def deleted_residuals(
    pairs: Pairs,
    moments: Moments,
    penalties: Tensor,
    *,
    weights: np.ndarray | None = None,
    units: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Positions ``(k,)`` and squared norms ``(k, m)`` of deleted residuals, block by block.

    ``moments`` are those of the ``pairs`` with these ``weights`` ``(n,)``, by default 1. With
    ``units`` ``(n,)`` int64 all pairs of a unit are left out together. Infinite where leaving out
    is not defined. Pairs that are left out alone are computed on ``device``.
    """
    if units is None:
        yield from _singly(pairs, moments, penalties, weights, device)
        return
    spectrum = moments.source_spectrum
    rotated = spectrum.directions.T @ moments.xy
    # G v = s^2 v, so (Xc v)^2 / (s^2 + penalty) is the share of a direction in a leverage.
    shrink = 1 / (spectrum.values[:, None] + penalties)
    share = float(moments.centred) / moments.n
    for size, positions in _by_size(units):
        rows = max(1, _BLOCK // size) * size
        widest = max(*rotated.shape, size)
        alike = pairs.take(positions)
        if size == 1:
            own = None if weights is None else weights[positions]
            for index, squares in _singly(alike, moments, penalties, own, device):
                yield positions[index], squares
            continue
        maps = _maps(rotated, shrink, _NUMBERS // (rows * widest))
        blocks = np.split(positions, range(rows, len(positions), rows))
        for index, (x, y) in zip(blocks, alike.blocks(rows), strict=True):
            scores = (x.double() - moments.mean_x) @ spectrum.directions
            answers = y.double() - moments.mean_y
            weight = torch.ones(1).double() if weights is None else torch.from_numpy(weights[index])
            parts = [
                _together(_missed(scores, answers, some), scores, weight, shrinks, share, size)
                for shrinks, some in maps
            ]
            yield index, torch.cat(parts, 1)


def residuals_and_leverages(
    pairs: Pairs, moments: Moments, penalties: Tensor, *, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Squared norms of residuals and leverages, both ``(k, m)``, block by block, computed on
    ``device``; the next block is launched before one is waited for.

    The map is that of the ``moments``, whether of these ``pairs`` or of others; a leverage has its
    ``1 / n`` where there is an intercept.
    """
    place = torch.device(device)
    rows, numbers = (_BLOCK, _NUMBERS) if place.type == "cpu" else (_BLOCK_THERE, _NUMBERS_THERE)
    spectrum = moments.source_spectrum
    rotated = (spectrum.directions.T @ moments.xy).to(place)
    shrink = (1 / (spectrum.values[:, None] + penalties)).to(place)
    directions, mean_x, mean_y = (
        one.to(place) for one in (spectrum.directions, moments.mean_x, moments.mean_y)
    )
    share = float(moments.centred) / moments.n
    maps = _maps(rotated, shrink, numbers // (rows * moments.q))

    def launched() -> Iterator[tuple[Arriving, Arriving]]:
        for x, y in pairs.blocks(rows):
            scores = (upload(x, place).double() - mean_x) @ directions
            answers = upload(y, place).double() - mean_y
            squares = [_missed(scores, answers, some).square_().sum(2) for _, some in maps]
            leverages = share + scores.square() @ shrink
            yield Arriving(torch.cat(squares, 1)), Arriving(leverages)

    for squares, leverages in a_batch_late(launched()):
        yield squares.wait(), leverages.wait()


def _singly(
    pairs: Pairs,
    moments: Moments,
    penalties: Tensor,
    weights: np.ndarray | None,
    device: torch.device | str,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """The squared norms of pairs that are units by themselves: ``|r|^2 / (1 - w h)^2``."""
    start = 0
    for squares, leverage in residuals_and_leverages(pairs, moments, penalties, device=device):
        index = np.arange(start, start + len(squares))
        start += len(squares)
        if weights is not None:
            leverage = torch.from_numpy(weights[index])[:, None] * leverage
        free = 1 - leverage
        yield index, torch.where(free > FREE, squares / free.square(), torch.inf)


def _maps(rotated: Tensor, shrink: Tensor, most: int) -> list[tuple[Tensor, Tensor]]:
    """Maps ``(r, m, q)`` of ``most`` penalties or one after the others, and what shrinks by these
    ``(r, m)``.
    """
    parts = shrink.split(max(1, most), 1)
    return [(some, some[:, :, None] * rotated[:, None]) for some in parts]


def _missed(scores: Tensor, answers: Tensor, maps: Tensor) -> Tensor:
    """The residuals ``(k, m, q)`` of some maps."""
    missed = torch.mm(scores, maps.flatten(1)).view(len(scores), -1, answers.shape[1])
    return missed.sub_(answers[:, None])


def _together(
    residual: Tensor, scores: Tensor, weight: Tensor, shrink: Tensor, share: float, size: int
) -> Tensor:
    """The same of pairs unit after unit, each of ``size`` pairs, that are left out together."""
    k, m, q = residual.shape
    missed = residual.view(-1, size, m, q).transpose(1, 2)
    scores = scores.view(-1, 1, size, len(shrink))
    root = weight.sqrt().expand(k).reshape(-1, 1, size, 1)
    kernel = (scores * shrink.T[:, None]) @ scores.mT + share
    one = torch.eye(size, dtype=torch.float64)
    factor, failed = torch.linalg.cholesky_ex(one - root * kernel * root.mT)
    defined = (failed == 0) & (factor.diagonal(dim1=2, dim2=3).square() > FREE).all(2)
    # (I - K W)^-1 = I + K W^1/2 (I - W^1/2 K W^1/2)^-1 W^1/2, which needs no weight's inverse.
    # Of few pairs it is smaller than their residuals, and found before them.
    small = 2 * size < q
    start = one if small else missed
    solved = start + kernel @ (root * torch.cholesky_solve(root * start, factor))
    missed = solved @ missed if small else solved
    squares = torch.where(defined[:, :, None], missed.square().sum(3), torch.inf)
    return squares.transpose(1, 2).reshape(k, m)


def _by_size(units: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Sizes of units, and the positions of all pairs in units of that size, unit after unit."""
    _, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    for size in np.unique(sizes).tolist():
        positions = np.flatnonzero(sizes[place] == size)
        yield size, positions[np.argsort(place[positions], kind="stable")]
