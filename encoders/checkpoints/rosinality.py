"""Files of rosinality's stylegan2-pytorch, and of the encoders that are trained around its
generator: pSp, e4e, ReStyle, HyperStyle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from latentmap.encoders.checkpoints.assembly import refuse_others, stylegan2
from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.conversion import STYLEGAN2, Converted, Network, Recognised
from latentmap.encoders.checkpoints.descriptions import described_mapping
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.inversion_encoders import encoder_kind
from latentmap.encoders.checkpoints.kernels import STYLEGAN2_TAPS, without_kernels
from latentmap.encoders.checkpoints.modules import (
    candidates,
    class_name,
    named,
    network_tensors,
)
from latentmap.encoders.checkpoints.places import Parts, renamed, stylegan2_layer
from latentmap.encoders.checkpoints.values import TensorView, as_mapping
from latentmap.encoders.checkpoints.views import (
    Change,
    average,
    flat,
    single,
    square,
    translate,
    unchanged,
    without_batch,
)

FORMAT = "rosinality's stylegan2-pytorch, or pSp, e4e, ReStyle or HyperStyle around it"

_LAYER: Parts = {
    "conv.weight": ("weight", without_batch),
    "conv.modulation.weight": ("affine.weight", unchanged),
    "conv.modulation.bias": ("affine.bias", unchanged),
    "noise.weight": ("noise_strength", single),
    "activate.bias": ("bias", unchanged),
}
_COLOURS: Parts = {
    "conv.weight": ("weight", without_batch),
    "conv.modulation.weight": ("affine.weight", unchanged),
    "conv.modulation.bias": ("affine.bias", unchanged),
    "bias": ("bias", flat),
}


def recognise_rosinality(file: ForeignFile) -> Recognised | None:
    """The networks of a file around rosinality's generator; None for another file."""
    contents = named(file.value)
    if "state_dict" in contents:
        tensors = network_tensors(contents["state_dict"], file.walk)
        networks = _parts(tensors, as_mapping(contents.get("opts")))
        options = contents.get("opts")
    else:
        networks = tuple(
            network
            for name, value in candidates(file.value, file.walk).items()
            if (network := _network(name, value, file.walk))
        )
        options = contents.get("args")
    if not any(_is_generator(network.tensors) for network in networks):
        return None
    return Recognised(
        FORMAT,
        networks,
        partial(_convert, networks, contents.get("latent_avg")),
        described_mapping(options),
    )


def _is_generator(tensors: Mapping[str, TensorView]) -> bool:
    return {"input.input", "style.1.weight", "conv1.conv.weight"} <= tensors.keys()


def _network(name: str, value: Any, walk: Budget) -> Network | None:
    tensors = network_tensors(value, walk)
    if _is_generator(tensors):
        return Network(name, STYLEGAN2, tensors, class_name(value))
    if "final_conv.0.weight" in tensors:
        return Network(name, "discriminator", tensors, class_name(value))
    return None


def _parts(tensors: Mapping[str, TensorView], options: Mapping[Any, Any]) -> tuple[Network, ...]:
    """The networks of a file that keeps them all in one dictionary: each has its prefix."""
    parts: dict[str, dict[str, TensorView]] = {}
    for full, view in tensors.items():
        name, _, inner = full.partition(".")
        parts.setdefault(name, {})[inner] = view
    return tuple(
        Network(name, STYLEGAN2 if _is_generator(part) else encoder_kind(part, options), part)
        for name, part in parts.items()
    )


def _convert(networks: tuple[Network, ...], mean_code: Any) -> Converted:
    generators = {network.name: network for network in networks if network.kind == STYLEGAN2}
    name = next((name for name in ("g_ema", "decoder") if name in generators), min(generators))
    notes = []
    if name == "g":
        notes.append("the file holds no moving average g_ema: g was taken")
    tensors, others = translate(generators[name].tensors, _native_name)
    refuse_others(without_kernels(others, ".kernel", STYLEGAN2_TAPS, gain=4.0))
    if isinstance(mean_code, TensorView):
        averages, _ = translate({"latent_avg": mean_code}, lambda _: ("mapping.w_avg", average))
        tensors |= averages
    return stylegan2(tensors, notes=notes)


def _native_name(name: str) -> tuple[str, Change] | None:
    """The native name of a generator's tensor, and how its layout changes."""
    if name == "input.input":
        return "synthesis.b4.const", without_batch
    if dense := re.fullmatch(r"style\.(\d{1,2})\.(weight|bias)", name):
        # The first step of the sequence normalises z and has no tensors.
        return f"mapping.fc{int(dense[1]) - 1}.{dense[2]}", unchanged
    if noise := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"{stylegan2_layer(int(noise[1]))}.noise_const", square
    if convolution := re.fullmatch(r"(?:conv1|convs\.(\d{1,2}))\.(.+)", name):
        index = 0 if convolution[1] is None else int(convolution[1]) + 1
        return renamed(stylegan2_layer(index), _LAYER, convolution[2])
    if colours := re.fullmatch(r"to_rgb(?:1|s\.(\d{1,2}))\.(.+)", name):
        size = 0 if colours[1] is None else int(colours[1]) + 1
        return renamed(f"synthesis.b{4 * 2**size}.torgb", _COLOURS, colours[2])
    return None
