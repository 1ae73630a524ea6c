"""What a map explains over the pairs that it was fitted on, by NumPy alone: files say it without
torch.

Shapes: ``p`` source variables, ``q`` target variables. All float64.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from latentmap.errors import MapError
from latentmap.mapping.rounding import rounding_of

_NOTHING = 1e-12  # Share of the target's variance below which a factor is rounding.
_OUTSIDE = 1e-10  # Squared length below which a variable lies along directions that vary.
# Numbers that are too large give figures that are none; a warning would tell nobody more.
_QUIETLY = np.errstate(all="ignore")
_IMPOSSIBLE = "the moments are not those of any codes: fit the map again"


class KnownMoments(Protocol):
    """What is asked of moments, as arrays or as tensors on the CPU; see ``Moments``."""

    @property
    def n(self) -> float: ...
    @property
    def mean_x(self) -> Any: ...
    @property
    def mean_y(self) -> Any: ...
    @property
    def xx(self) -> Any: ...
    @property
    def squares_x(self) -> Any: ...
    @property
    def xy(self) -> Any: ...
    @property
    def squares_y(self) -> Any: ...


@_QUIETLY
def explained(moments: KnownMoments, weight: Any, bias: Any) -> float:
    """The share of the target's variance that a map ``(p, q)`` with a bias ``(q,)`` explains."""
    missed = squared_error(moments, weight, bias).sum()
    return 1 - _ratio(missed, np.asarray(moments.squares_y).sum())


@_QUIETLY
def explained_per_variable(moments: KnownMoments, weight: Any, bias: Any) -> np.ndarray:
    """R2 of each target variable over the pairs, ``(q,)``; NaN where one does not vary."""
    squares = np.asarray(moments.squares_y)
    varies = squares > rounding_of(squares, moments.n, np.asarray(moments.mean_y))
    share = np.full(len(squares), np.nan)
    np.divide(squared_error(moments, weight, bias), squares, out=share, where=varies)
    return np.asarray(1 - share)


@_QUIETLY
def squared_error(moments: KnownMoments, weight: Any, bias: Any) -> np.ndarray:
    """``sum_i |y_i - x_i W - b|^2`` for every target variable, ``(q,)``, without the rows."""
    w, xy = (np.asarray(part) for part in (weight, moments.xy))
    missed = np.asarray(moments.mean_y) - np.asarray(moments.mean_x) @ w - np.asarray(bias)
    spread = np.asarray(moments.squares_y) - 2 * (w * xy).sum(0) + _along(moments, w)
    # What is left of an exact map is rounding, which may fall below zero.
    return np.asarray(np.maximum(spread, 0) + moments.n * np.square(missed))


@_QUIETLY
def factor_shares(moments: KnownMoments, weight: Any) -> np.ndarray:
    """The shares of the target's variance that the factors of a map explain, ``(k,)``, the
    largest first, as ``shared_factors`` has them.
    """
    w, total = np.asarray(weight), float(np.asarray(moments.squares_y).sum())
    predicted = _inner(moments, w)
    values, directions = _eigen((predicted + predicted.T) / 2)
    kept = (values > _NOTHING * total) & (total > 0)
    scores = w @ directions[:, kept] / np.sqrt(values[kept] / moments.n)
    y = np.asarray(moments.xy).T @ scores / moments.n
    shares = np.square(y).sum(0) * moments.n
    return np.sort(shares)[::-1] / total if total > 0 else shares


@_QUIETLY
def effective_rank(values: Any) -> float:
    """The effective rank of non-negative values: the exponential of the entropy of their shares
    (Roy and Vetterli 2007); 0 when all are zero.
    """
    parts = np.asarray(values, np.float64)
    parts = parts[parts > 0]
    if not len(parts):
        return 0.0
    shares = parts / parts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


@_QUIETLY
def relevance(moments: KnownMoments, penalty: float = 0.0) -> np.ndarray:
    """How much each source variable matters, ``(p,)``: the share of the target's variance that a
    ridge map loses without it.

    ``|W_i|^2 / [(G + penalty I)^-1]_ii`` is the increase of the penalised objective when variable
    ``i`` is left out, so what another variable can stand in for is not counted: of two that are
    the same, without penalty, neither is missed.
    """
    mean = np.asarray(moments.mean_x)
    total = float(np.asarray(moments.squares_y).sum())
    squares = np.asarray(moments.squares_x)
    live = squares > rounding_of(squares, moments.n, mean)
    if not total > 0:
        return np.zeros(len(mean))
    values, directions = _varying(moments)
    inverse = directions / (values + penalty)
    weight = inverse @ (directions.T @ np.asarray(moments.xy))
    # Where codes do not vary the inverse is 1 / penalty: a variable that reaches into there is a
    # combination of others, and without a penalty nothing is lost with it.
    outside = 1 - np.square(directions).sum(1)
    diagonal = (inverse * directions).sum(1)
    diagonal += np.where(outside > _OUTSIDE, outside / penalty if penalty else np.inf, 0.0)
    lost = np.zeros(len(mean))
    np.divide(np.square(weight).sum(1), diagonal * total, out=lost, where=live & (diagonal > 0))
    return lost


def _root_of(moments: KnownMoments) -> np.ndarray | None:
    """The root ``(k, p)`` of the source's products, where they are kept so; see ``ThinMoments``."""
    root = getattr(moments, "root_x", None)
    return None if root is None else np.asarray(root)


def _inner(moments: KnownMoments, w: np.ndarray) -> np.ndarray:
    root = _root_of(moments)
    if root is None:
        return np.asarray(w.T @ np.asarray(moments.xx) @ w)
    mapped = root @ w
    return np.asarray(mapped.T @ mapped)


def _along(moments: KnownMoments, w: np.ndarray) -> np.ndarray:
    """The diagonal of ``_inner``."""
    root = _root_of(moments)
    if root is None:
        return np.asarray((w * (np.asarray(moments.xx) @ w)).sum(0))
    return np.asarray(np.square(root @ w).sum(0))


def _varying(moments: KnownMoments) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and directions in which codes vary, ``(r,)`` and ``(p, r)``: ``spectrum_of``."""
    squares, mean = np.asarray(moments.squares_x), np.asarray(moments.mean_x)
    rounding = rounding_of(squares, moments.n, mean)
    live = np.flatnonzero(squares > rounding)
    unit = np.sqrt(squares[live])
    rate = rounding[live] / squares[live]
    root = _root_of(moments)
    if root is not None and len(root) < len(squares):
        scaled = root[:, live] / unit
        values, rows = _eigen(scaled @ scaled.T)
        rotated = rows.T @ scaled
        floor = np.square(rotated) @ rate / np.maximum(values, 1e-300)
        factor = rotated * unit
    else:
        products = np.asarray(moments.xx) if root is None else root.T @ root
        values, axes = _eigen(products[np.ix_(live, live)] / np.outer(unit, unit))
        floor = np.square(axes).T @ rate
        factor = (axes * np.sqrt(np.maximum(values, 0))).T * unit
    if len(values):
        floor = np.maximum(floor, values[-1] * len(live) * np.finfo(np.float64).eps)
    # Of a wide factor the QR first.
    basis, triangle = np.linalg.qr(factor[values > floor].T)
    try:
        _, roots, turned = np.linalg.svd(triangle.T, full_matrices=False)
    except np.linalg.LinAlgError:
        raise MapError(_IMPOSSIBLE) from None
    directions = np.zeros((len(squares), len(roots)))
    directions[live] = basis @ turned.T
    return np.square(roots), directions


def _eigen(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        values, axes = np.linalg.eigh(products)
    except np.linalg.LinAlgError:
        raise MapError(_IMPOSSIBLE) from None
    return values, axes


def _ratio(part: float, whole: float) -> float:
    return float(np.float64(part) / np.float64(whole))
