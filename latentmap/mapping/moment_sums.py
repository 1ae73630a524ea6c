"""MomentSums: moments, added up block by block, float64.

Shapes: ``k`` rows in a block, ``K`` spaces with ``D`` variables together. The columns of a block
are a 1, then the variables of one space after the other: the products of the 1 are the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.limits import available_memory
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.options import MomentPrecision
from latentmap.transfers import upload

# products: all products of the target variables with each other, which CCA, optimal transport and
# covariances of predictions need; squares: the diagonal alone, enough to fit and choose a ridge.
Targets = Literal["products", "squares"]

# Rows at a time that are multiplied (a few MB, which stay in the last cache; of float32 more,
# because what they add is converted), that are copied and shifted (which stay in the second), and
# whose squares are added up side by side. Measured from 64 to 8192.
_ROWS = {"exact": 1024, "fast": 4096}
_COPIED = {"exact": 256, "fast": 512}
_SQUARED = 128
# The same of a GPU, where small products take as long as larger ones (67 MB of 1,024 variables in
# float64), and the rows of its panels. By reasoning: not measured.
_THERE = 8192
_PANEL_THERE = 512
_SMALL = 1 << 28  # Bytes that nobody looks for.
# Products are symmetric: only panels on and above the diagonal are computed, of about so many rows
# (measured from 64 to 512: smaller products wait, larger ones save less of the triangle). Sizes
# that are a multiple of a vector register are a tenth faster.
_PANEL = 128
_REGISTER = 8
_NOT_FINITE = "every code must be finite, but some have NaN or infinite values"


def require_room(dims: Sequence[int], *, targets: Targets = "products", sums: int = 1) -> None:
    """Passes where there is memory for the products of all variables of spaces of some ``dims``
    with each other, in so many ``sums`` at a time.

    Raises:
        MapError: they would take more than half of what is free.
    """
    width = 1 + sum(dims)
    height = width if targets == "products" else width - dims[-1]
    # One set more while moments are made of them, and one for their decomposition.
    wanted = 8 * width * height * (sums + 2)
    if wanted > _SMALL and wanted > (free := available_memory()) / 2:
        raise MapError(
            f"the products of {sum(dims):,} variables of codes take {wanted / 2**30:.1f} GiB, more "
            f"than half of the free {free / 2**30:.1f} GiB: take images of a smaller --size, "
            "fewer pairs than variables, or grids and a --patch"
        )


class MomentSums:
    """Gathers moments block by block: ``update`` with rows of every space, then ``moments``.

    The sums are taken about the mean of the first block, so that a mean far from zero costs no
    digits. With ``targets="squares"`` the last space's products with itself are left out, but for
    their diagonal.

    Sums are made on ``device``, to which rows are uploaded. Whoever asks a GPU for a number waits
    for all before it, so sums there are ``late`` in refusing what is not finite: ``moments`` does.
    """

    def __init__(
        self,
        dims: Sequence[int],
        *,
        targets: Targets = "products",
        precision: MomentPrecision = "exact",
        device: torch.device | str = "cpu",
        late: bool | None = None,
    ) -> None:
        if precision not in ("exact", "fast"):
            raise MapError(f"unknown precision {precision!r} of moments: choose exact or fast")
        if targets not in ("products", "squares"):
            raise MapError(f"unknown targets {targets!r}: choose products or squares")
        self.dims = tuple(dims)
        self._device = torch.device(device)
        there = self._device.type != "cpu"
        self._late = there if late is None else late
        self.fast = precision == "fast"
        width = 1 + sum(self.dims)
        # Products of these leading columns with all are gathered.
        self._height = width if targets == "products" else width - self.dims[-1]
        self._panels = _panels(self._height, _PANEL_THERE if there else _PANEL)
        # Columns beyond the width stay zero; rows of products beyond the height are not used.
        shape = self._panels[-1].stop, _whole(width)
        dtype = torch.float32 if self.fast else torch.float64
        zeros = partial(torch.zeros, device=self._device)
        self._n = zeros((), dtype=torch.float64)
        self._finite = torch.ones((), dtype=torch.bool, device=self._device)
        self._products = zeros(shape, dtype=torch.float64)
        self._squares = zeros(width - self._height, dtype=torch.float64)
        self._shift = zeros(width, dtype=dtype)
        self._rows = _THERE if there else _ROWS[precision]
        self._copied = _THERE if there else _COPIED[precision]
        self._buffer = zeros(self._rows, shape[1], dtype=dtype)
        self._squared = zeros(_THERE if there else _SQUARED, width - self._height, dtype=dtype)
        # What a panel adds: of the first it is looked at before, of float32 it is converted.
        self._scratch = [
            zeros(panel.stop - panel.start, shape[1] - panel.start, dtype=dtype)
            for panel in (self._panels if self.fast else self._panels[:1])
        ]
        self._started = False

    @property
    def n(self) -> float:
        """The weights of all rows so far: their number, where they have none."""
        return float(self._n)

    def update(self, rows: Sequence[Tensor], weights: Tensor | None = None) -> None:
        """Adds ``k`` rows of every space, ``(k, d)`` each; ``weights`` ``(k,)`` count them.

        Raises:
            MapError: the shapes do not fit, a weight is below zero, or a number is not finite,
                unless that is told late. Nothing of the first 1024 rows (4096 of float32) in which
                that is so was added then.
        """
        k = len(rows[0])
        shapes = [tuple(part.shape) for part in rows]
        if shapes != [(k, dim) for dim in self.dims]:
            expected = " and ".join(f"(k, {dim})" for dim in self.dims)
            raise MapError(
                f"a block of codes must have shapes {expected}, not "
                f"{' and '.join(map(str, shapes))}"
            )
        require_weights(weights, k)
        rows = [upload(part, self._device) for part in rows]
        weights = None if weights is None else upload(weights, self._device)
        for start in range(0, k, self._rows):
            part = slice(start, min(start + self._rows, k))
            self._add([space[part] for space in rows], None if weights is None else weights[part])

    def moments(self, device: torch.device | str | None = None) -> JointMoments:
        """The moments of all rows so far, on ``device``; by default where the sums are.

        Raises:
            MapError: there were none, or all had weight zero; or a number was not finite, where
                that is told late.
        """
        if not bool(self._finite):
            raise MapError(_NOT_FINITE)
        n = self.n
        if not n > 0:
            raise MapError("moments need at least one pair, but there is none")
        width = len(self._shift)
        offset = self._products[0, :width] / n
        # Below the diagonal of a panel that was computed whole, the numbers are there already.
        products = self._products.clone()
        for panel in self._panels[1:]:
            products[panel, : panel.start] = products[: panel.start, panel].T
        products = products[: self._height, :width]
        products.addr_(offset[: self._height], offset, alpha=-n)
        squares = torch.cat(
            [
                products.diagonal(),
                (self._squares - n * offset[self._height :].square()).clamp(min=0),
            ]
        )
        mean = self._shift.double() + offset
        found = (part.to(device or self._device) for part in (mean, products, squares))
        mean, products, squares = found
        return JointMoments(n, self.dims, mean[1:], products[1:, 1:], squares[1:], fast=self.fast)

    def _add(self, rows: Sequence[Tensor], weights: Tensor | None) -> None:
        k = len(rows[0])
        if not self._started:
            means = [part.double().mean(0) for part in rows]
            shift = torch.cat([self._products.new_zeros(1), *means])
            self._require_finite(shift)
            self._shift.copy_(shift)
        z = self._buffer[:k]
        # Rows that were refused left something there.
        self._squared.zero_()
        for start in range(0, k, self._copied):
            part = z[start : start + self._copied]
            part[:, 0] = 1
            column = 1
            for space in rows:
                columns = slice(column, column + space.shape[1])
                column = columns.stop
                given, into = space[start : start + self._copied], part[:, columns]
                if given.dtype == into.dtype:
                    torch.sub(given, self._shift[columns], out=into)
                else:
                    # Copy, then subtract in float64: subtracting float32 codes would round them
                    # (measured: 1.6e-7).
                    into.copy_(given).sub_(self._shift[columns])
            if weights is not None:
                part.mul_(weights[start : start + self._copied].to(part).sqrt()[:, None])
            self._square(part[:, self._height : len(self._shift)])
        # The first panel shows any number that is not finite, before anything is added.
        first, *others = self._panels
        torch.mm(z[:, first].T, z, out=self._scratch[0])
        total = self._scratch[0][0]
        self._require_finite(total)
        self._started = True
        self._n.add_(total[0])
        self._products[first].add_(self._scratch[0])
        for number, panel in enumerate(others, 1):
            left, right = z[:, panel].T, z[:, panel.start :]
            into = self._products[panel, panel.start :]
            if self.fast:
                into.add_(torch.mm(left, right, out=self._scratch[number]))
            else:
                into.addmm_(left, right)
        if len(self._squares):
            self._squares.add_(self._squared.sum(0, dtype=torch.float64))

    def _require_finite(self, numbers: Tensor) -> None:
        """Refuses numbers that are not, now or late."""
        finite = torch.isfinite(numbers).all()
        if self._late:
            self._finite.logical_and_(finite)
        elif not bool(finite):
            raise MapError(_NOT_FINITE)

    def _square(self, part: Tensor) -> None:
        """Adds the squares of rows that were just copied, and so are near the processor."""
        # A third faster than squares that are then summed, and twice than a norm (measured).
        for some in part.split(len(self._squared)) if part.shape[1] else ():
            self._squared[: len(some)].addcmul_(some, some)


def _panels(height: int, rows: int) -> list[slice]:
    """Panels of about so many rows, alike, that make up ``height`` or a little more."""
    count = max(1, round(height / rows))
    ends = [_whole(height * number // count) for number in range(count)]
    return [slice(start, stop) for start, stop in pairwise([*ends, _whole(height)])]


def _whole(size: int) -> int:
    """The next multiple of the register."""
    return -(-size // _REGISTER) * _REGISTER


def require_weights(weights: Tensor | None, n: int) -> None:
    """Refuses weights of ``n`` pairs that cannot be.

    Raises:
        MapError: they are not ``n`` numbers of at least 0.
    """
    if weights is not None and (weights.shape != (n,) or not bool((weights >= 0).all())):
        raise MapError(
            f"weights must be {n} numbers of at least 0, one for each pair, not "
            f"{tuple(weights.shape)} of {weights.min() if weights.numel() else 'none'}"
        )
