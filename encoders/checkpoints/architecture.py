"""The configuration of a StyleGAN generator from the shapes of its tensors.

The tensors have their native names and layout. What shapes cannot tell - the multiplier of the
mapping's learning rate, the bound of the activations - is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latentmap.encoders.checkpoints.arguments import check_fixed, positive
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.stylegan3_geometry import signals
from latentmap.errors import CheckpointError

# Noise maps and random z are made where the file holds none, and a file may claim any size.
# Published networks end at 1024 pixels, 512 numbers and 8 layers of the mapping.
_LARGEST = 2048
_WIDEST = 2**15
_DEEPEST = 64

# The layers of a StyleGAN3 generator: number, size and channels.
_SIGNAL_LAYER = re.compile(r"synthesis\.L(\d{1,3})_(\d{1,5})_(\d{1,5})\.weight")

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


def stylegan3_config(
    tensors: Tensors,
    *,
    multiplier: float,
    conv_clamp: float | None,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """The configuration of a StyleGAN3 generator; ``arguments``, which its synthesis was made with,
    say how its signals are sampled, where that is not as in the published networks.

    Raises:
        CheckpointError: the tensors are too few, or have shapes, that no such generator has, or
            the arguments are not supported.
    """
    layers = {int(found[1]): found for found in map(_SIGNAL_LAYER.fullmatch, tensors) if found}
    last = len(layers) - 1
    if last < 1 or last > _DEEPEST or set(layers) != set(range(last + 1)):
        raise CheckpointError(
            f"the generator's synthesis has the layers {sorted(layers)[:_DEEPEST]}, not those from "
            f"0 to at most {_DEEPEST}: the file is incomplete or of a variant that is not supported"
        )
    check_fixed(arguments, {"filter_size": 6, "lrelu_upsampling": 2})
    shapes = [_shape(tensors, layers[i][0], 4) for i in range(last + 1)]
    down = tensors.get(layers[0][0].removesuffix("weight") + "down_filter")
    config = {
        **_mapping(tensors, _shape(tensors, "synthesis.input.affine.weight", 2)[1], multiplier),
        "image_shape": _image_shape(tensors, layers[last][0], int(layers[last][2])),
        "channels": [shape[0] for shape in shapes[:-1]],
        "kernel": shapes[0][-1],
        "radial": down is not None and len(down.shape) == 2,
        "critical": int(positive(arguments, "num_critical", 2)),
        "first_cutoff": positive(arguments, "first_cutoff", 2.0),
        "first_stopband": positive(arguments, "first_stopband", 2**2.1),
        "last_stopband_rel": positive(arguments, "last_stopband_rel", 2**0.3),
        "margin": int(positive(arguments, "margin_size", 10)),
        "output_scale": positive(arguments, "output_scale", 0.25),
        "conv_clamp": conv_clamp,
    }
    if shapes[0][-1] not in (1, 3):
        raise CheckpointError(
            f"the generator has convolutions of {shapes[0][-1]} pixels: 3 (StyleGAN3-T) and 1 "
            "(StyleGAN3-R) are supported"
        )
    try:
        signals(config)
    except ValueError as error:
        raise CheckpointError(
            f"the generator's layers cannot be those of StyleGAN3 ({error}): the file is damaged "
            "or of a variant that is not supported"
        ) from None
    return config


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
