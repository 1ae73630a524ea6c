"""Rivals of the sectors: other ways to choose ``size`` images by their codes.

Each gives positions, none twice, and reads all codes in memory as float32. Shapes: ``n`` images,
``d`` latent variables, ``m`` images to choose.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from latentmap.codes import Codes
from latentmap.mapping.gathering import moments_of_spaces
from latentmap.mapping.moments import spectrum_of
from latentmap.progress import Progress

# Centres need some tens of images each to settle (faiss warns below 39), and few rounds; more would
# cost minutes where there are hundreds of centres.
_IMAGES_A_CENTER = 64
_ROUNDS = 25
# What the first images of a D-optimal design count beside the average image; see choose_doptimal.
_PRIOR_IMAGES = 1e-2
_LEAST_GAIN = 1e-6
_BLOCK = 8192


def choose_random(
    codes: Codes, size: int, *, seed: int = 0, progress: Progress | None = None
) -> np.ndarray:
    """``size`` random images."""
    return np.random.default_rng(seed).choice(len(codes), size, replace=False)


def choose_farthest(
    codes: Codes, size: int, *, seed: int = 0, progress: Progress | None = None
) -> np.ndarray:
    """A random image, then again and again the one farthest from all that are chosen.

    Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985): no image is
    farther from a chosen one than twice the least possible. Distances are those of ``scaled``.
    """
    x = scaled(codes)
    chosen = np.empty(size, dtype=np.int64)
    chosen[0] = np.random.default_rng(seed).integers(len(x))
    nearest = np.full(len(x), np.inf, dtype=np.float32)
    for count in range(1, size):
        newest = chosen[count - 1]
        np.minimum(nearest, _squared_distances(x, x[newest]), out=nearest)
        # Two images may have one code.
        nearest[newest] = -np.inf
        chosen[count] = nearest.argmax()
        if progress:
            progress(count + 1, size)
    return chosen


def choose_kmeans(
    codes: Codes, size: int, *, seed: int = 0, progress: Progress | None = None
) -> np.ndarray:
    """The image nearest to each centre of ``size`` clusters (k-means of the ``scaled`` codes).

    Clusters are found in a random part of the images where there are more than 64 a centre. An
    image that is the nearest of two centres goes to the first of them.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    x = scaled(codes)
    part = x
    if len(x) > _IMAGES_A_CENTER * size:
        generator = np.random.default_rng(seed)
        part = x[np.sort(generator.choice(len(x), _IMAGES_A_CENTER * size, replace=False))]
    with warnings.catch_warnings():
        # Fewer different codes than clusters: other images are taken for the centres left over.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(size, n_init=1, max_iter=_ROUNDS, random_state=seed % 2**32).fit(part)
    centers = np.asarray(clusters.cluster_centers_, dtype=np.float32)
    chosen = np.empty(size, dtype=np.int64)
    taken = np.zeros(len(x), dtype=bool)
    for number, center in enumerate(centers):
        distance = _squared_distances(x, center)
        distance[taken] = np.inf
        chosen[number] = distance.argmin()
        taken[chosen[number]] = True
        if progress:
            progress(number + 1, size)
    return chosen


def choose_doptimal(
    codes: Codes, size: int, *, seed: int = 0, progress: Progress | None = None
) -> np.ndarray:
    """Images whose codes determine a linear map with intercept best: the largest log det of their
    information matrix ``sum x x'``, ``x = (1, z)``, that exchanges find.

    The start is greedy from a random image, each step adding the image with the largest ``x'
    M^-1 x``; a hundredth of the average ``x x'`` stands for the images that are not there yet.
    Then exchanges: the best image comes in and the least needed one goes out, while that helps
    (Mitchell, "An algorithm for the construction of D-optimal experimental designs", 1974, with
    excursions of one image), at most ``size`` times; none where all images are chosen.
    """
    x = _with_intercept(whitened(codes))
    design = _Design(x)
    design.add(int(np.random.default_rng(seed).integers(len(x))))
    for count in range(1, size):
        design.add(design.best())
        if progress:
            progress(count + 1, 2 * size)
    design.refresh()
    for count in range(size if size < len(x) else 0):
        before = design.log_det
        design.add(design.best())
        design.remove(design.least())
        if design.log_det - before < _LEAST_GAIN:
            break
        if progress:
            progress(size + count + 1, 2 * size)
    return design.chosen


def choose_leverage(
    codes: Codes, size: int, *, seed: int = 0, progress: Progress | None = None
) -> np.ndarray:
    """Random images, each as likely as its leverage ``x' (X'X)^-1 x``, ``x = (1, z)``.

    Leverages come from the moments of all codes. The draw is without replacement (Gumbel's
    maximum).
    """
    leverage = leverages(codes)
    noise = np.random.default_rng(seed).gumbel(size=len(codes))
    return np.argpartition(-(np.log(leverage) + noise), size - 1)[:size]


# What chooses images by their codes alone; the sectors need more.
RIVALS: dict[str, Callable[..., np.ndarray]] = {
    "random": choose_random,
    "farthest": choose_farthest,
    "kmeans": choose_kmeans,
    "doptimal": choose_doptimal,
    "leverage": choose_leverage,
}


def scaled(codes: Codes) -> np.ndarray:
    """Codes about their mean with the prior's spread in every variable, float32 ``(n, d)``.

    In a space of kind ``z`` that is 1 already. In any other, whose prior has no formula, variables
    are divided by their standard deviation over the images; a constant one is 0.
    """
    moments = moments_of_spaces([codes], targets="squares")
    mean, scale = moments.mean.numpy(), np.ones(codes.space.dim)
    if codes.space.kind != "z":
        deviation = (moments.squares / moments.n).sqrt().numpy()
        varies = deviation > np.finfo(np.float32).eps * np.abs(mean)
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    # The subtraction in float64: far from 0, float32 has few digits for what images differ by.
    return np.concatenate(
        [((block.double().numpy() - mean) * scale).astype(np.float32) for block in codes.blocks()]
    )


def _squared_distances(x: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The squared distances ``(n,)`` of codes ``(n, d)`` to one, float32, of their differences:
    ``|x|^2 + |y|^2 - 2 xy`` would lose the digits of near codes far from the others.
    """
    distances = np.empty(len(x), dtype=np.float32)
    for start in range(0, len(x), _BLOCK):
        away = x[start : start + _BLOCK] - point
        np.einsum("nd,nd->n", away, away, out=distances[start : start + _BLOCK])
    return distances


def whitened(codes: Codes) -> np.ndarray:
    """Codes about their mean with variance 1 in each of the ``r`` directions in which they vary,
    float32 ``(n, r)``; from their moments.
    """
    moments = moments_of_spaces([codes])
    spectrum = spectrum_of(moments.products, moments.n, moments.mean)
    transform = spectrum.directions * (moments.n / spectrum.values).sqrt()
    result = np.empty((len(codes), len(spectrum.values)), dtype=np.float32)
    start = 0
    for block in codes.blocks():
        result[start : start + len(block)] = (
            torch.matmul(block.double() - moments.mean, transform).float().numpy()
        )
        start += len(block)
    return result


def leverages(codes: Codes) -> np.ndarray:
    """``x' (X'X)^-1 x`` of each image, ``x = (1, z)``, float64 ``(n,)``: ``(1 + |z white|^2) / n``.

    They add up to the rank of ``X``, which is at most ``d + 1``.
    """
    white = whitened(codes)
    squares = np.einsum("nr,nr->n", white, white, dtype=np.float64)
    return np.asarray((1 + squares) / len(white))


def _with_intercept(white: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(white), 1), dtype=np.float32), white], axis=1)


class _Design:
    """Chosen rows of ``x``, with ``x' M^-1 x`` of all rows kept up to date (Sherman, Morrison).

    ``M`` is the information matrix of the chosen rows plus the prior images.
    """

    def __init__(self, x: np.ndarray) -> None:
        self._x = x
        # The codes are white: the average of x x' is the identity.
        self._inverse: np.ndarray = np.eye(x.shape[1]) / _PRIOR_IMAGES
        self._variance = np.einsum("np,np->n", x, x, dtype=np.float64) / _PRIOR_IMAGES
        self._chosen: list[int] = []
        self.log_det = x.shape[1] * np.log(_PRIOR_IMAGES)

    @property
    def chosen(self) -> np.ndarray:
        return np.array(self._chosen, dtype=np.int64)

    def best(self) -> int:
        """The row that would add most."""
        free = self._variance.copy()
        free[self._chosen] = -np.inf
        return int(free.argmax())

    def least(self) -> int:
        """The chosen row that adds least."""
        return self._chosen[int(self._variance[self._chosen].argmin())]

    def add(self, row: int) -> None:
        self._chosen.append(row)
        self._update(row, 1)

    def remove(self, row: int) -> None:
        self._chosen.remove(row)
        self._update(row, -1)

    def refresh(self) -> None:
        """Computes again from the chosen rows what updates have blurred."""
        rows = self._x[self._chosen].astype(np.float64)
        information = rows.T @ rows + _PRIOR_IMAGES * np.eye(rows.shape[1])
        self._inverse = np.linalg.inv(information)
        self._variance = np.empty(len(self._x))
        for start in range(0, len(self._x), _BLOCK):
            block = self._x[start : start + _BLOCK].astype(np.float64)
            solved = block @ self._inverse
            self._variance[start : start + _BLOCK] = np.einsum("np,np->n", solved, block)
        self.log_det = float(np.linalg.slogdet(information)[1])

    def _update(self, row: int, sign: int) -> None:
        x = self._x[row].astype(np.float64)
        solved = self._inverse @ x
        factor = 1 + sign * float(x @ solved)
        self._inverse -= sign * np.outer(solved, solved) / factor
        # The products are float32 for speed; ``refresh`` brings the lost digits back. By torch:
        # with AVX-512 the OpenBLAS of NumPy's wheels computes with unset memory beside a vector of
        # five numbers, which changes no result, but now and then warns of an invalid value.
        products = torch.mv(torch.from_numpy(self._x), torch.from_numpy(solved).float())
        self._variance -= sign * np.square(products.numpy()) / factor
        self.log_det += np.log(factor)
