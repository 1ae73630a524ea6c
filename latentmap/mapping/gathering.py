"""Gathering moments: one pass over the codes, in blocks, float64.

Shapes: ``k`` rows in a block, ``K`` spaces with ``D`` variables together. The columns of a block
are a 1, then the variables of one space after the other: the products of the 1 are the sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs
from latentmap.errors import MapError
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.progress import Progress

# products: all products of the target variables with each other, which CCA, optimal transport and
# covariances of predictions need; squares: the diagonal alone, enough to fit and choose a ridge.
Targets = Literal["products", "squares"]
# exact: float64; fast: products of float32, added up in float64.
MomentPrecision = Literal["exact", "fast"]

# Rows at a time that are read, that are multiplied (a few MB, which stay in the last cache), and
# that are copied and shifted (which stay in the second). Measured from 64 to 8192.
_READ = 8192
_ROWS = 1024
_COPIED = 256
# Products are symmetric: only panels on and above the diagonal are computed.
_PANEL = 256


class MomentSums:
    """Gathers moments block by block: ``update`` with rows of every space, then ``moments``.

    The sums are taken about the mean of the first block, so that a mean far from zero costs no
    digits. With ``targets="squares"`` the last space's products with itself are left out, but for
    their diagonal.
    """

    def __init__(
        self,
        dims: Sequence[int],
        *,
        targets: Targets = "products",
        precision: MomentPrecision = "exact",
        device: torch.device | str = "cpu",
    ) -> None:
        if precision not in ("exact", "fast"):
            raise MapError(f"unknown precision {precision!r} of moments: choose exact or fast")
        if targets not in ("products", "squares"):
            raise MapError(f"unknown targets {targets!r}: choose products or squares")
        self.dims = tuple(dims)
        self.n = 0.0
        self.fast = precision == "fast"
        width = 1 + sum(self.dims)
        # Products of these leading columns with all are gathered.
        self._height = width if targets == "products" else width - self.dims[-1]
        dtype = torch.float32 if self.fast else torch.float64
        zeros = partial(torch.zeros, device=device)
        self._products = zeros(self._height, width, dtype=torch.float64)
        self._squares = zeros(width - self._height, dtype=torch.float64)
        self._shift = zeros(width, dtype=dtype)
        self._buffer = zeros(_ROWS, width, dtype=dtype)
        self._scratch = zeros(min(_PANEL, self._height), width, dtype=dtype)
        self._started = False
        self._copied = 2 * _COPIED if self.fast else _COPIED

    def update(self, rows: Sequence[Tensor], weights: Tensor | None = None) -> None:
        """Adds ``k`` rows of every space, ``(k, d)`` each; ``weights`` ``(k,)`` count them.

        Raises:
            MapError: the shapes do not fit, a weight is below zero, or a number is not finite.
                Nothing of the first 1024 rows in which that is so was added then.
        """
        k = len(rows[0])
        shapes = [tuple(part.shape) for part in rows]
        if shapes != [(k, dim) for dim in self.dims]:
            expected = " and ".join(f"(k, {dim})" for dim in self.dims)
            raise MapError(
                f"a block of codes must have shapes {expected}, not "
                f"{' and '.join(map(str, shapes))}"
            )
        if weights is not None and (weights.shape != (k,) or not bool((weights >= 0).all())):
            raise MapError(
                f"weights must be {k} numbers of at least 0, one for each pair, not "
                f"{tuple(weights.shape)} of {weights.min() if weights.numel() else 'none'}"
            )
        for start in range(0, k, _ROWS):
            part = slice(start, min(start + _ROWS, k))
            self._add([space[part] for space in rows], None if weights is None else weights[part])

    def moments(self) -> JointMoments:
        """The moments of all rows so far.

        Raises:
            MapError: there were none, or all had weight zero.
        """
        if not self.n > 0:
            raise MapError("moments need at least one pair, but there is none")
        offset = self._products[0] / self.n
        # Below the diagonal of a panel that was computed whole, the numbers are there already.
        products = self._products.clone()
        for start in range(_PANEL, self._height, _PANEL):
            stop = min(start + _PANEL, self._height)
            products[start:stop, :start] = products[:start, start:stop].T
        products.addr_(offset[: self._height], offset, alpha=-self.n)
        squares = torch.cat(
            [
                products.diagonal(),
                (self._squares - self.n * offset[self._height :].square()).clamp(min=0),
            ]
        )
        mean = self._shift.double() + offset
        return JointMoments(
            self.n, self.dims, mean[1:], products[1:, 1:], squares[1:], fast=self.fast
        )

    def _add(self, rows: Sequence[Tensor], weights: Tensor | None) -> None:
        k = len(rows[0])
        if not self._started:
            means = [part.double().mean(0) for part in rows]
            shift = torch.cat(
                [self._products.new_zeros(1), *(mean.to(self._shift.device) for mean in means)]
            )
            if not bool(torch.isfinite(shift).all()):
                raise MapError(_NOT_FINITE)
            self._shift.copy_(shift)
        z = self._buffer[:k]
        for start in range(0, k, self._copied):
            part = z[start : start + self._copied]
            part[:, 0] = 1
            column = 1
            for space in rows:
                columns = slice(column, column + space.shape[1])
                column = columns.stop
                given, into = space[start : start + self._copied], part[:, columns]
                if given.dtype == into.dtype:
                    torch.sub(given.to(into.device), self._shift[columns], out=into)
                else:
                    # Copy, then subtract in float64: subtracting float32 codes would round them
                    # (measured: 1.6e-7).
                    into.copy_(given).sub_(self._shift[columns])
            if weights is not None:
                part.mul_(weights[start : start + self._copied].to(part).sqrt()[:, None])
        # The first panel shows any number that is not finite, before anything is added.
        first = min(_PANEL, self._height)
        torch.mm(z[:, :first].T, z, out=self._scratch)
        total = self._scratch[0]
        if not bool(torch.isfinite(total).all()):
            raise MapError(_NOT_FINITE)
        self._started = True
        self.n += float(total[0])
        self._products[:first].add_(self._scratch)
        for start in range(first, self._height, _PANEL):
            stop = min(start + _PANEL, self._height)
            left, right = z[:, start:stop].T, z[:, start:]
            if self.fast:
                self._products[start:stop, start:].add_(left @ right)
            else:
                self._products[start:stop, start:].addmm_(left, right)
        if len(self._squares):
            # Twice as fast as a norm over the rows (measured).
            for start in range(0, k, self._copied):
                self._squares.add_(z[start : start + self._copied, self._height :].square().sum(0))


_NOT_FINITE = "every code must be finite, but some have NaN or infinite values"


def moments_of(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    *,
    weights: Tensor | np.ndarray | None = None,
    targets: Targets = "products",
    precision: MomentPrecision = "exact",
    device: torch.device | str | None = None,
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
    sums = MomentSums(
        (left.shape[1], right.shape[1]),
        targets=targets,
        precision=precision,
        device=device or left.device,
    )
    sums.update([left, right], None if weights is None else torch.as_tensor(weights))
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
    """The moments of pairs in one pass.

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

    ``folds`` ``(n,)`` are the numbers 0, 1, ... of the folds.

    Raises:
        MapError: there is no pair, a fold is empty, or a code is not finite: its image is named.
    """
    dims = (pairs.source.space.dim, pairs.target.space.dim)
    make = partial(MomentSums, dims, targets=targets, precision=precision, device=device)
    sums = [make() for _ in range(int(folds.max(initial=0)) + 1)]
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
                    _name_bad_code((pairs.source, pairs.target), start, rows) or str(error)
                ) from error
        if progress:
            progress(start + len(here), len(pairs))
    return [part.moments().between(0, 1) for part in sums]


def moments_by_group(
    pairs: Pairs, groups: np.ndarray, *, progress: Progress | None = None
) -> dict[str, Moments]:
    """The moments of each group of some pairs, by its name, from one pass; a few MB a group.

    ``groups`` ``(n,)`` names the group of each pair.
    """
    names, folds = np.unique(groups, return_inverse=True)
    parts = moments_by_fold(pairs, folds, progress=progress)
    return {str(name): part for name, part in zip(names, parts, strict=True)}


def moments_of_spaces(
    spaces: Sequence[Codes],
    *,
    precision: MomentPrecision = "exact",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> JointMoments:
    """The moments of the same images in several spaces; each space's codes are read once.

    Raises:
        MapError: the codes are not of the same images in the same order, or one is not finite.
    """
    for other in spaces[1:]:
        if not np.array_equal(other.ids, spaces[0].ids):
            raise MapError(
                f"codes of several spaces must be of the same images in the same order, but those "
                f"in {spaces[0].space} and {other.space} are not: join them with `pair`"
            )
    sums = MomentSums([codes.space.dim for codes in spaces], precision=precision, device=device)
    for start, rows in _blocks(spaces):
        try:
            sums.update(rows)
        except MapError as error:
            raise MapError(_name_bad_code(spaces, start, rows) or str(error)) from error
        if progress:
            progress(start + len(rows[0]), len(spaces[0]))
    return sums.moments()


def _blocks(spaces: Sequence[Codes]) -> Iterator[tuple[int, list[Tensor]]]:
    parts: Iterable[tuple[Tensor, ...]] = zip(
        *(codes.blocks(_READ) for codes in spaces), strict=True
    )
    start = 0
    for rows in parts:
        yield start, list(rows)
        start += len(rows[0])


def _name_bad_code(spaces: Sequence[Codes], start: int, rows: Sequence[Tensor]) -> str:
    for codes, part in zip(spaces, rows, strict=True):
        bad = (~torch.isfinite(part).all(1)).nonzero()
        if len(bad):
            return (
                f"every code must be finite, but the code of {codes.ids[start + int(bad[0])]} in "
                f"{codes.space} has NaN or infinite values: encode that image again, or leave it "
                "out"
            )
    return ""
