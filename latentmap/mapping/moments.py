"""Moments: everything that a linear map needs to know about its pairs.

Shapes: ``p`` source variables, ``q`` target variables; ``K`` spaces with ``D`` variables together.
All numbers are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.rounding import rounding_of

# Beyond this ratio of singular values float32 products are wrong in digits that a map needs.
_FAST_CONDITION = 1e3


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues ``(r,)`` of centred products, largest first, and their directions ``(p, r)``."""

    values: Tensor
    directions: Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of ``n`` pairs, float64.

    ``n`` is the sum of the pairs' weights, which are 1 unless others were given. ``mean_x``
    ``(p,)``, ``mean_y`` ``(q,)``, and the centred products ``xx = Xc'Xc`` ``(p, p)``, ``xy =
    Xc'Yc`` ``(p, q)`` and ``yy = Yc'Yc`` ``(q, q)``; ``squares_y`` ``(q,)`` is the diagonal of
    ``yy``, and all that is known of it where ``yy`` is None. Where ``sampled``, ``yy`` is exact but
    for how the residuals of least squares correlate, which a sample of the pairs says; see
    ``sampled_products``.

    ``centred`` is False for products about zero, whose maps have no intercept; the means are zero
    then. ``fast`` marks float32 products.
    """

    n: float
    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    xy: Tensor
    squares_y: Tensor
    yy: Tensor | None
    centred: bool = True
    fast: bool = False
    sampled: bool = False

    def __repr__(self) -> str:
        return f"<Moments of {self.n:g} pairs, {self.p} to {self.q} variables>"

    @property
    def p(self) -> int:
        return len(self.mean_x)

    @property
    def q(self) -> int:
        return len(self.mean_y)

    @property
    def products_y(self) -> Tensor:
        """``yy``, where it is known for all pairs.

        Raises:
            MapError: only its diagonal was gathered.
        """
        if self.yy is None or self.sampled:
            raise MapError(
                "this needs the products of all target variables, but only their squares were "
                'gathered: gather moments with targets="products"'
            )
        return self.yy

    @property
    def judged_products_y(self) -> Tensor:
        """``yy``, from all pairs or with a sample's correlations: enough to judge a map by.

        Raises:
            MapError: only its diagonal was gathered.
        """
        return self.products_y if self.yy is None or not self.sampled else self.yy

    @cached_property
    def source_spectrum(self) -> Spectrum:
        """The directions in which the source codes vary; see ``spectrum_of``."""
        return spectrum_of(self.xx, self.n, self.mean_x, fast=self.fast)

    @cached_property
    def target_spectrum(self) -> Spectrum:
        """The directions in which the target codes vary; see ``spectrum_of``."""
        return spectrum_of(self.products_y, self.n, self.mean_y, fast=self.fast)

    @cached_property
    def crossed(self) -> Tensor:
        """``xy`` along the directions of the source and of the target, ``(r, s)``."""
        along = self.source_spectrum.directions.T @ self.xy
        return along @ self.target_spectrum.directions

    def inner(self, weight: Tensor) -> Tensor:
        """The products ``W'GW`` ``(k, k)`` of what a weight ``(p, k)`` makes of source codes."""
        return weight.T @ (self.xx @ weight)

    def spread(self, weight: Tensor) -> Tensor:
        """The products ``G W`` ``(p, k)`` of the source codes with what a weight makes of them."""
        return self.xx @ weight

    def spread_y(self, weight: Tensor) -> Tensor:
        """The same of the target codes, of a weight ``(q, k)``.

        Raises:
            MapError: only the squares of the target were gathered.
        """
        return self.products_y @ weight

    def between(self, left: Tensor, right: Tensor) -> Tensor:
        """The products ``(k, l)`` of what weights ``(p, k)`` and ``(q, l)`` make of the codes."""
        return left.T @ self.xy @ right

    @property
    def shared_directions(self) -> tuple[Tensor, Tensor]:
        """The orthonormal directions ``(p, r)`` and ``(q, r)`` in which the codes vary together,
        the singular vectors of ``xy``.
        """
        u, _, vt = torch.linalg.svd(self.xy, full_matrices=False)
        return u, vt.T

    @property
    def squares_x(self) -> Tensor:
        """The diagonal ``(p,)`` of ``xx``."""
        return self.xx.diagonal()

    def take_source(self, index: Tensor, unit: Tensor) -> Moments:
        """The moments of some source variables ``(k,)``, in units ``(k,)`` of their own."""
        return replace(
            self,
            mean_x=self.mean_x[index] / unit,
            xx=self.xx[index][:, index] / torch.outer(unit, unit),
            xy=self.xy[index] / unit[:, None],
        )

    def dense(self) -> Moments:
        """The same with all products as they are."""
        return self

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of pairs together (Chan, Golub, LeVeque 1983).

        Raises:
            MapError: they are of other spaces, or one is about zero and the other is not.
        """
        if (self.p, self.q, self.centred) != (other.p, other.q, other.centred):
            raise MapError(
                f"moments can be merged with moments of ({self.p}, {self.q}) variables, "
                f"{_about(self)}, not of ({other.p}, {other.q}), {_about(other)}"
            )
        n = self.n + other.n
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        factor = self.n * other.n / n
        yy = None
        if self.yy is not None and other.yy is not None:
            yy = self.yy + other.yy + factor * torch.outer(dy, dy)
        return Moments(
            n,
            self.mean_x + dx * (other.n / n),
            self.mean_y + dy * (other.n / n),
            self.xx + other.xx + factor * torch.outer(dx, dx),
            self.xy + other.xy + factor * torch.outer(dx, dy),
            self.squares_y + other.squares_y + factor * dy.square(),
            yy,
            self.centred,
            self.fast or other.fast,
            self.sampled or other.sampled,
        )

    def about_zero(self) -> Moments:
        """The moments about zero instead of the means: every solver's map then has no intercept."""
        return replace(
            self,
            mean_x=torch.zeros_like(self.mean_x),
            mean_y=torch.zeros_like(self.mean_y),
            xx=self.xx + self.n * torch.outer(self.mean_x, self.mean_x),
            xy=self.xy + self.n * torch.outer(self.mean_x, self.mean_y),
            squares_y=self.squares_y + self.n * self.mean_y.square(),
            yy=None
            if self.yy is None
            else self.yy + self.n * torch.outer(self.mean_y, self.mean_y),
            centred=False,
        )

    def transform(self, a: Tensor, b: Tensor) -> Moments:
        """The moments of the codes ``x a`` and ``y b``; ``a`` has ``p`` rows and ``b`` has ``q``.

        Raises:
            MapError: only the squares of the target variables were gathered.
        """
        yy = b.T @ self.products_y @ b
        return replace(
            self,
            mean_x=self.mean_x @ a,
            mean_y=self.mean_y @ b,
            xx=a.T @ self.xx @ a,
            xy=a.T @ self.xy @ b,
            squares_y=yy.diagonal(),
            yy=yy,
        )

    def squared_error(self, weight: Tensor, bias: Tensor) -> Tensor:
        """``sum_i |y_i - x_i W - b|^2`` for every target variable, ``(q,)``, without the rows."""
        missed = self.mean_y - self.mean_x @ weight - bias
        spread = (
            self.squares_y - 2 * (weight * self.xy).sum(0) + (weight * (self.xx @ weight)).sum(0)
        )
        # What is left of an exact map is rounding, which may fall below zero.
        return spread.clamp(min=0) + self.n * missed.square()

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of them, by name; ``from_tensors`` takes it back."""
        state = torch.tensor([self.n, self.centred, self.fast], dtype=torch.float64)
        names = ("mean_x", "mean_y", "xx", "xy", "squares_y")
        parts = {name: getattr(self, name) for name in names}
        if self.yy is not None:
            # Under a name of its own, so that no earlier version takes it for that of all pairs.
            parts["sampled_yy" if self.sampled else "yy"] = self.yy
        return {"state": state, **parts}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Moments:
        """The moments that ``tensors`` gave.

        Raises:
            KeyError: one is missing.
        """
        n, centred, fast = tensors["state"].tolist()
        if "root_x" in tensors:
            from latentmap.mapping.thin_moments import ThinMoments

            parts = [tensors[name] for name in ("mean_x", "mean_y", "root_x", "root_y")]
            return ThinMoments(n, *parts, centred=bool(centred))
        names = ("mean_x", "mean_y", "xx", "xy", "squares_y")
        known = {name: tensors[name] for name in names}
        yy, sampled = tensors.get("yy"), False
        if yy is None and "sampled_yy" in tensors:
            yy, sampled = tensors["sampled_yy"], True
        return cls(n=n, **known, yy=yy, centred=bool(centred), fast=bool(fast), sampled=sampled)


@dataclass(frozen=True, eq=False)
class JointMoments:
    """Sufficient statistics of ``n`` images in ``K`` spaces of ``dims`` variables.

    ``mean`` ``(D,)``, the centred ``products`` ``(D, D)`` of all variables with each other, one
    space after the other. Only the first rows of ``products`` are there when the target's products
    were not gathered; ``squares`` ``(D,)`` are there for all.
    """

    n: float
    dims: tuple[int, ...]
    mean: Tensor
    products: Tensor
    squares: Tensor
    fast: bool = False

    def between(self, source: int, target: int) -> Moments:
        """The moments of the pairs of two of the spaces, by their numbers."""
        x, y = (self._columns(number) for number in (source, target))
        known = self.products.shape[0]
        yy = self.products[y, y].clone() if y.stop <= known else None
        return Moments(
            self.n,
            self.mean[x].clone(),
            self.mean[y].clone(),
            self.products[x, x].clone(),
            self.products[x, y].clone(),
            self.squares[y].clone(),
            yy,
            fast=self.fast,
        )

    def merge(self, other: JointMoments) -> JointMoments:
        """The moments of both sets of images together, as ``Moments.merge`` has them.

        Raises:
            MapError: they are of other spaces.
        """
        if self.dims != other.dims or self.products.shape != other.products.shape:
            raise MapError(
                f"moments can be merged with moments of spaces of {self.dims} variables, not of "
                f"{other.dims}"
            )
        n, away = self.n + other.n, other.mean - self.mean
        factor, known = self.n * other.n / n, len(self.products)
        return JointMoments(
            n,
            self.dims,
            self.mean + away * (other.n / n),
            self.products + other.products + factor * torch.outer(away[:known], away),
            self.squares + other.squares + factor * away.square(),
            self.fast or other.fast,
        )

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of them, by name; ``from_tensors`` takes it back."""
        state = torch.tensor([self.n, self.fast], dtype=torch.float64)
        dims = torch.tensor(self.dims, dtype=torch.int64)
        parts = {name: getattr(self, name) for name in ("mean", "products", "squares")}
        return {"state": state, "dims": dims, **parts}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> JointMoments:
        """The moments that ``tensors`` gave.

        Raises:
            KeyError: one is missing.
        """
        n, fast = tensors["state"].tolist()
        parts = {name: tensors[name] for name in ("mean", "products", "squares")}
        return cls(n=n, dims=tuple(tensors["dims"].tolist()), **parts, fast=bool(fast))

    def _columns(self, number: int) -> slice:
        start = sum(self.dims[:number])
        return slice(start, start + self.dims[number])


def merge_all(parts: Sequence[Moments]) -> Moments:
    """The moments of several sets of pairs together."""
    return reduce(lambda one, other: one.merge(other), parts)


def spectrum_of(products: Tensor, n: float, mean: Tensor, *, fast: bool = False) -> Spectrum:
    """The directions in which codes vary, without those that hold only rounding noise.

    What is noise is judged between variables in units of their own spread, so that the unit of a
    variable decides nothing: a variable that varies by less than its rounding (``rounding_of``) is
    left out, and so is a direction, of eigenvalue at most the rounding along it or ``p eps64``
    times the largest. A collapsed variable is left out at any ``n`` and never blows a map up; one
    that is small, but varies, stays. The eigenvalues are squared singular values of the scaled
    factor, which keep the digits of small ones (Demmel and Veselic 1992).

    Raises:
        MapError: the products are ``fast`` and codes vary a thousand times less in some direction
            than in another: what float32 says of that direction is noise. Or they have no
            eigenvalues, as those in a file of a stranger may.
    """
    if fast:
        _require_safe(products, rounding_of(products.diagonal(), n, mean))
    squares = products.diagonal()
    rounding = rounding_of(squares, n, mean)
    live = (squares > rounding).nonzero()[:, 0]
    unit = squares[live].sqrt()
    try:
        values, axes = torch.linalg.eigh(products[live][:, live] / torch.outer(unit, unit))
    except RuntimeError:  # torch.linalg.LinAlgError, which its types do not know.
        raise MapError("the moments are not those of any codes: fit the map again") from None
    floor = axes.square().T @ (rounding[live] / squares[live])
    if len(values):
        floor = floor.clamp(min=float(values[-1]) * len(values) * torch.finfo(values.dtype).eps)
    kept = values > floor
    factor = (axes[:, kept] * values[kept].sqrt()).T * unit
    _, roots, turned = torch.linalg.svd(factor, full_matrices=False)
    directions = products.new_zeros(len(products), len(roots))
    directions[live] = turned.T
    return Spectrum(roots.square(), directions)


def _require_safe(products: Tensor, rounding: Tensor) -> None:
    """Refuses float32 ``products`` (p, p) of which a map would suffer."""
    sizes = torch.linalg.eigvalsh(products).abs()  # Noise may have made a small one negative.
    least = sizes.max() * len(sizes) * torch.finfo(sizes.dtype).eps
    sizes = sizes[sizes > torch.maximum(least, rounding.max())]
    condition = float((sizes.max() / sizes.min()).sqrt()) if len(sizes) else 1.0
    if condition > _FAST_CONDITION:
        raise MapError(
            f"float32 products are unsafe for these codes (condition number {condition:.3g}, more "
            f'than {_FAST_CONDITION:g}): gather moments with precision="exact"'
        )


def _about(moments: Moments) -> str:
    return "about their means" if moments.centred else "about zero"
