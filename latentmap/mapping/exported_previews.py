"""Latent previews: a map from the latents of an autoencoder to the colours of a thumbnail, as
programs for diffusion models take them.

Latents are the codes of the source, which are those that a diffusion model works on: what diffusers
hands to ``callback_on_step_end``, and what ComfyUI has after ``process_in``. Colours are RGB in
[-1, 1], black to white, of which ``(x + 1) / 2`` is in [0, 1]; those of the map are in [0, 1], so
that its weight is doubled and its bias becomes ``2 b - 1``.

Shapes: ``c`` channels of latents, ``p = c k^2`` of patches of ``k x k``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from latentmap.codes import PIXELS
from latentmap.errors import MapError
from latentmap.mapping.exported_layers import Layer, about, layer_of, safetensors_bytes

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap

_DIGITS = 8
_FORMULA = (
    "RGB in [-1, 1] = latents @ latent_rgb_factors + latent_rgb_factors_bias at every position, "
    "(RGB + 1) / 2 in [0, 1]; latents as the source encodes them, of a diffusion model scaled and "
    "shifted, which is what ComfyUI has after process_in"
)
_RESHAPED = (
    "; latent_rgb_factors_reshape is set as an attribute in __init__ and comes after the one that "
    "the class has already, if any"
)


def diffusers_bytes(linear_map: LinearMap | StoredMap) -> bytes:
    """The state of a convolution from latents to RGB in [-1, 1], as diffusers decodes images."""
    layer = _preview(linear_map, "diffusers")
    return safetensors_bytes(layer, about(linear_map, output="RGB in [-1, 1]"))


def comfyui_bytes(linear_map: LinearMap | StoredMap) -> bytes:
    """JSON to be pasted into a class of ``latent_formats.py``: ``latent_rgb_factors`` ``(p, 3)``, a
    row a line, and ``latent_rgb_factors_bias``. Of patches of more than a cell the rows are those
    of the latents that ``latent_rgb_factors_reshape`` gives, the text of a function.
    """
    layer = _preview(linear_map, "comfyui")
    rows = [_row(row) for row in layer.weight.reshape(3, -1).T]
    parts = {
        "latent_rgb_factors": "[\n    " + ",\n    ".join(rows) + "\n  ]",
        "latent_rgb_factors_bias": _row(layer.bias),
    }
    if layer.size > 1:
        parts["latent_rgb_factors_reshape"] = json.dumps(_unfolding(layer.size))
    formula = _FORMULA + _RESHAPED * (layer.size > 1)
    said = about(linear_map, about=formula).items()
    parts |= {name: json.dumps(value) for name, value in said}
    lines = ",\n".join(f"  {json.dumps(name)}: {text}" for name, text in parts.items())
    return f"{{\n{lines}\n}}\n".encode()


def _preview(linear_map: LinearMap | StoredMap, format: str) -> Layer:
    """The layer from latents to RGB in [-1, 1].

    Raises:
        MapError: the map is none from the positions of a grid to one colour each.
    """
    target, patches = linear_map.target, linear_map.patches
    what = f"{format} takes a latent preview,"
    if target.kind != PIXELS or target.shape[0] != 3:
        raise MapError(
            f"{what} a map into pixels of three colours, and this one goes to {target}: fit one "
            "with --dst pixels:8"
        )
    if patches is None:
        raise MapError(
            f"{what} one map for all positions of a grid, and this one is of flat codes of "
            f"{linear_map.source}: fit with --patch 1 or 3 from codes (c, h, w)"
        )
    _, height, width = patches.source
    if patches.source[1:] != patches.target[1:]:
        raise MapError(
            f"{what} one colour for each position of the latents, and this map makes "
            f"{patches.target[1]}x{patches.target[2]} of {height}x{width}: fit one with --dst "
            f"pixels:{height}x{width}"
        )
    return layer_of(linear_map, format, gain=2.0, shift=-1.0)


def _row(numbers: np.ndarray) -> str:
    return json.dumps([float(f"{number:.{_DIGITS}g}") for number in numbers.tolist()])


def _unfolding(size: int) -> str:
    """The text of a function from latents to those with their neighbours as channels."""
    reach = size // 2
    functional = "torch.nn.functional"
    border = f'{functional}.pad(t, {(reach,) * 4}, mode="replicate")'
    return f"lambda t: {functional}.unfold({border}, {size}).unflatten(2, t.shape[-2:])"
