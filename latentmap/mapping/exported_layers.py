"""A map as one layer of a network, in float32, and as arrays in float64.

Shapes: ``p`` source variables, ``q`` target variables; of patches of ``k x k`` cells ``C`` channels
of a cell, ``p = C k^2``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmap.errors import MapError
from latentmap.mapping.held_out_error import HELD_OUT, held_out_error
from latentmap.mapping.summary import provenance_of

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap


@dataclass(frozen=True, eq=False)
class Layer:
    """What a map does to codes ``(n, *source)``, which become ``(n, *target)``.

    Of flat codes ``weight`` is that of a linear layer ``(q, p)``. Of patches it is that of a
    convolution ``(q, C, k, k)`` whose border repeats the nearest cell. A cell is ``source_side``
    rows and columns of the source's grid, and ``target_side`` of the target's.
    """

    weight: np.ndarray
    bias: np.ndarray
    source: tuple[int, ...]
    target: tuple[int, ...]
    source_side: int = 1
    target_side: int = 1

    @property
    def size(self) -> int:
        """``k``; 0 of flat codes."""
        return self.weight.shape[-1] if self.weight.ndim == 4 else 0

    def program(self) -> str:
        """What builds it in torch, as ``network``, of the ``FILE`` with its state."""
        q, inputs = self.weight.shape[:2]
        made = f"Linear({inputs}, {q})"
        if self.size:
            border = f', padding={self.size // 2}, padding_mode="replicate"'
            made = f"Conv2d({inputs}, {q}, {self.size}{border * (self.size > 1)})"
        parts = [
            *[f"torch.nn.PixelUnshuffle({self.source_side})"] * (self.source_side > 1),
            *["torch.nn.Flatten()"] * (not self.size and len(self.source) > 1),
            "layer",
            *[f"torch.nn.Unflatten(1, {self.target})"] * (not self.size and len(self.target) > 1),
            *[f"torch.nn.PixelShuffle({self.target_side})"] * (self.target_side > 1),
        ]
        whole = f"torch.nn.Sequential({', '.join(parts)})" if len(parts) > 1 else "layer"
        return (
            "import torch\n"
            "from safetensors.torch import load_file\n"
            f"layer = torch.nn.{made}\n"
            'layer.load_state_dict(load_file("FILE"))\n'
            f"network = {whole}\n"
        )


def layer_of(
    linear_map: LinearMap | StoredMap, format: str, *, gain: float = 1.0, shift: float = 0.0
) -> Layer:
    """The layer that a map is, whose outputs are those of the map times ``gain`` plus ``shift``;
    ``format`` is what asks for it.

    Raises:
        MapError: its numbers are too large for float32, or its cells are not square.
    """
    with np.errstate(over="ignore"):  # They are looked at.
        weight = (gain * np.asarray(linear_map.weight).T).astype(np.float32)
        bias = (gain * np.asarray(linear_map.bias) + shift).astype(np.float32)
    if not np.isfinite(weight).all() or not np.isfinite(bias).all():
        raise MapError("the numbers of this map are too large for float32: export it as numpy")
    source, target = linear_map.source.shape, linear_map.target.shape
    patches = linear_map.patches
    if patches is None:
        return Layer(weight, bias, source, target)
    weight = weight.reshape(patches.q, patches.channels, patches.size, patches.size)
    sides = (_side(patches.source_fold, format), _side(patches.target_fold, format))
    return Layer(weight, bias, source, target, *sides)


def _side(fold: tuple[int, int], format: str) -> int:
    if fold[0] != fold[1]:
        raise MapError(
            f"{format} has no layer for cells that are not square, and this map has some of "
            f"{fold[0]}x{fold[1]}: export it as numpy"
        )
    return fold[0]


def about(linear_map: LinearMap | StoredMap, **more: Any) -> dict[str, Any]:
    """What every export says of a map: its spaces, how it was fitted, and its errors on images that
    it was not fitted on, None where these are not known.
    """
    from latentmap import __version__

    error = held_out_error(linear_map)
    return {
        **more,
        **provenance_of(linear_map),
        HELD_OUT: None if error is None else error.to_json(),
        "made_by": f"latentmap {__version__}",
    }


def safetensors_bytes(layer: Layer, said: Mapping[str, Any]) -> bytes:
    """A safetensors file of ``weight`` and ``bias``, with ``about``, a text of JSON: what is
    ``said``, and as ``use`` the program that builds the network.
    """
    from safetensors.numpy import save

    arrays = {"weight": np.ascontiguousarray(layer.weight), "bias": layer.bias}
    # One text: the order of several is not the same twice.
    found: bytes = save(arrays, {"about": json.dumps({"use": layer.program(), **said})})
    return found


def torch_bytes(linear_map: LinearMap | StoredMap) -> bytes:
    """The state of the layer."""
    return safetensors_bytes(layer_of(linear_map, "torch"), about(linear_map))


def numpy_bytes(linear_map: LinearMap | StoredMap) -> bytes:
    """``weight`` ``(p, q)`` and ``bias`` ``(q,)`` in float64, ``source_shape``, ``target_shape``,
    ``patch`` and ``cells`` (0 for flat codes), and ``about``, a text of JSON.
    """
    patches = linear_map.patches
    file = io.BytesIO()
    np.savez(
        file,
        weight=np.asarray(linear_map.weight),
        bias=np.asarray(linear_map.bias),
        source_shape=np.array(linear_map.source.shape),
        target_shape=np.array(linear_map.target.shape),
        patch=np.array(patches.size if patches else 0),
        cells=np.array([patches.height, patches.width] if patches else [0, 0]),
        about=np.array(json.dumps(about(linear_map))),
    )
    return file.getvalue()
