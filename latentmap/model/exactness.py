"""Arithmetic that is the same on every device, as far as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch


@contextmanager
def exact_arithmetic(device: torch.device, *, full: bool = True) -> Iterator[None]:
    """A context in which what runs on ``device`` gives the same every time and, if ``full``, rounds
    as float32 does.

    On CUDA, torch lets convolutions round to TF32's ten bits, and matrix products where a program
    has asked for that; and cuDNN may choose algorithms for transposed convolutions that add in any
    order. Codes and images must not depend on it. The settings are those of the process; in the
    end they are as they were.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    products, float32 = _float32_settings() if full else (None, {})
    wanted = {(cudnn, "deterministic"): True, (cudnn, "benchmark"): False, **float32}
    before = {place: getattr(*place) for place in wanted}
    try:
        if products is not None:
            torch.set_float32_matmul_precision("highest")
        for (owner, name), value in wanted.items():
            setattr(owner, name, value)
        yield
    finally:
        if products is not None:
            torch.set_float32_matmul_precision(products)
        for (owner, name), value in before.items():
            setattr(owner, name, value)


def _float32_settings() -> tuple[str | None, dict[tuple[Any, str], Any]]:
    """The precision of matrix products that the program has asked for, if it is not the highest;
    and the other settings that make products and convolutions round as float32 does.

    Torch has older and newer settings of the same. The older cannot be read where a program has
    used the newer so that they differ; set in this order they agree.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: dict[tuple[Any, str], Any] = {}
    asked = None
    try:
        asked = torch.get_float32_matmul_precision()
    except RuntimeError:
        wanted[matmul, "fp32_precision"] = "ieee"
    with suppress(RuntimeError):
        _ = cudnn.allow_tf32
        wanted[cudnn, "allow_tf32"] = False
    if hasattr(cudnn, "conv"):
        wanted |= {(one, "fp32_precision"): "ieee" for one in (cudnn.conv, cudnn.rnn)}
    return (None if asked == "highest" else asked), wanted
