"""Images that a VAE makes over the quantiles of its prior, each as likely as every other.

Shapes: ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.model import Model
from latentmap.model.sampling import decode_all

_BATCH = 64
# Images a side of a square by the number of variables; those besides two have as many values.
_SIDES = {3: 5, 4: 3}
_LARGE = 20  # Of two variables, and of more than four.


@dataclass(frozen=True, eq=False)
class PriorGrid:
    """``images`` (b, s, s, c, h, w) in ``b`` squares of ``s`` rows and columns.

    In each the first of the two ``variables`` grows to the right and the second upwards, so that
    the first row has its largest value. ``captions`` (b,) say what the other variables are in a
    square; ``across`` squares stand side by side.
    """

    images: Tensor
    variables: tuple[int, int]
    captions: tuple[str, ...]
    across: int


def quantiles(k: int) -> np.ndarray:
    """The middles ``(k,)`` of ``k`` parts of the standard normal distribution that are equally
    likely.

    Example:
        >>> quantiles(3).round(3).tolist()
        [-0.967, 0.0, 0.967]
    """
    from scipy.special import ndtri

    values: np.ndarray = ndtri((np.arange(k) + 0.5) / k)
    return values


def prior_grid(model: Model, variables: tuple[int, int], center: Tensor) -> PriorGrid:
    """The grid of two ``variables``: of two latent variables 20 x 20 images, of three five squares
    of 5 x 5, of four nine of 3 x 3; of more 20 x 20, the others at their mean ``center`` ``(d,)``.
    """
    d = model.latent_dim
    side = _SIDES.get(d, _LARGE)
    others = [one for one in range(d) if one not in variables] if d in _SIDES else []
    values = torch.from_numpy(quantiles(side)).float()
    first, second = variables
    steps = range(side)
    # As within a square, the first of two others grows to the right and the second upwards.
    squares: list[tuple[int, ...]] = [()]
    if len(others) == 1:
        squares = [(k,) for k in steps]
    elif others:
        squares = [(k, j) for j in reversed(steps) for k in steps]
    codes, captions = [], []
    for places in squares:
        square = center.float().repeat(side, side, 1)
        square[:, :, first] = values
        square[:, :, second] = values.flip(0)[:, None]
        said = []
        for variable, place in zip(others, places, strict=True):
            square[:, :, variable] = values[place]
            said.append(f"variable {variable} at {values[place]:.2f}")
        codes.append(square.reshape(-1, d))
        captions.append(", ".join(said))
    images = decode_all(model, torch.cat(codes), batch_size=_BATCH)
    shaped = images.reshape(len(codes), side, side, *model.image_shape)
    return PriorGrid(shaped, variables, tuple(captions), side if others else 1)
