"""Files of NVIDIA's PyTorch repositories (stylegan2-ada-pytorch, stylegan3) and what derives from
them: networks as persistence objects, as modules that were saved whole, or as their tensors.

The names of the tensors of a StyleGAN2 or StyleGAN3 generator are also the native ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from latentmap.encoders.checkpoints.arguments import positive
from latentmap.encoders.checkpoints.assembly import (
    MULTIPLIER,
    no_generator,
    stylegan2,
    stylegan3,
)
from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.conversion import (
    STYLEGAN2,
    STYLEGAN3,
    UNKNOWN,
    Converted,
    Network,
    Recognised,
)
from latentmap.encoders.checkpoints.descriptions import described_mapping, in_words, shown
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.kernels import STYLEGAN2_TAPS, without_kernels
from latentmap.encoders.checkpoints.modules import (
    candidates,
    class_name,
    constructor_arguments,
    named,
    network_tensors,
    source_digest,
    submodules,
)
from latentmap.errors import CheckpointError

FORMAT = "NVIDIA's stylegan2-ada-pytorch or stylegan3"

# A tensor that only this kind of network has -> what it is; one is in every file of theirs.
_KINDS = {
    "synthesis.b4.const": STYLEGAN2,
    "synthesis.input.freqs": STYLEGAN3,
    "b4.out.weight": "discriminator",
    "Hz_geom": "augmentation",
}

# The attributes of modules by their paths, such as ``synthesis.b4.``.
Attributes = Mapping[str, Mapping[str, Any]]

_CONVERTED = (STYLEGAN2, STYLEGAN3)
# The bound of StyleGAN3's activations where nothing else is said.
_CLAMP = 256.0


def recognise_nvlabs(file: ForeignFile) -> Recognised | None:
    """The networks of a file of NVIDIA's PyTorch repositories; None for another file."""
    objects = candidates(file.value, file.walk)
    networks = tuple(
        network for name, value in objects.items() if (network := _network(name, value, file.walk))
    )
    if not any(sign in network.tensors for network in networks for sign in _KINDS):
        return None
    return Recognised(
        FORMAT,
        networks,
        partial(_convert, networks, objects, file.walk),
        described_mapping(named(file.value).get("training_set_kwargs")),
    )


def _network(name: str, value: Any, walk: Budget) -> Network | None:
    tensors = network_tensors(value, walk)
    if not tensors:
        return None
    return Network(
        name,
        next((kind for tensor, kind in _KINDS.items() if tensor in tensors), UNKNOWN),
        tensors,
        class_name(value),
        constructor_arguments(value),
        source_digest(value),
    )


def _convert(networks: tuple[Network, ...], objects: Mapping[str, Any], walk: Budget) -> Converted:
    generators = {network.name: network for network in networks if network.kind in _CONVERTED}
    if not generators:
        raise no_generator(networks)
    name = next((name for name in ("G_ema", "G") if name in generators), min(generators))
    notes = [f"the file holds no moving average G_ema: {name} was taken"] if name == "G" else []
    states = submodules(objects[name], walk)
    attributes = {path.removeprefix("module."): state for path, state in states}
    _check_activations(attributes)
    convert = _convert_stylegan3 if generators[name].kind == STYLEGAN3 else _convert_stylegan2
    return convert(generators[name], attributes, notes)


def _convert_stylegan2(generator: Network, attributes: Attributes, notes: list[str]) -> Converted:
    tensors = without_kernels(generator.tensors, ".resample_filter", STYLEGAN2_TAPS, gain=1.0)
    if not attributes:
        notes.append("the file does not say whether activations were clamped: they are not")
    return stylegan2(
        tensors,
        multiplier=_multiplier(attributes),
        conv_clamp=_clamp(attributes, None),
        notes=notes,
    )


def _convert_stylegan3(generator: Network, attributes: Attributes, notes: list[str]) -> Converted:
    if not attributes:
        notes.append(
            "the file does not say how signals are sampled and bounded: as in the published "
            "networks, whose filters it has"
        )
    return stylegan3(
        generator.tensors,
        multiplier=_multiplier(attributes),
        conv_clamp=_clamp(attributes, _CLAMP),
        arguments=_synthesis_arguments(attributes),
        notes=notes,
    )


def _synthesis_arguments(attributes: Attributes) -> dict[str, Any]:
    """What the synthesis was made with, as the generator and the synthesis itself say it."""
    arguments = named(attributes.get("", {}).get("_init_kwargs"))
    arguments |= named(arguments.get("synthesis_kwargs"))
    return arguments | named(attributes.get("synthesis.", {}).get("_init_kwargs"))


def _multiplier(attributes: Attributes) -> float:
    return positive(attributes.get("mapping.fc0.", {}), "bias_gain", MULTIPLIER)


def _check_activations(attributes: Attributes) -> None:
    for path, state in attributes.items():
        # Styles, the embedding of the class and the colours are linear.
        styled = path.endswith((".conv0.", ".conv1.")) or path.startswith("mapping.fc")
        activation = state.get("activation", "lrelu")
        if styled and activation != "lrelu":
            raise CheckpointError(
                f"the layer {shown(path)} has the activation {in_words(activation)}: only "
                "networks with lrelu are supported"
            )


def _clamp(attributes: Attributes, default: float | None) -> float | None:
    """The bound of the activations, which all layers of the published networks share; ``default``
    where none says it.
    """
    clamps = {
        positive(state, "conv_clamp", None)
        for path, state in attributes.items()
        if path.startswith("synthesis.")
        and "conv_clamp" in state
        # The shortcut of a residual block has the argument too, and leaves it out.
        and not path.endswith(".skip.")
    }
    if len(clamps) > 1:
        raise CheckpointError(
            "the layers clamp their activations differently: this variant is not supported"
        )
    return next(iter(clamps), default)
