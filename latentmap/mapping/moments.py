"""Moments: everything that a linear map needs to know about its pairs, from one pass over them.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``k`` pairs in a block. Sums
are float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch

from latentmap.errors import MapError
from latentmap.pairs import Pairs
from latentmap.progress import Progress

BLOCK = (
    8192  # Rows at a time: large enough for the matrix products, a few MB at any number of pairs.
)


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of ``n`` pairs, float64.

    ``mean_x`` ``(p,)``, ``mean_y`` ``(q,)``, and the centred products ``xx = Xc'Xc`` ``(p, p)``,
    ``xy = Xc'Yc`` ``(p, q)`` and ``yy = Yc'Yc`` ``(q, q)``.
    """

    n: int
    mean_x: torch.Tensor
    mean_y: torch.Tensor
    xx: torch.Tensor
    xy: torch.Tensor
    yy: torch.Tensor

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of pairs together (Chan, Golub, LeVeque 1983)."""
        n = self.n + other.n
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        factor = self.n * other.n / n
        return Moments(
            n,
            self.mean_x + dx * (other.n / n),
            self.mean_y + dy * (other.n / n),
            self.xx + other.xx + factor * torch.outer(dx, dx),
            self.xy + other.xy + factor * torch.outer(dx, dy),
            self.yy + other.yy + factor * torch.outer(dy, dy),
        )


class MomentSums:
    """Gathers moments block by block: ``update`` with pairs of codes, then ``moments``.

    The sums are taken about the mean of the first block, so that a mean far from zero costs no
    digits.
    """

    def __init__(self, p: int, q: int, *, device: torch.device | str = "cpu") -> None:
        self.n = 0
        self._p, self._q = p, q
        zeros = partial(torch.zeros, dtype=torch.float64, device=device)
        # Source and target stand side by side, so that X'X and X'Y are one product.
        self._shift = zeros(p + q)
        self._sum = zeros(p + q)
        self._cross = zeros(p, p + q)
        self._yy = zeros(q, q)
        self._buffer = zeros(0, p + q)

    def update(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Adds ``k`` pairs: ``x`` ``(k, p)``, ``y`` ``(k, q)``.

        Raises:
            MapError: the shapes do not fit, or a code is not finite; nothing was added then.
        """
        k, p = len(x), self._p
        if x.shape != (k, p) or y.shape != (k, self._q):
            raise MapError(
                f"a block of pairs must have shapes (k, {p}) and (k, {self._q}), not "
                f"{tuple(x.shape)} and {tuple(y.shape)}"
            )
        if not k:
            return
        if k > len(self._buffer):
            self._buffer = self._buffer.new_empty(k, p + self._q)
        z = self._buffer[:k]
        # Copy, then subtract in float64: subtracting float32 codes would round them (measured:
        # 1.6e-7).
        z[:, :p].copy_(x)
        z[:, p:].copy_(y)
        shift = self._shift if self.n else z.mean(0)
        z.sub_(shift)
        total = z.sum(0)
        # A sum shows any NaN or infinite value at the price of one row.
        if not torch.isfinite(total).all():
            raise MapError("every code must be finite, but some have NaN or infinite values")
        self._shift = shift
        self._sum.add_(total)
        self._cross.addmm_(z[:, :p].T, z)
        self._yy.addmm_(z[:, p:].T, z[:, p:])
        self.n += k

    def moments(self) -> Moments:
        """The moments of all pairs so far.

        Raises:
            MapError: there were no pairs.
        """
        if not self.n:
            raise MapError("moments need at least one pair, but there is none")
        p = self._p
        offset = self._sum / self.n
        mean = self._shift + offset
        cross = torch.addr(self._cross, offset[:p], offset, alpha=-self.n)
        yy = torch.addr(self._yy, offset[p:], offset[p:], alpha=-self.n)
        return Moments(
            self.n,
            mean[:p].clone(),
            mean[p:].clone(),
            cross[:, :p].clone(),
            cross[:, p:].clone(),
            yy,
        )


def moments_of_blocks(blocks: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Moments:
    """The moments of all pairs in some blocks ``(x, y)``.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> moments_of_blocks([(x, 3 * x)]).xy
        tensor([[6.]], dtype=torch.float64)
    """
    sums: MomentSums | None = None
    for x, y in blocks:
        sums = sums or MomentSums(x.shape[1], y.shape[1], device=x.device)
        sums.update(x, y)
    if sums is None:
        raise MapError("moments need at least one pair, but there is none")
    return sums.moments()


def moments_of_pairs(pairs: Pairs, *, progress: Progress | None = None) -> Moments:
    """The moments of pairs in one pass.

    The rows are read in blocks, so memory does not grow with their number.

    Raises:
        MapError: there is no pair, or a code is not finite: its image is named.
    """
    sums = MomentSums(pairs.source.space.dim, pairs.target.space.dim)
    for x, y in pairs.blocks(BLOCK):
        try:
            sums.update(x, y)
        except MapError as error:
            raise MapError(_not_finite(pairs, sums.n, x, y)) from error
        if progress:
            progress(sums.n, len(pairs))
    return sums.moments()


def _not_finite(pairs: Pairs, start: int, x: torch.Tensor, y: torch.Tensor) -> str:
    bad_x, bad_y = (~torch.isfinite(codes).all(1) for codes in (x, y))
    row = int((bad_x | bad_y).nonzero()[0])
    space = pairs.source.space if bad_x[row] else pairs.target.space
    return (
        f"every code must be finite, but the code of {pairs.ids[start + row]} in {space} has NaN "
        "or infinite values: "
        "encode that image again, or leave it out"
    )
