"""How far the codes of generated images are from those of real ones, as two distributions.

Both distances are smooth functions of the two samples, so their intervals come from what each image
contributes (the infinitesimal jackknife; Efron 1982): a bootstrap draws images twice, which moves
both distances up. Shapes: ``n`` real and ``m`` generated images, ``d`` variables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.expressiveness.half_samples import SPLITS, halves
from latentmap.intervals import Estimate, student_quantile

_LEAST = 1e-12  # Of the largest variance: what is below is none.
_NUMBERS = 2**23  # Of a kernel at a time: 64 MB.


@dataclass(frozen=True, eq=False)
class Contrast:
    """A figure of two samples, and the derivative of it by the weight of every image: ``real``
    (n,) and ``made`` (m,), each with the mean 0.
    """

    value: float
    real: np.ndarray
    made: np.ndarray

    def minus(self, other: Contrast) -> Contrast:
        """The difference to the same figure of as many images: the same real ones, and those of the
        same seeds, so that what the two have in common cancels out.
        """
        return Contrast(self.value - other.value, self.real - other.real, self.made - other.made)

    def estimate(self, units: np.ndarray | None = None) -> Estimate:
        """The figure with its 95 % interval, over real images of some ``units`` ``(n,)`` and
        generated ones.
        """
        return influenced(self.value, (self.real, units), (self.made, None))


def influenced(value: float, *parts: tuple[np.ndarray, np.ndarray | None]) -> Estimate:
    """A figure with its 95 % interval, from its derivatives by the weight of every image of each
    sample, and the units of the images.
    """
    sums = [_sums(contributed, units) for contributed, units in parts]
    fewest = min(map(len, sums))
    if fewest < 2:
        return Estimate(value, math.nan, math.nan)
    variance = sum(
        len(part) / (len(part) - 1) * float(np.square(part).sum()) / len(contributed) ** 2
        for part, (contributed, _) in zip(sums, parts, strict=True)
    )
    reach = student_quantile(0.975, fewest - 1) * math.sqrt(variance)
    return Estimate(value, value - reach, value + reach)


def frechet_distance(
    real: Tensor, made: Tensor, *, units: np.ndarray | None = None, seed: int = 0
) -> Contrast:
    """The squared Fréchet distance of the normal distributions with the moments of codes ``(n, d)``
    and ``(m, d)``: ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)`` (Dowson & Landau 1982).

    Of finite samples it is too large, by about a constant over their number. So it is extrapolated
    to infinitely many (Chong & Forsyth, "Effectively Unbiased FID and Inception Score", 2020), by
    the line through two points: all images, and the mean of ten times two halves, of which it is
    too large by twice as much. Of equal distributions it may be below 0. Lines through more, and
    smaller, samples vary more and are no nearer (``benchmarks/samples.py``). Its derivative by S1
    is 1 - T, where T is the map that carries the one to the other (Takatsu 2011).

    Raises:
        ModelError: the codes have different sizes, or are too few.
    """
    first, second = _checked(real, made)
    whole, contributed = plain_frechet(first, second), _influences(first, second)
    chance = np.random.default_rng(seed)
    of_halves = [
        plain_frechet(first[one], second[other])
        for _ in range(SPLITS)
        for one, other in zip(
            halves(len(first), units, chance), halves(len(second), None, chance), strict=True
        )
    ]
    return Contrast(2 * whole - float(np.mean(of_halves)), *contributed)


def kernel_distance(real: Tensor, made: Tensor) -> Contrast:
    """The squared kernel distance of codes ``(n, d)`` and ``(m, d)``, by the kernel (x y / d + 1)^3
    (Bińkowski et al., "Demystifying MMD GANs", 2018), without bias: no image is compared with
    itself, so that of equal distributions it may be below 0.

    Raises:
        ModelError: the codes have different sizes, or are too few.
    """
    first, second = _checked(real, made)
    n, m = len(first), len(second)
    within = [_kernel_sums(part, part, own=False) / (len(part) - 1) for part in (first, second)]
    across = _kernel_sums(first, second) / m, _kernel_sums(second, first) / n
    value = within[0].mean() + within[1].mean() - 2 * across[0].mean()
    contributed = [2 * (one - other) for one, other in zip(within, across, strict=True)]
    return Contrast(float(value), *(one - one.mean() for one in contributed))


def _checked(real: Tensor, made: Tensor) -> tuple[np.ndarray, np.ndarray]:
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1]:
        raise ModelError(
            "a distance is between codes (n, d) and (m, d) of one encoder, not "
            f"{tuple(real.shape)} and {tuple(made.shape)}"
        )
    if min(len(real), len(made)) < 4:
        raise ModelError(
            f"a distance takes at least 4 images of each kind, not {len(real)} and {len(made)}"
        )
    return real.double().cpu().numpy(), made.double().cpu().numpy()


def plain_frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The figure of the moments of two samples ``(n, d)`` and ``(m, d)`` as they are, which is what
    an FID is of features of Inception.
    """
    a, b = (np.atleast_2d(np.cov(part.T)) for part in (first, second))
    root, _ = _powers(a)
    shared = np.linalg.eigvalsh(root @ b @ root).clip(0)
    between = np.square(first.mean(0) - second.mean(0)).sum()
    return float(between + np.trace(a) + np.trace(b) - 2 * np.sqrt(shared).sum())


def _influences(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The derivative of the plain figure by the weight of every row."""
    a, b = (np.atleast_2d(np.cov(part.T)) for part in (first, second))
    root, inverse = _powers(a)
    shared, shared_inverse = _powers(root @ b @ root)
    there, back = inverse @ shared @ inverse, root @ shared_inverse @ root
    apart = first.mean(0) - second.mean(0)
    found = []
    for rows, side, carried in ((first, 1, there), (second, -1, back)):
        away = rows - rows.mean(0)
        slope = np.eye(rows.shape[1]) - carried
        contributed = 2 * side * away @ apart + np.einsum("ni,ij,nj->n", away, slope, away)
        found.append(contributed - contributed.mean())
    return found[0], found[1]


def _powers(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The root of a symmetric matrix, and the inverse of it where the matrix is above 0."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > _LEAST * max(values[-1], 0)
    roots = np.sqrt(values.clip(0))
    inverses = np.divide(1, roots, out=np.zeros_like(roots), where=kept)
    return (vectors * roots) @ vectors.T, (vectors * inverses) @ vectors.T


def _kernel_sums(rows: np.ndarray, others: np.ndarray, *, own: bool = True) -> np.ndarray:
    """The sums of the kernel between each of the ``rows`` and all ``others``; not with itself,
    unless ``own``.
    """
    d = rows.shape[1]
    sums = np.empty(len(rows))
    step = max(1, _NUMBERS // len(others))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        sums[start : start + step] = ((part @ others.T / d + 1) ** 3).sum(1)
    return sums if own else sums - (np.square(rows).sum(1) / d + 1) ** 3


def _sums(values: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """The sums of values ``(n,)`` over each unit."""
    if units is None:
        return values
    return np.bincount(np.unique(units, return_inverse=True)[1], weights=values)
