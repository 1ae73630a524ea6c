"""What the layers of StyleGAN 1 and 2 share: values derived from weights, and filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

import torch
import torch.nn.functional as functional
from torch import Tensor

Value = TypeVar("Value")


class Derived(Generic[Value]):
    """A value computed from a weight for a precision, and kept until one of the two changes.

    Nothing is kept while gradients flow to the weight. A change through ``weight.data`` that
    leaves the storage where it is cannot be seen.
    """

    def __init__(self, compute: Callable[[Tensor, torch.dtype], Value]) -> None:
        self._compute = compute
        self._source: Tensor | None = None
        self._made_for: tuple[int, int, torch.dtype] | None = None
        self._value: Value

    def __call__(self, weight: Tensor, dtype: torch.dtype) -> Value:
        """The value for this weight in this precision."""
        if torch.is_grad_enabled() and weight.requires_grad:
            return self._compute(weight, dtype)
        key = (weight.data_ptr(), weight._version, dtype)
        if self._made_for != key:
            # A value made in inference mode could not serve a gradient later.
            with torch.inference_mode(False), torch.no_grad():
                # The alias holds the storage: no other weight can come to the same address.
                self._source = weight.detach()
                self._value = self._compute(self._source, dtype)
            self._made_for = key
        return self._value


def smooth(x: Tensor, taps: tuple[float, ...], bias: Tensor | None = None) -> Tensor:
    """x filtered in both directions, one pixel of zeros around it (a depthwise convolution)."""
    return functional.conv2d(x, _filter(taps, x.shape[1], x), bias, padding=1, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """x at twice the size: zeros inserted, and filtered by [1, 3, 3, 1] in both directions."""
    kernel = _filter((0.25, 0.75, 0.75, 0.25), x.shape[1], x)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def _filter(taps: tuple[float, ...], channels: int, like: Tensor) -> Tensor:
    return _constant_filter(taps, channels, like.dtype, like.device)


# Kept, since bringing it to a GPU at every call would make the program wait for the GPU.
@lru_cache
def _constant_filter(
    taps: tuple[float, ...], channels: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(False):
        row = torch.tensor(taps)
        kernel = torch.outer(row, row).expand(channels, 1, -1, -1)
        return kernel.to(device, dtype).contiguous()
