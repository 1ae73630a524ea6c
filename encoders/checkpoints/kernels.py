"""The filters that files carry along: of StyleGAN 1 and 2 constants, which the networks have built
in; of StyleGAN 3 those that follow from the sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.errors import CheckpointError

STYLEGAN2_TAPS = (1.0, 3.0, 3.0, 1.0)
STYLEGAN1_TAPS = (1.0, 2.0, 1.0)
# The largest files have a filter for each of 1024 channels.
_LARGEST = 2**16


def without_kernels(
    tensors: Mapping[str, TensorView], ending: str, taps: tuple[float, ...], *, gain: float | None
) -> dict[str, TensorView]:
    """The tensors that are no filters; those are the ones whose names end in ``ending``.

    A filter is, in its last two axes, the outer product of ``taps`` with itself, scaled to the sum
    ``gain``, or to any sum where that is None.

    Raises:
        CheckpointError: one is another filter.
    """
    row = torch.tensor(taps, dtype=torch.float64)
    expected = torch.outer(row, row) / row.sum() ** 2
    others = {}
    for name, view in tensors.items():
        if not name.endswith(ending):
            others[name] = view
        elif not _is_filter(view, expected, gain):
            wanted = "" if gain is None else f" with sum {gain:g}"
            raise CheckpointError(
                f"the filter {shown(name)} is not {[*map(int, taps)]} in both directions{wanted}: "
                "networks with other filters are not supported"
            )
    return others


def _is_filter(view: TensorView, expected: Tensor, gain: float | None) -> bool:
    plausible = view.dtype.is_floating_point and math.prod(view.shape) <= _LARGEST
    if not plausible or view.shape[-2:] != expected.shape:
        return False
    kernel = view.load().double()
    total = kernel.sum((-2, -1), keepdim=True) if gain is None else gain
    # Half precision, if it was stored so, moves the entries by less than the tolerance.
    return torch.allclose(kernel / total, expected.expand(view.shape), rtol=1e-2, atol=0)


def check_designed(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Passes where the filters of a StyleGAN3 generator are those of its configuration.

    Raises:
        CheckpointError: one is another: the signals are sampled in another way than is said.
    """
    for name, expected in StyleGAN3.designed(config).items():
        # Of half precision, if they were stored so, and of other versions of the window.
        if not torch.allclose(weights[name], expected, rtol=0, atol=1e-2 * float(expected.max())):
            raise CheckpointError(
                f"the filter {shown(name)} is not the one that its layer asks for: networks whose "
                "signals are sampled in another way are not supported"
            )
