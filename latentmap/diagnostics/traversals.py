"""Traversals: what one latent variable, or a channel of spatial codes, does to an image."""

from __future__ import annotations

import torch

from latentmap.codes.channels import by_position
from latentmap.model import Model

# As the published traversals have them.
STEPS = (-2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25)


def traverse(
    model: Model, code: torch.Tensor, variable: int, *, center: float, unit: float
) -> torch.Tensor:
    """The images of ``code`` ``(d,)`` with one variable in turn at its ``center`` plus -2.25 to
    2.25 times its ``unit``, on the CPU.

    Of spatial codes it is the number of a channel, which is moved as far at all positions: its mean
    over them takes those values, and what positions differ by stays.
    """
    codes = code.float().repeat(len(STEPS), 1)
    channel = by_position(codes, model.latent_shape)[:, :, variable]
    # One position has no difference, which floating point says exactly.
    away = channel - channel.mean(1, keepdim=True)
    channel.copy_(away + (torch.tensor(STEPS) * unit + center)[:, None])
    return model.decode(codes).cpu()
