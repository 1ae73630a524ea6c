"""Which latent variables are active: one definition, which all of latentmap goes by, and those of
others beside it.

A variable is *active* when the mean of its posterior varies by more than 0.05 over the images
(Asperti, "Sparsity in Variational Autoencoders", arXiv 1812.07238), where its prior varies by 1.
Any other variable is *inactive*.

Shapes: ``d`` latent variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from latentmap.codes import Space

ACTIVE_VARIANCE = 0.05


@dataclass(frozen=True)
class Definition:
    """When a variable is active: its ``figure`` is above a ``threshold``, or below it.

    ``figure`` is ``mean_variance``, Var over the images of the posterior mean, or
    ``posterior_variance``, the mean over the images of the posterior variance s2. ``source`` says
    who goes by it.
    """

    figure: Literal["mean_variance", "posterior_variance"]
    threshold: float
    source: str

    @property
    def name(self) -> str:
        """As it is written.

        >>> DEFINITIONS[0].name, DEFINITIONS[2].name
        ('Var > 0.05', 'mean s2 < 0.95')
        """
        varies = self.figure == "mean_variance"
        return f"{'Var >' if varies else 'mean s2 <'} {self.threshold:g}"

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which variables are active by the values ``(d,)`` of their figure, ``(d,)``."""
        above = self.figure == "mean_variance"
        return np.asarray(values > self.threshold if above else values < self.threshold)


# The first is that of latentmap.
DEFINITIONS = (
    Definition("mean_variance", ACTIVE_VARIANCE, "latentmap; Asperti, arXiv 1812.07238"),
    Definition("mean_variance", 0.01, "Burda et al., arXiv 1509.00519"),
    Definition("posterior_variance", 0.95, "published code"),
    Definition("posterior_variance", 0.8, "code of Asperti & Trentin, IEEE Access 8 (2020)"),
)


def are_active(variances: np.ndarray) -> np.ndarray:
    """Which variables are active by the ``variances`` ``(d,)`` of their posterior means over
    images, in a space whose prior has variance 1.

    >>> are_active(np.array([0.9, 0.05, 1e-4])).tolist()
    [True, False, False]
    """
    return DEFINITIONS[0].holds(variances)


def has_unit_prior(space: Space) -> bool:
    """Whether variables of a space can be told active: its prior has variance 1. That is so of
    vectors of kind ``z`` alone: codes in ``w``, and channels of grids, have any scale.
    """
    return space.kind == "z" and len(space.shape) == 1


def none_active(space: Space, variances: np.ndarray) -> bool:
    """Whether no variable of a space is active; False where it cannot be told."""
    return has_unit_prior(space) and not bool(are_active(variances).any())
