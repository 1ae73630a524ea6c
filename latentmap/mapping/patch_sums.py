"""PatchSums: the moments of patches and cells, added up image by image, float64.

Patches that stand in one column overlap, so most of their products are the same. With ``u[y, x]``
the ``k`` cells beside each other about column ``x`` of row ``y``, the products of row ``a`` of a
patch with row ``b`` are the sum of ``u[y, x]' u[y + b - a, x]`` over the rows ``a`` to ``a + H`` of
the bordered grid. Sums of the rows that all patches have there are taken once for each ``b - a``,
those of the few others row by row. That is exact, and ``k`` products of ``k C`` variables take the
place of one of ``k^2 C``.

Shapes: ``n`` images of ``H x W`` cells, ``C`` channels of a source cell and ``q`` of a target cell,
patches of ``k x k``; ``f = k C`` variables beside each other, ``p = k f`` of a patch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.cells import bordered, fold
from latentmap.mapping.moments import Moments
from latentmap.mapping.options import MomentPrecision
from latentmap.mapping.patches import Patches

# Numbers of a block of images: some MB, which stay in the last cache.
_NUMBERS = 1 << 19
_NOT_FINITE = "every code must be finite, but some have NaN or infinite values"


class PatchSums:
    """Gathers moments block by block: ``update`` with codes of both spaces, then ``moments``.

    Each cell of an image is a pair; ``n`` of the moments is their number. Sums are taken about the
    means of the first block, channel by channel, as ``MomentSums`` takes them.
    """

    def __init__(self, patches: Patches, *, precision: MomentPrecision = "exact") -> None:
        self.patches = patches
        self.n = 0.0
        self.fast = precision == "fast"
        k, c, q, height = patches.size, patches.channels, patches.q, patches.height
        f = k * c
        self._dtype = torch.float32 if self.fast else torch.float64
        self._shift_x = torch.zeros(c, dtype=self._dtype)
        self._shift_y = torch.zeros(q, dtype=self._dtype)
        self._started = False
        # Of rows so many below each other: first of all rows that patches have in common, then of
        # each other row.
        self._common = [torch.zeros(f, f, dtype=torch.float64) for _ in range(k)]
        self._single = [
            torch.zeros(len(_single_rows(height, k, step)), f, f, dtype=torch.float64)
            for step in range(k)
        ]
        self._sums_x = torch.zeros(height + k - 1, f, dtype=torch.float64)
        self._sums_y = torch.zeros(q, dtype=torch.float64)
        # Of few target variables, the way round that is three times as fast.
        self._yx = torch.zeros(k, q, f, dtype=torch.float64)
        self._yy = torch.zeros(q, q, dtype=torch.float64)

    def update(self, x: Tensor, y: Tensor, weights: Tensor | None = None) -> None:
        """Adds codes ``(n, c h w)`` of both spaces; ``weights`` ``(n,)`` count the images.

        Raises:
            MapError: a number is not finite. Nothing of the block in which that is so was added.
        """
        patches = self.patches
        row = (patches.width + 2 * (patches.size // 2)) * patches.size * patches.channels
        step = max(1, _NUMBERS // (row * patches.height))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            root = None if weights is None else weights[part].to(self._dtype).sqrt()
            self._add(x[part], y[part], root)

    def moments(self) -> Moments:
        """The moments of all cells so far.

        Raises:
            MapError: there were none, or all had weight zero.
        """
        if not self.n > 0:
            raise MapError("moments need at least one pair, but there is none")
        k, c, q, height = (
            self.patches.size,
            self.patches.channels,
            self.patches.q,
            self.patches.height,
        )
        f, p = k * c, self.patches.p
        products = torch.empty(k, f, k, f, dtype=torch.float64)
        for a in range(k):
            for b in range(a, k):
                block = self._between(a, b - a)
                products[a, :, b] = block
                products[b, :, a] = block.T
        total = torch.stack([self._sums_x[a : a + height].sum(0) for a in range(k)])
        # From row, column, channel of a patch to channel, row, column.
        order = torch.arange(p).reshape(k, k, c).permute(2, 0, 1).flatten()
        products = products.reshape(p, p)[order][:, order]
        off_x, off_y = total.flatten()[order] / self.n, self._sums_y / self.n
        yy = self._yy.addr(off_y, off_y, alpha=-self.n)
        return Moments(
            self.n,
            self._shift_x.double().repeat_interleave(k * k) + off_x,
            self._shift_y.double() + off_y,
            products.addr_(off_x, off_x, alpha=-self.n),
            self._yx.transpose(1, 2).reshape(p, q)[order].addr_(off_x, off_y, alpha=-self.n),
            yy.diagonal().clamp(min=0),
            yy,
            fast=self.fast,
        )

    def _between(self, row: int, step: int) -> Tensor:
        """The products ``(f, f)`` of a row of patches with the one that is ``step`` below."""
        height, k = self.patches.height, self.patches.size
        rows = _single_rows(height, k, step)
        mine = [place for place, y in enumerate(rows) if row <= y < row + height]
        return self._common[step] + self._single[step][mine].sum(0)

    def _add(self, x: Tensor, y: Tensor, root: Tensor | None) -> None:
        patches, k = self.patches, self.patches.size
        height, width = patches.height, patches.width
        source = fold(x, patches.source, patches.source_fold).to(self._dtype)
        target = fold(y, patches.target, patches.target_fold).to(self._dtype)
        if not self._started:
            self._shift_x = _finite(source.double().mean((0, 2, 3))).to(self._dtype)
            self._shift_y = _finite(target.double().mean((0, 2, 3))).to(self._dtype)
        source = bordered(source - self._shift_x[:, None, None], k)
        target = target - self._shift_y[:, None, None]
        counts = torch.ones(len(x), dtype=self._dtype)
        if root is not None:
            counts = root
            source, target = (part * root[:, None, None, None] for part in (source, target))
        # Rows first, so that some rows of all images are one matrix.
        beside = torch.empty(height + k - 1, len(x), width, k, patches.channels, dtype=self._dtype)
        for column in range(k):
            beside[:, :, :, column] = source[..., column : column + width].permute(2, 0, 3, 1)
        u = beside.reshape(height + k - 1, len(x) * width, -1)
        v = target.permute(2, 0, 3, 1).reshape(height, len(x) * width, -1)
        each = counts.repeat_interleave(width)
        sums_x, sums_y = _finite((each @ u).double()), _finite((each @ v).double())
        self._started = True
        self.n += float(counts.double().square().sum()) * patches.cells
        self._sums_x += sums_x
        self._sums_y += sums_y.sum(0)
        flat = v.flatten(0, 1)
        for row in range(k):
            _add_product(self._yx[row], flat, u[row : row + height].flatten(0, 1))
        _add_product(self._yy, flat, flat)
        for step in range(k):
            first, last = k - 1 - step, height
            if first < last:
                above, below = u[first:last], u[first + step : last + step]
                _add_product(self._common[step], above.flatten(0, 1), below.flatten(0, 1))
            for place, y_ in enumerate(_single_rows(height, k, step)):
                _add_product(self._single[step][place], u[y_], u[y_ + step])


def _single_rows(height: int, k: int, step: int) -> list[int]:
    """The rows of a bordered grid that some patches have there and others have not, of those with
    one that is ``step`` below.
    """
    first = k - 1 - step
    if first >= height:
        return list(range(height + first))
    return [*range(first), *range(height, height + first)]


def _add_product(into: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds ``left' right`` ``(f, g)`` of rows ``(m, f)`` and ``(m, g)``."""
    if left.dtype == into.dtype:
        into.addmm_(left.T, right)
    else:
        into.add_(left.T @ right)


def _finite(sums: Tensor) -> Tensor:
    """The same, if it is finite.

    Raises:
        MapError: it is not.
    """
    if not bool(torch.isfinite(sums).all()):
        raise MapError(_NOT_FINITE)
    return sums
