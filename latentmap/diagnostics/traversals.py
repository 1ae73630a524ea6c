"""Traversals: what one latent variable does to an image."""

from __future__ import annotations

import torch

from latentmap.model import Model

# As the published traversals have them.
STEPS = (-2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25)


def traverse(
    model: Model, code: torch.Tensor, variable: int, *, center: float, unit: float
) -> torch.Tensor:
    """The images of ``code`` ``(d,)`` with one variable in turn at its ``center`` plus -2.25 to
    2.25 times its ``unit``, on the CPU.
    """
    codes = code.float().repeat(len(STEPS), 1)
    codes[:, variable] = torch.tensor(STEPS) * unit + center
    return model.decode(codes).cpu()
