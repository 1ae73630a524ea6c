"""Moments of fewer pairs than variables: kept as roots, which are no larger than the codes.

With ``F'F = Xc'Xc``, ``F'T = Xc'Yc`` and ``T'T = Yc'Yc`` all that moments say is had from the roots
``F`` ``(k, p)`` and ``T`` ``(k, q)``, at first the centred codes themselves. Products of 4,096
variables are 134 MB, and their eigenvalues take most of a minute; those of 200 pairs of them take
some milliseconds.

Shapes: ``p`` source variables, ``q`` target variables, ``k`` rows, ``r`` directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentmap.mapping.moments import Moments, Spectrum, spectrum_of
from latentmap.mapping.rounding import rounding_of


class ThinMoments(Moments):
    """The moments of ``n`` pairs by the roots of their products, float64; see ``Moments``.

    All that ``Moments`` have is here; ``xx``, ``xy`` and ``yy`` are computed when they are asked
    for.
    """

    root_x: Tensor
    root_y: Tensor

    def __init__(
        self,
        n: float,
        mean_x: Tensor,
        mean_y: Tensor,
        root_x: Tensor,
        root_y: Tensor,
        *,
        centred: bool = True,
    ) -> None:
        parts = {
            "n": n,
            "mean_x": mean_x,
            "mean_y": mean_y,
            "root_x": root_x,
            "root_y": root_y,
            "centred": centred,
            "fast": False,
            "sampled": False,
        }
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    @classmethod
    def of_rows(cls, x: Tensor, y: Tensor, weights: Tensor | None = None) -> ThinMoments:
        """Those of pairs ``(k, p)`` and ``(k, q)`` that count by ``weights`` ``(k,)``, by default
        1.
        """
        weight = torch.ones(len(x)).to(x) if weights is None else weights.to(x)
        n = float(weight.sum())
        mean_x, mean_y = weight @ x / n, weight @ y / n
        root = weight.sqrt()[:, None]
        return cls(n, mean_x, mean_y, root * (x - mean_x), root * (y - mean_y))

    @cached_property
    def xx(self) -> Tensor:
        return self.root_x.T @ self.root_x

    @cached_property
    def xy(self) -> Tensor:
        return self.root_x.T @ self.root_y

    @cached_property
    def yy(self) -> Tensor:
        return self.root_y.T @ self.root_y

    @cached_property
    def squares_x(self) -> Tensor:
        return self.root_x.square().sum(0)

    @cached_property
    def squares_y(self) -> Tensor:
        return self.root_y.square().sum(0)

    @cached_property
    def source_spectrum(self) -> Spectrum:
        if len(self.root_x) >= self.p:
            return spectrum_of(self.xx, self.n, self.mean_x)
        return _spectrum_of_root(self.root_x, self.n, self.mean_x)

    @cached_property
    def target_spectrum(self) -> Spectrum:
        if len(self.root_y) >= self.q:
            return spectrum_of(self.yy, self.n, self.mean_y)
        return _spectrum_of_root(self.root_y, self.n, self.mean_y)

    def inner(self, weight: Tensor) -> Tensor:
        mapped = self.root_x @ weight
        return mapped.T @ mapped

    def spread(self, weight: Tensor) -> Tensor:
        return self.root_x.T @ (self.root_x @ weight)

    def spread_y(self, weight: Tensor) -> Tensor:
        return self.root_y.T @ (self.root_y @ weight)

    def between(self, left: Tensor, right: Tensor) -> Tensor:
        return (self.root_x @ left).T @ (self.root_y @ right)

    @property
    def shared_directions(self) -> tuple[Tensor, Tensor]:
        # X'Y = Qx (Rx Ry') Qy', whose core has as many rows as there are pairs.
        x, left = torch.linalg.qr(self.root_x.T)
        y, right = torch.linalg.qr(self.root_y.T)
        u, _, vt = torch.linalg.svd(left @ right.T, full_matrices=False)
        return x @ u, y @ vt.T

    def merge(self, other: Moments) -> Moments:
        alike = (self.p, self.q, self.centred) == (other.p, other.q, other.centred)
        if not (alike and isinstance(other, ThinMoments)):
            return super().merge(other)
        n = self.n + other.n
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        between = (self.n * other.n / n) ** 0.5
        merged = ThinMoments(
            n,
            self.mean_x + dx * (other.n / n),
            self.mean_y + dy * (other.n / n),
            torch.cat([self.root_x, other.root_x, between * dx[None]]),
            torch.cat([self.root_y, other.root_y, between * dy[None]]),
            centred=self.centred,
        )
        return merged if len(merged.root_x) < max(self.p, self.q) else merged.dense()

    def about_zero(self) -> ThinMoments:
        root = self.n**0.5
        return ThinMoments(
            self.n,
            torch.zeros_like(self.mean_x),
            torch.zeros_like(self.mean_y),
            torch.cat([self.root_x, root * self.mean_x[None]]),
            torch.cat([self.root_y, root * self.mean_y[None]]),
            centred=False,
        )

    def transform(self, a: Tensor, b: Tensor) -> ThinMoments:
        return ThinMoments(
            self.n,
            self.mean_x @ a,
            self.mean_y @ b,
            self.root_x @ a,
            self.root_y @ b,
            centred=self.centred,
        )

    def take_source(self, index: Tensor, unit: Tensor) -> ThinMoments:
        return ThinMoments(
            self.n,
            self.mean_x[index] / unit,
            self.mean_y,
            self.root_x[:, index] / unit,
            self.root_y,
            centred=self.centred,
        )

    def squared_error(self, weight: Tensor, bias: Tensor) -> Tensor:
        missed = self.mean_y - self.mean_x @ weight - bias
        left = (self.root_y - self.root_x @ weight).square().sum(0)
        return left + self.n * missed.square()

    def dense(self) -> Moments:
        return Moments(
            self.n,
            self.mean_x,
            self.mean_y,
            self.xx,
            self.xy,
            self.squares_y,
            self.yy,
            centred=self.centred,
        )

    def tensors(self) -> dict[str, Tensor]:
        # Turned, so that a file holds directions and not the codes of single images.
        _, turned = torch.linalg.eigh(self.root_x @ self.root_x.T)
        state = torch.tensor([self.n, self.centred, self.fast], dtype=torch.float64)
        roots: dict[str, Any] = {
            "root_x": turned.T @ self.root_x,
            "root_y": turned.T @ self.root_y,
        }
        return {"state": state, "mean_x": self.mean_x, "mean_y": self.mean_y, **roots}


def _spectrum_of_root(root: Tensor, n: float, mean: Tensor) -> Spectrum:
    """``spectrum_of`` the products ``F'F`` of a root ``F`` ``(k, p)``, from ``F F'``.

    It judges by the same rules what is rounding: eigenvalues of the scaled products are those of
    the scaled ``F F'``, and the rounding along a direction ``v = F'u / s`` is a sum over its
    entries.
    """
    squares = root.square().sum(0)
    rounding = rounding_of(squares, n, mean)
    live = (squares > rounding).nonzero()[:, 0]
    unit = squares[live].sqrt()
    scaled = root[:, live] / unit
    values, rows = torch.linalg.eigh(scaled @ scaled.T)
    rotated = rows.T @ scaled
    floor = (rotated.square() @ (rounding[live] / squares[live])) / values.clamp(min=1e-300)
    floor = floor.clamp(min=float(values[-1]) * len(live) * torch.finfo(values.dtype).eps)
    kept = values > floor
    # The factor is F along the rows that are kept; its QR first, since it is wide.
    basis, triangle = torch.linalg.qr((rotated[kept] * unit).T)
    _, roots, turned = torch.linalg.svd(triangle.T, full_matrices=False)
    directions = root.new_zeros(root.shape[1], len(roots))
    directions[live] = basis @ turned.T
    return Spectrum(roots.square(), directions)


@dataclass(frozen=True, eq=False)
class ThinJointMoments:
    """The moments of ``n`` images in several spaces by the roots of their products, see
    ``JointMoments``: codes about their mean, float64 ``(n, d)`` of each space.
    """

    n: float
    means: tuple[Tensor, ...]
    roots: tuple[Tensor, ...]

    @classmethod
    def of(cls, spaces: Sequence[Tensor]) -> ThinJointMoments:
        """Those of codes ``(n, d)`` of the same images, row by row."""
        rows = [codes.double() for codes in spaces]
        means = tuple(part.mean(0) for part in rows)
        roots = tuple(part - mean for part, mean in zip(rows, means, strict=True))
        return cls(float(len(rows[0])), means, roots)

    def between(self, source: int, target: int) -> Moments:
        """The moments of the pairs of two of the spaces, by their numbers."""
        parts = (self.means, self.roots)
        (mean_x, root_x), (mean_y, root_y) = ([p[i] for p in parts] for i in (source, target))
        return ThinMoments(self.n, mean_x, mean_y, root_x, root_y)
