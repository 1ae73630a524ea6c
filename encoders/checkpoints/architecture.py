"""The configuration of a StyleGAN generator from the shapes of its tensors.

The tensors have their native names and layout. What shapes cannot tell - the multiplier of the
mapping's learning rate, the bound of the activations - is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError

# Noise maps and random z are made where the file holds none, and a file may claim any size.
# Published networks end at 1024 pixels, 512 numbers and 8 layers of the mapping.
_LARGEST = 2048
_WIDEST = 2**15
_DEEPEST = 64

Tensors = Mapping[str, TensorView]


def stylegan2_config(
    tensors: Tensors, *, multiplier: float, conv_clamp: float | None
) -> dict[str, Any]:
    """The configuration of a StyleGAN2 generator.

    Raises:
        CheckpointError: the tensors are too few, or have shapes, that no such generator has.
    """
    channels = _channels(tensors)
    resolution = 4 * 2 ** (len(channels) - 1)
    return {
        **_mapping(tensors, _shape(tensors, "synthesis.b4.conv1.affine.weight", 2)[1], multiplier),
        "image_shape": _image_shape(tensors, f"synthesis.b{resolution}.torgb.weight", resolution),
        "channels": channels,
        "architecture": _stylegan2_architecture(tensors, resolution),
        "conv_clamp": conv_clamp,
    }


def stylegan1_config(tensors: Tensors, *, multiplier: float) -> dict[str, Any]:
    """The configuration of a StyleGAN1 generator.

    Raises:
        CheckpointError: the tensors are too few, or have shapes, that no such generator has.
    """
    channels = _channels(tensors)
    resolution = 4 * 2 ** (len(channels) - 1)
    return {
        **_mapping(tensors, _shape(tensors, "synthesis.b4.epi0.affine.weight", 2)[1], multiplier),
        "image_shape": _image_shape(tensors, "synthesis.torgb.weight", resolution),
        "channels": channels,
    }


def _stylegan2_architecture(tensors: Tensors, resolution: int) -> str:
    if any(name.endswith(".skip.weight") for name in tensors):
        return "resnet"
    # At 4 pixels alone, the first resolution is the last one too, and both are the same network.
    return "skip" if "synthesis.b4.torgb.weight" in tensors and resolution > 4 else "orig"


def _channels(tensors: Tensors) -> list[int]:
    channels = [_shape(tensors, "synthesis.b4.const", 3)[0]]
    resolution = 8
    while f"synthesis.b{resolution}.conv1.weight" in tensors:
        if resolution > _LARGEST:
            raise CheckpointError(
                f"the generator makes images of more than {_LARGEST} pixels: this is no network "
                "that was trained"
            )
        channels.append(_shape(tensors, f"synthesis.b{resolution}.conv1.weight", 4)[0])
        resolution *= 2
    return channels


def _image_shape(tensors: Tensors, torgb: str, resolution: int) -> list[int]:
    colors = _shape(tensors, torgb, 4)[0]
    if colors not in (1, 3):
        raise CheckpointError(
            f"the generator makes images of {colors} channels: grey (1) and RGB (3) are supported"
        )
    return [colors, resolution, resolution]


def _mapping(tensors: Tensors, w_dim: int, multiplier: float) -> dict[str, Any]:
    hidden, inputs = _shape(tensors, "mapping.fc0.weight", 2)
    layers = 1
    while f"mapping.fc{layers}.weight" in tensors:
        layers += 1
    z_dim, c_dim, embed_dim, label = inputs, 0, 0, "none"
    if "mapping.embed.weight" in tensors:
        embed_dim, c_dim = _shape(tensors, "mapping.embed.weight", 2)
        z_dim, label = inputs - embed_dim, "embed"
    elif "mapping.label.weight" in tensors:
        c_dim, width = _shape(tensors, "mapping.label.weight", 2)
        z_dim, label = inputs - width, "concat"
    if z_dim < 1:
        raise CheckpointError(
            f"the generator's mapping takes {inputs} numbers, all of them from the class: it needs "
            "a z as well"
        )
    if max(inputs, c_dim, hidden, w_dim) > _WIDEST or layers > _DEEPEST:
        raise CheckpointError(
            f"the generator's mapping has more than {_WIDEST} numbers or {_DEEPEST} layers: this "
            "is no network that was trained"
        )
    return {
        "latent_dim": w_dim,
        "z_dim": z_dim,
        "c_dim": c_dim,
        "label": label,
        "embed_dim": embed_dim,
        "mapping_layers": layers,
        "mapping_dim": hidden if layers > 1 else w_dim,
        "mapping_multiplier": multiplier,
    }


def _shape(tensors: Tensors, name: str, axes: int) -> tuple[int, ...]:
    """The shape of a tensor that says how the network is built."""
    if name not in tensors:
        raise CheckpointError(
            f"the generator has no {name} (as it is named here): the file is incomplete or of a "
            "variant that is not supported"
        )
    shape = tensors[name].shape
    if len(shape) != axes or 0 in shape:
        raise CheckpointError(
            f"the generator's {name} (as it is named here) has the shape {shape}, not one of "
            f"{axes} axes: the file is damaged or of a variant that is not supported"
        )
    return shape
