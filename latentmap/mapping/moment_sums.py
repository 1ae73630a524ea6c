"""MomentSums: moments, added up block by block, float64.

Shapes: ``k`` rows in a block, ``K`` spaces with ``D`` variables together. The columns of a block
are a 1, then the variables of one space after the other: the products of the 1 are the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.options import MomentPrecision

# products: all products of the target variables with each other, which CCA, optimal transport and
# covariances of predictions need; squares: the diagonal alone, enough to fit and choose a ridge.
Targets = Literal["products", "squares"]

# Rows at a time that are multiplied (a few MB, which stay in the last cache), and that are copied
# and shifted (which stay in the second). Measured from 64 to 8192.
_ROWS = 1024
_COPIED = 256
# Products are symmetric: only panels on and above the diagonal are computed.
_PANEL = 256
_NOT_FINITE = "every code must be finite, but some have NaN or infinite values"


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
