"""Pixels in [0, 1]: brought there in a way that gradients survive, or refused outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from latentmap.errors import ModelError


def clamp_to_unit(images: Tensor) -> Tensor:
    """The images with every value brought to the nearest one in [0, 1], in their own memory.

    Gradients pass as if nothing were done. With those of ``clamp`` a pixel that a generator makes
    far too dark could never become bright again; here the gradient of its squared error from an
    image in [0, 1] leads it back.

    Example:
        >>> x = torch.tensor([-2.0, 0.5], requires_grad=True)
        >>> (clamp_to_unit(x * 1) - torch.tensor([1.0, 0.5])).square().sum().backward()
        >>> x.grad
        tensor([-2.,  0.])
    """
    return _clamp(images) if images.requires_grad else images.clamp_(0, 1)


def check_range(images: Tensor, what: str) -> None:
    """Passes where every value is in [0, 1]; ``what`` the images are is for the message.

    Raises:
        ModelError: one is outside, or no number.
    """
    if images.numel() == 0:
        return
    low, high = (float(bound) for bound in images.aminmax())
    # NaN fails both comparisons, so it is caught as well.
    if not (low >= 0 and high <= 1):
        raise ModelError(f"{what} must be in [0, 1], but they reach from {low:.4g} to {high:.4g}")


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.mark_dirty(images)
        return images.clamp_(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


_clamp: Callable[[Tensor], Tensor] = _Clamp.apply
