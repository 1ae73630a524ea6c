"""Deleted residuals of ridge: what the map of the other pairs misses each pair by.

With ``A = G + penalty I`` and the products ``G`` weighted, the map without the pairs of a unit
misses them by ``(I - K W)^-1 r``, ``r`` their residuals, ``W`` their weights, and ``K = 1 / n + Xc
A^-1 Xc'`` between them, without ``1 / n`` where the map has no intercept (Cook and Weisberg 1982,
section 3.6). For a pair alone that is ``r / (1 - h)``, ``h`` its leverage.

Shapes: ``n`` pairs, ``k`` of a block, ``g`` of a unit, ``m`` penalties, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import FREE

# Rows at a time, and numbers at a time.
_BLOCK = 512
_NUMBERS = 1 << 21


def deleted_residuals(
    pairs: Pairs,
    moments: Moments,
    penalties: Tensor,
    *,
    weights: np.ndarray,
    units: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Positions ``(k,)`` and squared norms ``(k, m)`` of deleted residuals, block by block.

    ``moments`` are those of the ``pairs`` with these ``weights`` ``(n,)``. With ``units`` ``(n,)``
    int64 all pairs of a unit are left out together. Infinite where leaving out is not defined.
    """
    spectrum = moments.source_spectrum
    rotated = spectrum.directions.T @ moments.xy
    share = float(moments.centred) / moments.n
    for index, firsts in _blocks(len(pairs), units):
        part = pairs.take(index)
        scores = (part.source.vectors.double() - moments.mean_x) @ spectrum.directions
        answers = part.target.vectors.double() - moments.mean_y
        weight = torch.from_numpy(weights[index])
        squares = torch.empty(len(index), len(penalties), dtype=torch.float64)
        widest = max([moments.q, *(stop - start for start, stop in firsts)])
        for chosen in torch.arange(len(penalties)).split(max(1, _NUMBERS // (len(index) * widest))):
            shrink = 1 / (spectrum.values[:, None] + penalties[chosen])
            maps = (shrink[:, :, None] * rotated[:, None]).flatten(1)
            residual = answers[:, None] - (scores @ maps).view(len(index), -1, moments.q)
            free = 1 - weight[:, None] * (share + scores.square() @ shrink)
            missed = residual.square().sum(2) / free.square()
            squares[:, chosen] = torch.where(free > FREE, missed, torch.inf)
            for start, stop in firsts:
                rows = slice(start, stop)
                squares[rows, chosen] = _together(
                    residual[rows], scores[rows], weight[rows], shrink, share
                )
        yield index, squares


def _together(
    residual: Tensor, scores: Tensor, weight: Tensor, shrink: Tensor, share: float
) -> Tensor:
    """The squared norms ``(g, m)`` of pairs that are left out together."""
    root = weight.sqrt()
    kernel = share + torch.einsum("gr,rm,hr->mgh", scores, shrink, scores)
    scaled = torch.eye(len(root), dtype=torch.float64) - root[:, None] * kernel * root
    values, axes = torch.linalg.eigh(scaled)
    free = values[:, 0] > FREE
    values = values.clamp(min=FREE)
    # (I - K W)^-1 = I + K W^1/2 (I - W^1/2 K W^1/2)^-1 W^1/2, which needs no weight's inverse.
    missed = residual.transpose(0, 1)
    inner = axes @ ((axes.mT @ (root[:, None] * missed)) / values[:, :, None])
    missed = missed + kernel @ (root[:, None] * inner)
    return torch.where(free, missed.square().sum(2).T, torch.inf)


def _blocks(n: int, units: np.ndarray | None) -> Iterator[tuple[np.ndarray, list[tuple[int, int]]]]:
    """Positions of a block, and where its units of several pairs begin and end; no unit is cut."""
    if units is None:
        for start in range(0, n, _BLOCK):
            yield np.arange(start, min(start + _BLOCK, n)), []
        return
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(units[order]) != 0])
    stops = np.r_[starts[1:], n]
    block = 0
    for number, stop in enumerate(stops):
        last = number + 1 == len(stops) or stops[number + 1] - starts[block] > _BLOCK
        if last:
            here = range(block, number + 1)
            begin = int(starts[block])
            spans = [(int(starts[i]) - begin, int(stops[i]) - begin) for i in here]
            yield order[begin:stop], [(a, b) for a, b in spans if b - a > 1]
            block = number + 1
