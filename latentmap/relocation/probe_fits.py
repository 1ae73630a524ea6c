"""Linear probes: what a linear rule reads from codes, of classes or of numbers.

A probe of classes is logistic regression, of several ones multinomial; a probe of numbers is ridge
regression (Alain and Bengio 2016, "Understanding intermediate layers using linear classifier
probes"). Shapes: ``n`` images, ``d`` latent variables, ``k`` outputs: 1 of numbers and of two
classes, else one a class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Penalties per image, on standardised codes: the mean loss + penalty / 2 |weight|^2.
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5
_ROUNDS = 1000  # Of the solver; beyond these a better solution changes no figure.
_LEAST = 1e-12  # Of a probability, so that its logarithm is finite.


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A rule ``(x - mean) / scale @ weight.T + bias``, float64: ``mean`` and ``scale`` ``(d,)`` of
    the codes that it was fitted on, ``weight`` ``(k, d)``, ``bias`` ``(k,)``; of classes its values
    are logits. ``penalty`` was chosen by cross-validation.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    penalty: float

    def read(self, codes: np.ndarray) -> np.ndarray:
        """What the probe reads from codes ``(n, d)``, ``(n, k)``."""
        found: np.ndarray = (codes - self.mean) / self.scale @ self.weight.T + self.bias
        return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The probability of each class ``(n, classes)`` by logits ``(n, k)``; one logit is that of the
    second of two classes.

    Example:
        >>> probabilities(np.array([[0.0]])).tolist()
        [[0.5, 0.5]]
    """
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    found: np.ndarray = powers / powers.sum(1, keepdims=True)
    return found


def fit_probe(
    codes: np.ndarray, values: np.ndarray, *, classes: int, folds: np.ndarray
) -> LinearProbe:
    """The probe of ``values`` ``(n,)`` by ``codes`` ``(n, d)``: numbers where there are no
    ``classes``, else their positions, of each of which there are some outside of each fold.

    Its penalty is that of ``PENALTIES`` of the least loss (of classes the log loss, of numbers the
    squared error) on ``folds`` ``(n,)`` that the others are fitted without.
    """
    mean, scale = codes.mean(0), codes.std(0)
    # A constant variable says nothing, whatever it is divided by.
    scale = np.where(scale > np.finfo(np.float32).eps * np.abs(mean), scale, 1.0)
    rows = (codes - mean) / scale
    targets = values.astype(np.int64) if classes else values
    start, loss = (_logistic, _log_loss) if classes else (_ridge, _squared_error)
    losses = np.zeros(len(PENALTIES))
    for fold in np.unique(folds):
        left, taken = folds == fold, folds != fold
        solve = start(rows[taken], targets[taken])
        # From the strongest on: each solution starts where the last one ended.
        for place, penalty in reversed([*enumerate(PENALTIES)]):
            weight, bias = solve(penalty)
            losses[place] += loss(rows[left] @ weight.T + bias, targets[left])
    best = int(losses.argmin())
    solve = start(rows, targets)
    for penalty in reversed(PENALTIES[best:]):
        weight, bias = solve(penalty)
    return LinearProbe(mean, scale, weight, bias, PENALTIES[best])


Solve = Callable[[float], tuple[np.ndarray, np.ndarray]]


def _logistic(rows: np.ndarray, targets: np.ndarray) -> Solve:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(max_iter=_ROUNDS, warm_start=True)

    def solve(penalty: float) -> tuple[np.ndarray, np.ndarray]:
        model.set_params(C=1 / (penalty * len(rows)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows, targets)
        return model.coef_.copy(), model.intercept_.copy()

    return solve


def _ridge(rows: np.ndarray, targets: np.ndarray) -> Solve:
    middle, centre = rows.mean(0), targets.mean()
    away = rows - middle
    u, s, vt = np.linalg.svd(away, full_matrices=False)
    seen = u.T @ (targets - centre)

    def solve(penalty: float) -> tuple[np.ndarray, np.ndarray]:
        weight = (s / (s**2 + penalty * len(rows)) * seen) @ vt
        return weight[None], np.array([centre - middle @ weight])

    return solve


def _log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    own = probabilities(logits)[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(own, _LEAST)).sum())


def _squared_error(found: np.ndarray, targets: np.ndarray) -> float:
    return float(np.square(found[:, 0] - targets).sum())
