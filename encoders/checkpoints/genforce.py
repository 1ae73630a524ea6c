"""Files of genforce (StyleGAN1 and StyleGAN2): converted ones, and those of its own training.

Layers are counted through. In StyleGAN2, weights that double the size are stored turned by half a
turn, and the style biases lack their 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from latentmap.encoders.checkpoints.assembly import (
    refuse_growing,
    refuse_others,
    stylegan1,
    stylegan2,
)
from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.conversion import (
    STYLEGAN1,
    STYLEGAN2,
    UNKNOWN,
    Converted,
    Network,
    Recognised,
)
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.kernels import (
    STYLEGAN1_TAPS,
    STYLEGAN2_TAPS,
    without_kernels,
)
from latentmap.encoders.checkpoints.modules import candidates, class_name, named, network_tensors
from latentmap.encoders.checkpoints.places import (
    Parts,
    fused_from,
    renamed,
    stylegan1_epilogue,
    stylegan2_layer,
)
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.checkpoints.views import (
    Change,
    average,
    plus_one,
    single,
    square,
    translate,
    turned,
    unchanged,
    without_batch,
)

FORMAT = "genforce"
_NOTHING = Unsaid()

# A tensor that only this kind of network has -> what it is.
_KINDS = {
    "synthesis.early_layer.const": STYLEGAN2,
    "synthesis.layer0.const": STYLEGAN1,
}

_COMMON: Parts = {
    "truncation.w_avg": ("mapping.w_avg", average),
    "mapping.label_weight": ("mapping.label.weight", unchanged),
    "synthesis.early_layer.const": ("synthesis.b4.const", without_batch),
    "synthesis.layer0.const": ("synthesis.b4.const", without_batch),
}
_STYLEGAN2_LAYER: Parts = {
    "weight": ("weight", unchanged),
    "bias": ("bias", unchanged),
    "noise": ("noise_const", square),
    "noise_strength": ("noise_strength", single),
    "style.weight": ("affine.weight", unchanged),
    "style.bias": ("affine.bias", plus_one),
}
_STYLEGAN1_EPILOGUE: Parts = {
    "bias": ("bias", unchanged),
    "apply_noise.weight": ("noise_weight", unchanged),
    "apply_noise.noise": ("noise_const", square),
    "style.weight": ("affine.weight", unchanged),
    "style.bias": ("affine.bias", unchanged),
}

_LAYER = re.compile(r"synthesis\.layer(\d{1,2})\.(.+)")
_OUTPUT = re.compile(r"synthesis\.output(\d{1,2})\.(.+)")


def recognise_genforce(file: ForeignFile) -> Recognised | None:
    """The networks of a file of genforce; None for another file."""
    models = named(file.value).get("models", file.value)
    networks = tuple(
        network
        for name, value in candidates(models, file.walk).items()
        if (network := _network(name, value, file.walk))
    )
    if not any(network.kind in _KINDS.values() for network in networks):
        return None
    convert = partial(_convert, networks)
    return Recognised(FORMAT, networks, convert, convert_knowing=convert)


def _network(name: str, value: Any, walk: Budget) -> Network | None:
    tensors = network_tensors(value, walk)
    if not tensors:
        return None
    # The discriminator's names are no others than a classifier's.
    other = name if name == "discriminator" else UNKNOWN
    kind = next((kind for tensor, kind in _KINDS.items() if tensor in tensors), other)
    return Network(name, kind, tensors, class_name(value))


def _convert(networks: tuple[Network, ...], unsaid: Unsaid = _NOTHING) -> Converted:
    generators = {network.name: network for network in networks if network.kind in _KINDS.values()}
    smooth = "generator_smooth" in generators
    generator = generators["generator_smooth" if smooth else min(generators)]
    notes = []
    if generator.name == "generator":
        notes.append("the file holds no moving average generator_smooth: generator was taken")
    if unsaid.final_tanh is None:
        notes.append("the file does not say final_tanh: none was assumed (--final-tanh)")
    convert = _convert_stylegan1 if generator.kind == STYLEGAN1 else _convert_stylegan2
    return convert(generator.tensors, unsaid, notes)


def _convert_stylegan2(
    tensors: Mapping[str, TensorView], unsaid: Unsaid, notes: list[str]
) -> Converted:
    unsaid.refuse_beside(("final_tanh",), "a StyleGAN2 generator")
    native, others = translate(tensors, _stylegan2_name)
    refuse_others(without_kernels(others, ".kernel", STYLEGAN2_TAPS, gain=None))
    return stylegan2(native, final_tanh=bool(unsaid.final_tanh), notes=notes)


def _convert_stylegan1(
    tensors: Mapping[str, TensorView], unsaid: Unsaid, notes: list[str]
) -> Converted:
    if unsaid.fused_scale is None:
        notes.append(
            "the file does not say fused_scale: auto, from 128 pixels on, was assumed "
            "(--fused-scale)"
        )
    outputs = [int(output[1]) for name in tensors if (output := _OUTPUT.fullmatch(name))]
    naming = partial(
        _stylegan1_name,
        last=max(outputs, default=0),
        turned_from=fused_from(unsaid.fused_scale or "auto"),
    )
    native, others = translate(tensors, naming)
    refuse_growing(others.pop("synthesis.lod", None))
    others = without_kernels(others, ".kernel", STYLEGAN1_TAPS, gain=1.0)
    # Only a growing network turns smaller images into colours.
    refuse_others(name for name in others if not _OUTPUT.fullmatch(name))
    return stylegan1(
        native,
        epsilon=unsaid.instance_norm_epsilon,
        final_tanh=bool(unsaid.final_tanh),
        notes=notes,
    )


def _stylegan2_name(name: str) -> tuple[str, Change] | None:
    if layer := _LAYER.fullmatch(name):
        index = int(layer[1])
        if layer[2] == "weight" and index % 2:
            return f"{stylegan2_layer(index)}.weight", turned
        return renamed(stylegan2_layer(index), _STYLEGAN2_LAYER, layer[2])
    if output := _OUTPUT.fullmatch(name):
        return renamed(f"synthesis.b{4 * 2 ** int(output[1])}.torgb", _STYLEGAN2_LAYER, output[2])
    return _common_name(name)


def _stylegan1_name(name: str, *, last: int, turned_from: int) -> tuple[str, Change] | None:
    layer = _LAYER.fullmatch(name)
    if layer and layer[2] == "weight":
        size, second = divmod(int(layer[1]), 2)
        resolution = 4 * 2**size
        change = turned if not second and resolution >= turned_from else unchanged
        return f"synthesis.b{resolution}.conv{second}.weight", change
    if layer and layer[2] != "const":
        return renamed(stylegan1_epilogue(int(layer[1])), _STYLEGAN1_EPILOGUE, layer[2])
    if output := _OUTPUT.fullmatch(name):
        return (f"synthesis.torgb.{output[2]}", unchanged) if int(output[1]) == last else None
    return _common_name(name)


def _common_name(name: str) -> tuple[str, Change] | None:
    if dense := re.fullmatch(r"mapping\.dense(\d{1,2})\.(weight|bias)", name):
        return f"mapping.fc{dense[1]}.{dense[2]}", unchanged
    return _COMMON.get(name)
