"""Typicality: how far codes are from those that a map was fitted on, in the source space.

A linear map says something of codes like those of its fit; of others its word is an extrapolation.
The distance is Mahalanobis', in units of how the fitted codes vary, and beside it stands the share
of the fitted codes that are nearer.

Shapes: ``n`` fitted codes of ``p`` source variables, which vary along ``r`` directions; ``m`` codes
that are judged. All sums are float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from latentmap.arrays import Numbers, as_tensor
from latentmap.codes import Codes
from latentmap.errors import MapError
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.moments import Moments
from latentmap.mapping.rounding import rounding_of

# The share of codes of the kind of the fit that the ellipsoid holds.
INSIDE = 0.99
# Fitted codes whose distances stand for all: the share beyond a limit is known to 0.2 % then.
JUDGED = 4096
_ROWS = 8192
_TINY = 1e-12
# What a variable has of its own, over its standard deviation, for a Cholesky factor to tell it.
_SAFE = 1e-3

Rule = Literal["fitted codes", "normal law"]


@dataclass(frozen=True, eq=False)
class Typicality:
    """How far each of ``m`` codes is from those that a map was fitted on.

    ``distances`` ``(m,)`` are Mahalanobis distances from the mean of the fitted codes, ``nearer``
    ``(m,)`` the share of the fitted codes that are nearer, in [0, 1]. ``limit`` is the distance
    within which 99 % of codes of the kind of the fitted ones are; NaN where these are too few to
    say. ``rule`` says what both come from; of fewer than 99 fitted codes the limit is that of the
    normal law all the same. ``off`` ``(m,)`` is the share of the squared distance
    from the mean along directions in which no fitted code varies: it counts for nothing.
    """

    distances: np.ndarray
    nearer: np.ndarray
    off: np.ndarray
    limit: float
    rule: Rule

    def __repr__(self) -> str:
        return f"<Typicality of {len(self.distances)} codes, limit {self.limit:.4g}>"

    @property
    def outside(self) -> np.ndarray:
        """Which codes are beyond the limit, ``(m,)`` of 0 and 1, float64; NaN without a limit."""
        beyond = (self.distances > self.limit).astype(np.float64)
        return beyond if np.isfinite(self.limit) else np.full_like(beyond, np.nan)


@dataclass(frozen=True, eq=False)
class _Ellipsoid:
    """The fitted codes as an ellipsoid: ``x'(S + ridge I)^-1 x``, ``x`` from their ``mean``
    ``(p,)``, of their centred products ``S``, of rank ``r``.

    It is ``|x'root|^2``, with a ``root`` ``(p, r)``, and beyond the orthonormal directions ``span``
    ``(p, r)`` of ``S``, None where these are all, ``|x|^2 / ridge``.

    Of two or fewer codes a direction the directions of least variance are hardly known, and codes
    of the same kind have parts along none of them: the mean variance of the variables is added to
    every direction then. Of more codes nothing is added, so that no unit decides anything, and what
    lies along no direction is left out.
    """

    n: float
    mean: Tensor
    root: Tensor
    span: Tensor | None
    ridge: float

    @classmethod
    def of(cls, moments: Moments) -> _Ellipsoid:
        n, mean, p = moments.n, moments.mean_x, moments.p
        ridge = float(moments.squares_x.sum()) / p
        root = None if n <= p or moments.fast else _root_of(moments.xx, n, mean)
        if root is not None and n > 2 * p:
            return cls(n, mean, root, None, 0.0)
        if root is not None:
            products = moments.xx + ridge * torch.eye(p, dtype=mean.dtype)
            return cls(n, mean, _inverse_root(torch.linalg.cholesky(products)), None, ridge)
        spectrum = moments.source_spectrum
        if not len(spectrum.values):
            raise MapError(
                "how far codes are from those of the fit needs fitted codes that vary, and these "
                "are all the same: fit the map on other images"
            )
        added = ridge if n <= 2 * len(spectrum.values) else 0.0
        root = spectrum.directions / (spectrum.values + added).sqrt()
        return cls(n, mean, root, spectrum.directions, added)

    @property
    def rank(self) -> int:
        return self.root.shape[1]

    def quadratic(self, blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """``x'(S + ridge I)^-1 x`` of codes in blocks ``(_, p)``, and what of each is off."""
        forms, off = [], []
        for block in blocks:
            away = block.double().cpu() - self.mean
            form, length = (away @ self.root).square().sum(1), away.square().sum(1)
            left = torch.zeros_like(length)
            if self.span is not None:
                left = (length - (away @ self.span).square().sum(1)).clamp(min=0)
            if self.ridge:
                form, left = form + left / self.ridge, torch.zeros_like(left)
            forms.append(form)
            off.append(left / length.clamp(min=torch.finfo(length.dtype).tiny))
        return torch.cat(forms), torch.cat(off)

    def distances(self, forms: Tensor) -> Tensor:
        """The distances of codes that were not fitted on."""
        return ((self.n - 1) * forms).sqrt()

    def left_out(self, forms: Tensor) -> Tensor:
        """The distances of fitted codes, each from all others: ``x'(S + ridge I)^-1 x`` without the
        own part in mean and ``S``, by Sherman and Morrison.
        """
        share = self.n / (self.n - 1)
        without = share**2 * forms / (1 - share * forms).clamp(min=_TINY)
        return ((self.n - 2) * without).sqrt()

    def normal_share(self, distances: Tensor) -> np.ndarray:
        """The share of normal codes that are nearer: Hotelling's T^2 of a new code."""
        from scipy.special import fdtr

        found: np.ndarray = fdtr(*self._degrees, (distances.square() / self._scale).numpy())
        return found

    def normal_limit(self) -> float:
        """The distance within which 99 % of normal codes are."""
        from scipy.special import fdtri

        return float((self._scale * fdtri(*self._degrees, INSIDE)) ** 0.5)

    @property
    def _degrees(self) -> tuple[int, float]:
        return self.rank, self.n - self.rank

    @property
    def _scale(self) -> float:
        # Of a squared distance over an F variable with these degrees of freedom (Hotelling 1931).
        r, left = self._degrees
        return (self.n + 1) / self.n * r * (self.n - 1) / left


def typicality(linear_map: LinearMap, codes: Codes | Numbers) -> Typicality:
    """How far source codes ``(m, p)`` are from those that a map was fitted on.

    ``d^2 = (x - mean)' C^-1 (x - mean)`` with mean and covariance ``C`` of the fitted codes
    (Mahalanobis 1936), along the directions in which these vary. Of no more than two pairs a
    direction the mean variance of the variables is added to ``C``. The share of fitted codes that
    are nearer, and the limit, come from the distances of up to 4,096 fitted codes, each from all
    others, which the map keeps: whatever their law, a new code of their kind is beyond the limit
    once in a hundred times. A map without these, or of fewer than 99 pairs for the limit, goes by
    the law of normal codes, Hotelling's T^2. Codes are read once, in blocks.

    Example:
        >>> from latentmap.codes import Space, pair
        >>> from latentmap.mapping import fit
        >>> x = torch.randn(500, 2, generator=torch.manual_seed(0))
        >>> ids = [str(i) for i in range(500)]
        >>> a = Codes.from_array(ids, x, space=Space("z", 2, "a", "aa"))
        >>> b = Codes.from_array(ids, x.flip(1), space=Space("z", 2, "b", "bb"))
        >>> typicality(fit(pair(a, b)), torch.tensor([[0.0, 0.0], [9.0, 9.0]])).outside
        array([0., 1.])

    Raises:
        SpaceError: the codes are of another space than the map's source.
        MapError: the map is of patches, or knows no pairs; the fitted codes are all the same, or
            too few where the map does not keep their distances; or the codes have not the shape
            of source codes.
    """
    return FittedCodes(linear_map).typicality(codes)


class FittedCodes:
    """The codes that a map was fitted on, to tell of one code after the other how far it is from
    them, as ``typicality`` does: what that takes of the map is found once.

    Raises:
        MapError: as ``typicality``.
    """

    def __init__(self, linear_map: LinearMap) -> None:
        self._map, self._ellipsoid = linear_map, _ellipsoid_of(linear_map)

    def typicality(self, codes: Codes | Numbers) -> Typicality:
        """How far source codes ``(m, p)`` are from those of the fit.

        Raises:
            SpaceError, MapError: as ``typicality``.
        """
        ellipsoid, fitted = self._ellipsoid, self._map.source_distances
        forms, off = ellipsoid.quadratic(_blocks(self._map, codes))
        distances = ellipsoid.distances(forms)
        limit = float("nan")
        rule: Rule = "normal law" if fitted is None else "fitted codes"
        if fitted is None:
            nearer = ellipsoid.normal_share(distances)
        else:
            nearer = torch.searchsorted(fitted, distances).double().numpy() / len(fitted)
            limit = _limit_of(fitted)
        if np.isnan(limit) and not ellipsoid.ridge:
            limit = ellipsoid.normal_limit()
        return Typicality(distances.numpy(), nearer, off.numpy(), limit, rule)


def fitted_distances(codes: Codes, moments: Moments) -> Tensor | None:
    """The distances ``(k,)`` of up to 4,096 codes, evenly spaced, of which ``moments`` are those of
    the source, in order; None where they have none, see ``typicality``.

    Each is from all other codes. Where codes count by weights, of which moments do not tell, it is
    from all.
    """
    n = len(codes)
    chosen = np.unique(np.linspace(0, n - 1, min(n, JUDGED)).astype(np.int64))
    return sampled_distances(codes.take(chosen).blocks(_ROWS), moments, alike=moments.n == n > 2)


def sampled_distances(blocks: Iterable[Tensor], moments: Moments, *, alike: bool) -> Tensor | None:
    """The distances of some of the codes that ``moments`` are of, in blocks ``(_, p)``, in order;
    None where they have none. Each is from all other codes where all count ``alike``, else from
    all.
    """
    try:
        ellipsoid = _Ellipsoid.of(moments)
    except MapError:
        return None
    forms, _ = ellipsoid.quadratic(blocks)
    found = ellipsoid.left_out(forms) if alike else ellipsoid.distances(forms)
    return found.sort().values


def _root_of(products: Tensor, n: float, mean: Tensor) -> Tensor | None:
    """A matrix ``W`` ``(p, p)`` with ``W W'`` the inverse of ``products``, by Cholesky; None where
    a variable hardly varies, or is hardly more than others make of it, for which there is the
    spectrum. That takes eigenvalues: 40 s of 2,048 variables, and this takes 2.
    """
    squares = products.diagonal()
    if not bool((rounding_of(squares, n, mean) < _SAFE**2 * squares).all()):
        return None
    unit = squares.sqrt()
    lower, failed = torch.linalg.cholesky_ex(products / torch.outer(unit, unit))
    if int(failed) or not float(lower.diagonal().min()) > _SAFE:
        return None
    return _inverse_root(lower) / unit[:, None]


def _inverse_root(lower: Tensor) -> Tensor:
    """``L'^-1`` of a lower triangle ``(p, p)``."""
    one = torch.eye(len(lower), dtype=lower.dtype)
    found: Tensor = torch.linalg.solve_triangular(lower.T, one, upper=True)
    return found


def _ellipsoid_of(linear_map: LinearMap) -> _Ellipsoid:
    what = "how far codes are from those of the fit"
    if linear_map.patches is not None:
        raise MapError(f"{what} is told of maps of whole codes, and this map is of patches")
    ellipsoid = _Ellipsoid.of(linear_map.require_moments(what))
    if linear_map.source_distances is None and ellipsoid.ridge:
        raise MapError(
            f"{what} needs more than two pairs for each of the {ellipsoid.rank} directions "
            f"in which the fitted codes vary, and this map, of {linear_map.n_pairs:,} pairs, does "
            "not keep their distances: fit it again"
        )
    return ellipsoid


def _blocks(linear_map: LinearMap, codes: Codes | Numbers) -> Iterable[Tensor]:
    if isinstance(codes, Codes):
        linear_map.source.require(codes.space, "codes for this map")
        return codes.blocks()
    given = as_tensor(codes, "codes for this map", error=MapError)
    if given.ndim != 2 or given.shape[1] != len(linear_map.weight):
        width = len(linear_map.weight)
        raise MapError(f"this map takes codes of shape (n, {width}), not {tuple(given.shape)}")
    # No code at all is a block, too.
    return (given[start : start + _ROWS] for start in range(0, max(len(given), 1), _ROWS))


def _limit_of(fitted: Tensor) -> float:
    """The distance beyond which a new one is once in a hundred times, where all are alike: one of
    the ``k`` in order, the ``0.99 (k + 1)``-th (Vovk 2005); NaN of fewer than 99.
    """
    place = int(np.ceil(INSIDE * (len(fitted) + 1)))
    return float(fitted[place - 1]) if place <= len(fitted) else float("nan")
