"""NormMoments: how the lengths of the codes of several spaces vary together, float64.

With these, moments give the unbiased estimate of HSIC of linear kernels (Song et al. 2012), which
else asks for the inner products of all images with each other: of centred codes with squared
lengths ``a`` and ``b``,

    n (n - 3) HSIC = |X'Y|^2 - (1 + 2 / (n - 2)) a'b + sum(a) sum(b) / ((n - 1) (n - 2))

since the rows of ``X X'`` sum to nothing, and so those without the diagonal to ``-a``.

Shapes: ``k`` rows, ``K`` spaces with ``D`` variables together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.mapping.moments import JointMoments


@dataclass(frozen=True, eq=False)
class NormMoments:
    """What ``n`` images add to ``JointMoments`` of the same images: about their own mean, the
    products ``(K, K)`` of the squared lengths of codes, and of these with the codes ``(K, D)``.
    """

    products: Tensor
    along: Tensor

    @classmethod
    def of(cls, rows: Sequence[Tensor], mean: Tensor) -> NormMoments:
        """Those of the codes ``(k, d)`` of some images about a ``mean`` ``(D,)``."""
        away = torch.cat([part.double() for part in rows], 1) - mean
        parts = away.split([part.shape[1] for part in rows], 1)
        squares = torch.stack([part.square().sum(1) for part in parts], 1)
        return cls(squares.T @ squares, squares.T @ away)

    def add(self, other: NormMoments) -> NormMoments:
        """Those of both sets of images, about one mean."""
        return NormMoments(self.products + other.products, self.along + other.along)

    def about(self, mean: Tensor, moments: JointMoments, sums: Tensor | None = None) -> NormMoments:
        """The same about another ``mean`` ``(D,)``; ``moments`` are those of the same images, and
        ``sums`` ``(D,)`` of their distances from where these are now about: their own mean, where
        it is not said.
        """
        n = moments.n
        now = moments.mean if sums is None else moments.mean - sums / n
        # Of the codes about where they are now, z, to those about the other mean, z - t.
        t = mean - now
        first = torch.zeros_like(t) if sums is None else sums
        second = moments.products + torch.outer(first, first) / n
        spaces = _indicator(moments.dims)
        lengths, tau = spaces @ second.diagonal(), spaces @ t.square()
        # (K, D): space by space, sum_i |z|^2 z, (sum_i z z') t, and t itself.
        turned = second @ (spaces * t).T
        onto = spaces @ (first * t)
        along = (
            self.along
            - torch.outer(lengths, t)
            - 2 * turned.T
            + 2 * torch.outer(onto, t)
            + torch.outer(tau, first)
            - n * torch.outer(tau, t)
        )
        crossed = spaces * t @ turned
        mine = self.along @ (spaces * t).T
        products = (
            self.products
            - 2 * (mine + mine.T)
            + torch.outer(tau, lengths)
            + torch.outer(lengths, tau)
            + 4 * crossed
            - 2 * (torch.outer(tau, onto) + torch.outer(onto, tau))
            + n * torch.outer(tau, tau)
        )
        return NormMoments(products, along)

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of them, by name."""
        return {"norm_products": self.products, "norm_along": self.along}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> NormMoments:
        """Those that ``tensors`` gave.

        Raises:
            KeyError: one is missing.
        """
        return cls(tensors["norm_products"], tensors["norm_along"])


def merge_norms(
    parts: Sequence[tuple[JointMoments, NormMoments]],
) -> tuple[JointMoments, NormMoments]:
    """The moments of several sets of images together."""
    moments, norms = parts[0]
    for other, more in parts[1:]:
        merged = moments.merge(other)
        norms = norms.about(merged.mean, moments).add(more.about(merged.mean, other))
        moments = merged
    return moments, norms


def linear_hsic(moments: JointMoments, norms: NormMoments) -> Tensor:
    """The unbiased estimates of HSIC of all spaces with each other, ``(K, K)``, linear kernels; NaN
    of fewer than four images.
    """
    n = moments.n
    if n < 4:
        return torch.full_like(norms.products, math.nan)
    spaces = _indicator(moments.dims)
    squares = spaces @ moments.products.square() @ spaces.T
    lengths = spaces @ moments.products.diagonal()
    found: Tensor = (
        squares
        - (1 + 2 / (n - 2)) * norms.products
        + torch.outer(lengths, lengths) / ((n - 1) * (n - 2))
    ) / (n * (n - 3))
    return found


def linear_cka(moments: JointMoments, norms: NormMoments) -> Tensor:
    """Linear CKA of all spaces with each other ``(K, K)``, debiased, as ``INDEXES`` has it; NaN
    where a space does not vary.
    """
    found = linear_hsic(moments, norms)
    own = found.diagonal().clamp(min=0).sqrt()
    scale = torch.outer(own, own)
    bounded: Tensor = torch.where(scale > 0, found / scale, torch.nan).clamp(-1, 1)
    return bounded


def _indicator(dims: Sequence[int]) -> Tensor:
    """Which variables ``(D,)`` are of which space, ``(K, D)``."""
    rows = [torch.ones(1, dim, dtype=torch.float64) for dim in dims]
    found: Tensor = torch.block_diag(*rows)  # type: ignore[no-untyped-call, unused-ignore]
    return found
