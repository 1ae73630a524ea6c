"""What codes lose on their way: to another space, there and back, and by way of a third.

Shapes: ``m`` spaces, ``n`` images, codes ``(n, d)``; rows of figures ``(..., n)`` float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch

from latentmap.codes import Codes
from latentmap.intervals import Estimate, resample, shares
from latentmap.mapping import LinearMap
from latentmap.progress import Progress
from latentmap.relocation.measuring import of_own_mean
from latentmap.relocation.measuring_codes import CodeMap

_BLOCK = 2048  # Rows at a time.


@dataclass(frozen=True, eq=False)
class CodeErrors:
    """What each image contributes: mean squares over variables.

    ``spread`` ``(m, n)`` is the squared distance of a code from the mean code. ``missed`` ``(m, m,
    n)`` is that of the code of the target from the mapped code of the source; on the diagonal is 0.
    ``cycled`` ``(m, m, n)`` is the error in the source after there and back, ``composed`` ``(m, m,
    m, n)`` that in the third space by way of the second. ``units`` ``(n,)`` are the images',
    None where each is one.
    """

    spread: np.ndarray
    missed: np.ndarray
    cycled: np.ndarray
    composed: np.ndarray
    units: np.ndarray | None


@dataclass(frozen=True, eq=False)
class CodeFigures:
    """The figures of codes, by the numbers of the spaces.

    ``cycle`` is the share of the source's variance that is lost there and back, ``composed_r2``
    the R2 by way of another space, and ``lost_r2`` what the direct map has more.
    """

    l_mse: Mapping[tuple[int, int], Estimate]
    r2: Mapping[tuple[int, int], Estimate]
    cycle: Mapping[tuple[int, int], Estimate]
    composed_r2: Mapping[tuple[int, int, int], Estimate]
    lost_r2: Mapping[tuple[int, int, int], Estimate]


def code_errors(
    codes: Sequence[Codes],
    maps: Mapping[tuple[int, int], LinearMap],
    *,
    units: np.ndarray | None = None,
    progress: Progress | None = None,
) -> CodeErrors:
    """The errors of all maps, all ways there and back, and all ways by a third space.

    ``codes`` are of the same images, in one order, of some ``units`` ``(n,)``;
    without these each is one.
    """
    m, n = len(codes), len(codes[0])
    missed, cycled = np.zeros((m, m, n)), np.zeros((m, m, n))
    composed = np.zeros((m, m, m, n))
    size = min(_BLOCK, *(part.block_size for part in codes))
    for start in range(0, n, size):
        stop = min(start + size, n)
        rows = [part.read(start, stop) for part in codes]
        for (i, j), linear_map in maps.items():
            mapped = linear_map.apply(rows[i])
            missed[i, j, start:stop] = _errors(rows[j], mapped)
            for k in set(range(m)) - {j}:
                onwards = _errors(rows[k], maps[j, k].apply(mapped))
                if k == i:
                    cycled[i, j, start:stop] = onwards
                else:
                    composed[i, j, k, start:stop] = onwards
        if progress:
            progress(stop, n)
    spread = np.stack([spread_of(part, units) for part in codes])
    return CodeErrors(spread, missed, cycled, composed, units)


def direct_errors(one: CodeMap, source: Codes, target: Codes) -> np.ndarray:
    """The errors ``(n,)`` of a map alone, as ``code_errors`` has them."""
    blocks = zip(source.blocks(_BLOCK), target.blocks(_BLOCK), strict=True)
    return np.concatenate([_errors(y, one.apply(x)) for x, y in blocks])


def direct_figures(
    missed: np.ndarray, spread: np.ndarray, *, units: np.ndarray | None = None, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """L_mse and R2 of a map alone from its errors ``(n,)`` and the ``spread`` ``(n,)`` of the
    target, as ``code_figures`` has them.
    """
    resampled = resample(np.stack([missed, spread]), units, seed=seed)
    lost, varied = resampled.means.T
    return resampled.estimate(lost), resampled.estimate(1 - shares(lost, varied))


def spread_of(codes: Codes, units: np.ndarray | None = None) -> np.ndarray:
    """The squared distance ``(n,)`` of each code from the mean code of all images of the kind, mean
    over variables (see ``of_own_mean``); exactly 0 where all codes are equal.
    """
    mean = torch.zeros(codes.space.dim, dtype=torch.float64)
    for block in codes.blocks():
        mean += block.sum(0, dtype=torch.float64)
    mean /= len(codes)
    spread = torch.cat([(block.double() - mean).square().mean(1) for block in codes.blocks()])
    # Constant variables vary by the rounding of their float32 codes alone.
    rounding = (torch.finfo(torch.float32).eps * mean).square().mean()
    if spread.mean() <= rounding:
        spread.zero_()
    return of_own_mean(codes, units) * spread.numpy()


def code_figures(errors: CodeErrors, *, seed: int = 0) -> CodeFigures:
    """The figures of all ways, with intervals by the same resamplings of the units for all; ratios
    are formed inside each.
    """
    m = len(errors.spread)
    pairs = list(permutations(range(m), 2))
    triples = list(permutations(range(m), 3))
    rows = np.concatenate(
        [
            errors.spread,
            *(errors.missed[pair][None] for pair in pairs),
            *(errors.cycled[pair][None] for pair in pairs),
            *(errors.composed[triple][None] for triple in triples),
        ]
    )
    found = resample(rows, errors.units, seed=seed)
    spread, missed, cycled, composed = np.split(
        found.means, np.cumsum([m, len(pairs), len(pairs)]), axis=1
    )
    r2 = {(i, j): 1 - shares(missed[:, c], spread[:, j]) for c, (i, j) in enumerate(pairs)}
    by_way = {
        (i, j, k): 1 - shares(composed[:, c], spread[:, k]) for c, (i, j, k) in enumerate(triples)
    }
    return CodeFigures(
        {pair: found.estimate(missed[:, c]) for c, pair in enumerate(pairs)},
        {pair: found.estimate(values) for pair, values in r2.items()},
        {
            (i, j): found.estimate(shares(cycled[:, c], spread[:, i]))
            for c, (i, j) in enumerate(pairs)
        },
        {way: found.estimate(values) for way, values in by_way.items()},
        {(i, j, k): found.estimate(r2[i, k] - values) for (i, j, k), values in by_way.items()},
    )


def _errors(codes: torch.Tensor, others: torch.Tensor) -> np.ndarray:
    errors: np.ndarray = (codes.double() - others).square().mean(1).numpy()
    return errors
