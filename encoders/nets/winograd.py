"""3x3 convolutions by minimal filtering, with a quarter of the products.

Tiles of 6x6 activations and a 3x3 weight are both brought to 6x6 values, in which a convolution is
a product: 4x4 results take 36 products in place of 144 (Winograd's F(4x4, 3x3); Lavin & Gray, arXiv
1509.09308). In one direction that is y = A [(G g) * (B x)], interpolation through the points 0, p,
-p, q, -q and infinity. With p = 1/sqrt(2) and q = sqrt(2) the entries of B and A are of about one
size, and rounding is that of the plain sum; with the usual 1 and 2 it would be three times that.

Shapes: ``n`` images, ``i`` input and ``o`` output channels, activations ``(n, c, h, w)`` in
channels-last memory; a strip is ``s`` rows of ``t`` tiles. A strip is so short that what is made of
it stays near the processor core, and every step runs over long rows of memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

TILE = 4
"""The results a tile has in one direction."""

_SIDE = TILE + 2
_P, _Q = math.sqrt(0.5), math.sqrt(2)
# Tiles in a strip, of all images; measured with 64 to 512 channels.
_STRIP = 256


def transform_weight(weight: Tensor) -> Tensor:
    """The values ``(36, i, o)`` of a weight ``(o, i, 3, 3)``, in its precision."""
    matrix = _weight_matrix()
    taps = weight.permute(2, 3, 1, 0).flatten(2).flatten(0, 1)
    values: Tensor = torch.kron(matrix, matrix).to(weight) @ taps
    return values.view(-1, *weight.shape[1::-1])


def convolve_minimal(
    x: Tensor,
    kernel: Tensor,
    *,
    styles: Tensor,
    scales: Tensor,
    finish: Callable[[Tensor, slice], object],
) -> Tensor:
    """``scales conv(styles x)`` with zeros around x, ``(n, o, h, w)``; it has no gradients.

    ``kernel`` is of ``transform_weight``, ``styles`` ``(n, i)``, ``scales`` ``(n, o)``; h and w are
    multiples of ``TILE``. ``finish`` is given some rows of the result at a time, while they are
    near, and which these are, to change them in place.
    """
    n, _, height, width = x.shape
    most = max(1, _STRIP * TILE // (n * width))
    step = next(s for s in range(most, 0, -1) if height // TILE % s == 0)
    strip = _Strip(x.permute(0, 2, 3, 1), kernel, step)
    y = x.new_empty(n, height, width, kernel.shape[2])
    factors = torch.tensor([1, _P, 0.5, 0.5 * _P], dtype=x.dtype)
    # For columns, rows, images, s, t and channels, as the tiles lie.
    grid = factors[:, None] * factors
    scales = grid[:, :, None, None, None, None] * scales[:, None, None]
    for first in range(0, height, TILE * step):
        rows = slice(first, first + TILE * step)
        tiles = strip.convolve(first, styles)
        places = y[:, rows].unflatten(2, (-1, TILE)).unflatten(1, (-1, TILE))
        torch.mul(tiles, scales, out=places.permute(4, 2, 0, 1, 3, 5))
        finish(y[:, rows].permute(0, 3, 1, 2), rows)
    return y.permute(0, 3, 1, 2)


class _Strip:
    """The memory in which some rows of tiles after others are convolved, all of one size.

    Columns lie apart by their place in a tile: the two on the right of a tile are the first two of
    its neighbour.
    """

    def __init__(self, x: Tensor, kernel: Tensor, step: int) -> None:
        n, _, width, inputs = x.shape
        outputs, t = kernel.shape[2], width // TILE
        self._x, self._kernel = x, kernel
        self._padded = x.new_zeros(TILE, n, TILE * step + 2, t + 1, inputs)
        rows, values = (_SIDE, TILE, n, step, t + 1), (_SIDE, _SIDE, n, step, t)
        half, tiles = (TILE, _SIDE, n, step, t), (TILE, TILE, n, step, t)
        # Two of the steps use the memory of two before them.
        self._rows, self._tiles = _sharing(x, (*rows, inputs), (*tiles, outputs))
        self._values, self._half = _sharing(x, (*values, inputs), (*half, outputs))
        self._products = x.new_empty(*values, outputs)

    def convolve(self, first: int, styles: Tensor) -> Tensor:
        """Tiles of the convolution of ``styles x`` from a row on, ``(columns, rows, n, s, t, o)``,
        yet without the factors of A; the next call overwrites them.
        """
        self._pad(first, styles)
        t, last = self._values.shape[4], self._padded.shape[2] - _SIDE
        rows = [self._padded[:, :, k : last + k + 1 : TILE] for k in range(_SIDE)]
        _transform(rows, self._rows.unbind())
        columns = [self._rows[:, k % TILE, :, :, k // TILE :][:, :, :, :t] for k in range(_SIDE)]
        _transform(columns, self._values.unbind(1))
        values, products = self._values.flatten(2, 4), self._products.flatten(2, 4)
        torch.bmm(values.flatten(0, 1), self._kernel, out=products.flatten(0, 1))
        _interpolate(self._products.unbind(), self._half.unbind())
        _interpolate(self._half.unbind(1), self._tiles.unbind())
        return self._tiles

    def _pad(self, first: int, styles: Tensor) -> None:
        """Puts ``styles x`` into place: its rows from one before ``first`` on."""
        height = self._padded.shape[2]
        above, below = max(first - 1, 0), min(first - 1 + height, self._x.shape[1])
        padded = self._padded[:, :, above - first + 1 : below - first + 1]
        if below - first + 1 < height:
            self._padded[:, :, -1].zero_()
        x = self._x[:, above:below].unflatten(2, (-1, TILE))
        styles = styles[:, None, None]
        for k in range(TILE):
            column = (k + 1) % TILE
            places = padded[column, :, :, 1:] if column == 0 else padded[column, :, :, :-1]
            torch.mul(x[:, :, :, k], styles, out=places)


def _sharing(x: Tensor, *shapes: Sequence[int]) -> list[Tensor]:
    """Tensors of some shapes in the same memory."""
    memory = x.new_empty(max(math.prod(shape) for shape in shapes))
    return [memory[: math.prod(shape)].view(*shape) for shape in shapes]


def _transform(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """B x, six values of six activations; with p^2 = 1/2, q^2 = 2 and (p q)^2 = 1."""
    first, *_, last = out
    for point, square, plus, minus in ((_P, 2.0, out[1], out[2]), (_Q, 0.5, out[3], out[4])):
        torch.sub(x[4], x[2], alpha=square, out=first)
        torch.sub(x[3], x[1], alpha=square, out=last)
        torch.add(first, last, alpha=point, out=plus)
        torch.sub(first, last, alpha=point, out=minus)
    # Here ``first`` is x4 - x2 / 2; the two come to x4 - 5/2 x2 + x0 and x5 - 5/2 x3 + x1.
    first.add_(x[0]).sub_(x[2], alpha=2)
    torch.add(x[5], x[1], out=last).sub_(x[3], alpha=2.5)


def _interpolate(values: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """A values, without the factors 1, p, p^2 and p^3 of its rows; four results of six values,
    which are overwritten.
    """
    at_zero, plus, minus, far_plus, far_minus, at_infinity = values
    torch.add(plus, minus, out=out[0])
    plus.sub_(minus)
    torch.add(far_plus, far_minus, out=minus)
    far_plus.sub_(far_minus)
    # Now the sums of a pair are in out[0] and ``minus``, the differences in the other two.
    torch.add(plus, far_plus, alpha=2, out=out[1])
    torch.add(out[0], minus, alpha=4, out=out[2])
    torch.add(plus, far_plus, alpha=8, out=out[3]).add_(at_infinity)
    out[0].add_(minus).add_(at_zero)


def _weight_matrix() -> Tensor:
    """G, float64 ``(6, 3)``; its last row makes up for the factor p^3 that A is without."""
    points = (0.0, _P, -_P, _Q, -_Q)
    rows = []
    for point in points:
        others = math.prod(point - other for other in points if other != point)
        rows.append([point**power / others for power in range(3)])
    return torch.tensor([*rows, [0, 0, _P**-3]], dtype=torch.float64)
