"""What an image loses without a latent variable: where information gains are measured.

A variable is left out by having it stand at its center, the mean of its posterior means over many
images (Asperti & Tonelli, arXiv 2207.06812). Shapes: ``k`` images ``(k, c, h, w)`` in [0, 1], ``d``
latent variables, codes ``(k, d)``, a center ``(d,)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# From codes (k, d) to images, on the device of those that they are compared with.
Decode = Callable[[Tensor], Tensor]


def image_errors(decode: Decode, images: Tensor, codes: Tensor) -> Tensor:
    """The mse between each image and what is decoded of its code, float64 ``(k,)``."""
    squared = (decode(codes) - images).square()
    return squared.flatten(1).mean(1, dtype=torch.float64)


def at_center(codes: Tensor, variables: Tensor | int, center: Tensor) -> Tensor:
    """The codes with some variables (a number, or bool ``(d,)``) at their center.

    >>> at_center(torch.tensor([[1.0, 2.0]]), 1, torch.tensor([7.0, 8.0])).tolist()
    [[1.0, 8.0]]
    """
    moved = codes.clone()
    moved[:, variables] = center[variables].to(codes.dtype)
    return moved


def information_gains(
    decode: Decode,
    images: Tensor,
    codes: Tensor,
    center: Tensor,
    *,
    variables: Sequence[int] | None = None,
    errors: Tensor | None = None,
) -> Tensor:
    """The gain of each variable, or of ``m`` chosen ones, on each image: mse(x, dec(mu with mu_i at
    its center)) - mse(x, dec(mu)), float64 ``(k, m)``.

    ``errors`` ``(k,)`` are the ``image_errors`` of the codes, where they are known.
    """
    chosen = range(codes.shape[1]) if variables is None else variables
    base = image_errors(decode, images, codes) if errors is None else errors
    without = [image_errors(decode, images, at_center(codes, one, center)) for one in chosen]
    return torch.stack(without, dim=1) - base[:, None]
