"""Gathering moments: one pass over the codes, in blocks, float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs
from latentmap.errors import MapError
from latentmap.mapping.moment_sums import MomentSums, Targets, require_room, require_weights
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.options import MomentPrecision
from latentmap.mapping.thin_moments import ThinMoments
from latentmap.progress import Progress


def moments_of(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    *,
    weights: Tensor | np.ndarray | None = None,
    targets: Targets = "products",
    precision: MomentPrecision = "exact",
) -> Moments:
    """The moments of the pairs in two arrays ``(n, p)`` and ``(n, q)``, on their device.

    ``weights`` ``(n,)`` count each pair so many times. ``targets="squares"`` leaves out what only
    some methods need; ``precision="fast"`` multiplies in float32, which is twice as fast and
    refused where a map would suffer from it.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> moments_of(x, 3 * x).xy
        tensor([[6.]], dtype=torch.float64)

    Raises:
        MapError: no pair, shapes that do not fit, or a number that is not finite.
    """
    left, right = (torch.as_tensor(part) for part in (x, y))
    given = None if weights is None else torch.as_tensor(weights)
    if (
        len(left) == len(right)
        and _is_thin(len(left), (left.shape[1], right.shape[1]), precision)
        and _weighs(given, len(left))
        and all(bool(part.isfinite().all()) for part in (left, right))
    ):
        return ThinMoments.of_rows(left.double(), right.double(), given)
    # What cannot be is refused there.
    sums = MomentSums(
        (left.shape[1], right.shape[1]),
        targets=targets,
        precision=precision,
        device=left.device,
    )
    sums.update([left, right], given)
    return sums.moments().between(0, 1)


def moments_of_pairs(
    pairs: Pairs,
    *,
    weights: np.ndarray | None = None,
    targets: Targets = "products",
    precision: MomentPrecision = "exact",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Moments:
    """The moments of pairs in one pass, summed on ``device``.

    The rows are read in blocks, so memory does not grow with their number.

    Raises:
        MapError: there is no pair, or a code is not finite: its image is named.
    """
    every = np.zeros(len(pairs), dtype=np.int64)
    return moments_by_fold(
        pairs,
        every,
        weights=weights,
        targets=targets,
        precision=precision,
        device=device,
        progress=progress,
    )[0]


def moments_by_fold(
    pairs: Pairs,
    folds: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    targets: Targets = "products",
    precision: MomentPrecision = "exact",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[Moments]:
    """The moments of each fold of some pairs, from one pass over all.

    ``folds`` ``(n,)`` are the numbers 0, 1, ... of the folds. Sums are made on ``device``; the
    moments are on the processor.

    Raises:
        MapError: there is no pair, a fold is empty, or a code is not finite: its image is named; or
            their products take too much memory.
    """
    dims = (pairs.source.space.dim, pairs.target.space.dim)
    if _is_thin(len(pairs), dims, precision):
        return _thin_by_fold(pairs, folds, weights)
    count = int(folds.max(initial=0)) + 1
    require_room(dims, targets=targets, sums=count)
    make = partial(MomentSums, dims, targets=targets, precision=precision, device=device)
    sums = [make() for _ in range(count)]
    for start, rows in _blocks([pairs.source, pairs.target]):
        here = folds[start : start + len(rows[0])]
        for number in np.unique(here):
            index = np.flatnonzero(here == number)
            whole = len(index) == len(here)
            part = rows if whole else [space[torch.from_numpy(index)] for space in rows]
            weight = None
            if weights is not None:
                weight = torch.from_numpy(
                    np.ascontiguousarray(weights[start : start + len(here)][index])
                )
            try:
                sums[number].update(part, weight)
            except MapError as error:
                raise MapError(
                    name_bad_code((pairs.source, pairs.target), start, rows) or str(error)
                ) from error
        if progress:
            progress(start + len(here), len(pairs))
    return [_summed(part, (pairs.source, pairs.target)).between(0, 1) for part in sums]


def _is_thin(n: int, dims: Sequence[int], precision: MomentPrecision) -> bool:
    """Whether pairs are fewer than variables, so that roots are smaller than products."""
    return 0 < n < max(dims) and precision == "exact"


def _weighs(weights: Tensor | None, n: int) -> bool:
    """Whether weights are what they should be, with a pair that counts."""
    return weights is None or (
        weights.shape == (n,) and bool((weights >= 0).all()) and bool(weights.any())
    )


def _thin_by_fold(pairs: Pairs, folds: np.ndarray, weights: np.ndarray | None) -> list[Moments]:
    """The moments of each fold of fewer pairs than variables, whose codes are in memory.

    Raises:
        MapError: as ``moments_by_fold`` raises it.
    """
    blocks = list(pairs.blocks())
    x, y = (torch.cat(parts).double() for parts in zip(*blocks, strict=True))
    message = name_bad_code((pairs.source, pairs.target), 0, (x, y))
    if message:
        raise MapError(message)
    given = None if weights is None else torch.from_numpy(np.ascontiguousarray(weights))
    require_weights(given, len(x))
    found: list[Moments] = []
    for number in range(int(folds.max(initial=0)) + 1):
        index = torch.from_numpy(np.flatnonzero(folds == number))
        weight = None if given is None else given[index]
        if not len(index) or (weight is not None and not bool(weight.any())):
            raise MapError("moments need at least one pair, but there is none")
        found.append(ThinMoments.of_rows(x[index], y[index], weight))
    return found


def moments_of_spaces(
    spaces: Sequence[Codes],
    *,
    targets: Targets = "products",
    precision: MomentPrecision = "exact",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> JointMoments:
    """The moments of the same images in several spaces; each space's codes are read once.

    ``targets="squares"`` leaves out the products of the last space with itself. Sums are made on
    ``device``; the moments are on the processor.

    Raises:
        MapError: the codes are not of the same images in the same order, or one is not finite; or
            their products take too much memory.
    """
    for other in spaces[1:]:
        if not np.array_equal(other.ids, spaces[0].ids):
            raise MapError(
                f"codes of several spaces must be of the same images in the same order, but those "
                f"in {spaces[0].space} and {other.space} are not: join them with `pair`"
            )
    dims = [codes.space.dim for codes in spaces]
    require_room(dims, targets=targets)
    sums = MomentSums(dims, targets=targets, precision=precision, device=device)
    for start, rows in _blocks(spaces):
        try:
            sums.update(rows)
        except MapError as error:
            raise MapError(name_bad_code(spaces, start, rows) or str(error)) from error
        if progress:
            progress(start + len(rows[0]), len(spaces[0]))
    return _summed(sums, spaces)


def _summed(sums: MomentSums, spaces: Sequence[Codes]) -> JointMoments:
    """The moments on the processor.

    Raises:
        MapError: as ``MomentSums.moments``; a code that is not finite is looked for and named.
    """
    try:
        return sums.moments("cpu")
    except MapError as error:
        messages = (name_bad_code(spaces, start, rows) for start, rows in _blocks(spaces))
        raise MapError(next(filter(None, messages), str(error))) from error


def _blocks(spaces: Sequence[Codes]) -> Iterator[tuple[int, list[Tensor]]]:
    size = min(codes.block_size for codes in spaces)
    parts: Iterable[tuple[Tensor, ...]] = zip(
        *(codes.blocks(size) for codes in spaces), strict=True
    )
    start = 0
    for rows in parts:
        yield start, list(rows)
        start += len(rows[0])


def name_bad_code(spaces: Sequence[Codes], start: int, rows: Sequence[Tensor]) -> str:
    """What is to be said of the first code that is not finite, among ``rows`` of some spaces from
    the image ``start`` on; empty where all are.
    """
    for codes, part in zip(spaces, rows, strict=True):
        bad = (~torch.isfinite(part).all(1)).nonzero()
        if len(bad):
            return (
                f"every code must be finite, but the code of {codes.ids[start + int(bad[0])]} in "
                f"{codes.space} has NaN or infinite values: encode that image again, or leave it "
                "out"
            )
    return ""
