"""How many different images there are among some, in effect: the Vendi score (Friedman & Dieng,
"The Vendi Score: A Diversity Evaluation Metric for Machine Learning", 2023) by the cosine of codes.

Shapes: ``n`` images, ``d`` variables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.expressiveness.distances import influenced
from latentmap.expressiveness.half_samples import SPLITS, halves
from latentmap.intervals import Estimate

_LEAST = 1e-12  # Of the largest eigenvalue: what is below is none.


@dataclass(frozen=True, eq=False)
class Diversity:
    """The Vendi score of images: ``plain`` of these, as published, and ``value`` of infinitely
    many; with the derivative of it by the weight of every image ``(n,)``.
    """

    value: float
    plain: float
    contributed: np.ndarray

    def estimate(self, units: np.ndarray | None = None) -> Estimate:
        """The score with its 95 % interval, over images of some ``units`` ``(n,)``."""
        return influenced(self.value, (self.contributed, units))

    def over(self, other: Diversity, units: np.ndarray | None = None) -> Estimate:
        """The score over that of ``other`` images, of some ``units``, with its interval."""
        ratio = self.value / other.value
        mine, others = self.contributed / other.value, -ratio / other.value * other.contributed
        return influenced(ratio, (mine, None), (others, units))


def vendi_score(codes: Tensor, *, units: np.ndarray | None = None, seed: int = 0) -> Diversity:
    """The exponential of the entropy of the eigenvalues of K / n, where K are the cosines between
    codes ``(n, d)``: from 1 of equal images to d of codes without any direction of their own.

    Of finite samples the entropy is too small, by about a constant over their number. So twice the
    entropy less the mean of ten times two halves is taken, as of the Fréchet distance.

    Raises:
        ModelError: there are fewer than 4 images, or the codes are no matrix.
    """
    if codes.ndim != 2 or len(codes) < 4:
        raise ModelError(
            f"a Vendi score takes codes (n, d) of at least 4 images, not {tuple(codes.shape)}"
        )
    rows = codes.double().cpu().numpy()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    entropy, contributed = _entropy(rows)
    chance = np.random.default_rng(seed)
    of_halves = [
        _entropy(rows[half])[0] for _ in range(SPLITS) for half in halves(len(rows), units, chance)
    ]
    value = math.exp(2 * entropy - float(np.mean(of_halves)))
    return Diversity(value, math.exp(entropy), value * contributed)


def _entropy(rows: np.ndarray) -> tuple[float, np.ndarray]:
    """The plain entropy of rows of length 1, and its derivative by the weight of each."""
    # As many eigenvalues of the cosines as are not 0.
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = values > _LEAST * max(values[-1], _LEAST)
    values, vectors = values[kept], vectors[:, kept]
    surprise = -(np.square(rows @ vectors) @ np.log(values))
    return -float((values * np.log(values)).sum()), surprise - surprise.mean()
