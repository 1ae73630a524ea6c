"""Energy distances: how far two samples are from coming from one distribution, with intervals.

Szekely and Rizzo, "Energy statistics: A class of statistics based on distances" (2013): 2 E|X - Y|
- E|X - X'| - E|Y - Y'|, which is 0 where X and Y have one distribution, and above 0 elsewhere. Here
it is the U-statistic, over pairs of different rows, so that for equal distributions it is 0 in the
mean, and may be below. Shapes: ``n`` and ``m`` rows of ``d`` numbers, ``b`` resamplings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.intervals import N_BOOTSTRAP, Estimate, estimate_of, shares
from latentmap.progress import Progress

# Of fewer, too many resamplings have one row alone, which is no pair.
_FEWEST = 5
_BLOCK = 256  # Rows whose distances to all others are in memory at a time.


@dataclass(frozen=True, eq=False)
class _Distances:
    """Sums of the distances between two sets of rows: from each of the first ``first`` (n,), from
    each of the second ``second`` (m,), and with the weights of each resampling ``drawn`` (b,).
    """

    first: np.ndarray
    second: np.ndarray
    drawn: np.ndarray


def energy_distance(
    x: Tensor, y: Tensor, *, seed: int, progress: Progress | None = None
) -> Estimate:
    """The energy distance of rows ``x`` ``(n, d)`` and ``y`` ``(m, d)``, by Euclidean distances in
    float64, with the interval of resamplings over the rows of both.

    A row that is drawn twice is no pair with itself, so that resamplings are not larger than what
    they are drawn from. Where the distributions are equal, the interval is wider than it must be.

    Raises:
        ModelError: one has fewer than 5 rows, or the rows are not of one length.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < _FEWEST:
        raise ModelError(
            f"an energy distance is of two sets of at least {_FEWEST} rows of one length, not of "
            f"shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    x, y = x.cpu().double(), y.cpu().double()
    n, m = len(x), len(y)
    generator = np.random.default_rng(seed)
    of_x, of_y = _weights(generator, n), _weights(generator, m)
    steps = _Steps(progress, 2 * n + m)
    across = _distances(x, y, of_x, of_y, steps)
    in_x, in_y = _distances(x, x, of_x, of_x, steps), _distances(y, y, of_y, of_y, steps)

    between, within_x = across.first.sum(), in_x.first.sum()
    within_y = in_y.first.sum()
    mean_x, mean_y = within_x / (n * (n - 1)), within_y / (m * (m - 1))
    value = 2 * between / (n * m) - mean_x - mean_y
    drawn_x, drawn_y = shares(in_x.drawn, _pairs(of_x, n)), shares(in_y.drawn, _pairs(of_y, m))
    drawn = 2 * across.drawn / (n * m) - drawn_x - drawn_y
    without_x = (
        2 * (between - across.first) / ((n - 1) * m)
        - (within_x - 2 * in_x.first) / ((n - 1) * (n - 2))
        - mean_y
    )
    without_y = (
        2 * (between - across.second) / (n * (m - 1))
        - mean_x
        - (within_y - 2 * in_y.first) / ((m - 1) * (m - 2))
    )
    return estimate_of(float(value), drawn, [without_x, without_y])


def halves_distance(x: Tensor, *, seed: int, progress: Progress | None = None) -> Estimate:
    """The energy distance of two random halves of the rows ``x`` ``(n, d)``: what it is where
    nothing differs.

    Raises:
        ModelError: there are fewer than 10 rows.
    """
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(x)))
    half = len(x) // 2
    first, second = x[order[:half]], x[order[half:]]
    return energy_distance(first, second, seed=seed, progress=progress)


class _Steps:
    """How many of ``total`` rows are done."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(self._done, self._total)


def _weights(generator: np.random.Generator, n: int) -> np.ndarray:
    """How often each of ``n`` rows is drawn in each resampling, ``(b, n)``."""
    return generator.multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP).astype(np.float64)


def _pairs(weights: np.ndarray, n: int) -> np.ndarray:
    """The pairs of different rows of each resampling, ``(b,)``."""
    pairs: np.ndarray = n**2 - np.square(weights).sum(1)
    return pairs


def _distances(
    x: Tensor, y: Tensor, of_x: np.ndarray, of_y: np.ndarray, steps: _Steps
) -> _Distances:
    first, second, drawn = np.empty(len(x)), np.zeros(len(y)), np.zeros(len(of_x))
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = torch.cdist(x[rows], y).numpy()
        if y is x:  # From itself, where rounding leaves something.
            block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
        first[rows] = block.sum(1)
        second += block.sum(0)
        drawn += ((of_y @ block.T) * of_x[:, rows]).sum(1)
        steps.add(len(block))
    return _Distances(first, second, drawn)
