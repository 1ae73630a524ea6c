"""Arithmetic that is the same on every device, as far as it can be."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def exact_convolutions(device: torch.device) -> AbstractContextManager[None]:
    """A context in which convolutions on ``device`` round as float32 does.

    On CUDA, torch lets them round to TF32's ten bits; codes must not depend on it.
    """
    if device.type != "cuda":
        return nullcontext()
    cudnn = torch.backends.cudnn
    flags: AbstractContextManager[None] = cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    )
    return flags
