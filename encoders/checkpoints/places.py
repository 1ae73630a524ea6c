"""Where the layers stand in our generators: repositories that count them through meet here."""

from __future__ import annotations

from collections.abc import Mapping

from latentmap.encoders.checkpoints.unsaid import FusedScale
from latentmap.encoders.checkpoints.views import Change

# From this size on, StyleGAN1 doubles the size and convolves in one step, a transposed convolution.
# Its weight is that of our two steps, turned by half a turn.
FUSED_FROM = 128

# What a layer's tensors are called in a file -> the native name, and how the layout changes.
Parts = Mapping[str, tuple[str, Change]]


def fused_from(fused_scale: FusedScale) -> int:
    """The size from which on StyleGAN1 doubles the size and convolves in one step."""
    return {"auto": FUSED_FROM, "all": 8, "none": 2**31}[fused_scale]


def stylegan2_layer(index: int) -> str:
    """The native name of a StyleGAN2 convolution: one at 4 pixels, then two for every size."""
    size, layer = divmod(index + 1, 2)
    return f"synthesis.b{4 * 2**size}.conv{layer if size else 1}"


def stylegan1_epilogue(index: int) -> str:
    """The native name of a StyleGAN1 layer's end, its noise and style: two for every size."""
    size, layer = divmod(index, 2)
    return f"synthesis.b{4 * 2**size}.epi{layer}"


def renamed(place: str, parts: Parts, name: str) -> tuple[str, Change] | None:
    """The native name of a layer's tensor, and how its layout changes; None for another tensor."""
    if name not in parts:
        return None
    part, change = parts[name]
    return f"{place}.{part}", change
