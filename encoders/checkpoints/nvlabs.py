"""Files of NVIDIA's PyTorch repositories (stylegan2-ada-pytorch, stylegan3) and what derives from
them: networks as persistence objects, as modules that were saved whole, or as their tensors.

The names of a StyleGAN2 generator's tensors are also the native ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from latentmap.encoders.checkpoints.arguments import positive
from latentmap.encoders.checkpoints.assembly import MULTIPLIER, no_generator, stylegan2
from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.conversion import (
    STYLEGAN2,
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

# A tensor that only this kind of network has -> what it is.
_KINDS = {
    "synthesis.b4.const": STYLEGAN2,
    "b4.out.weight": "discriminator",
    "Hz_geom": "augmentation",
}
# One of these is in every file of the repositories; the last in a generator of StyleGAN3.
_SIGNS = (*_KINDS, "synthesis.input.freqs")


def recognise_nvlabs(file: ForeignFile) -> Recognised | None:
    """The networks of a file of NVIDIA's PyTorch repositories; None for another file."""
    objects = candidates(file.value, file.walk)
    networks = tuple(
        network for name, value in objects.items() if (network := _network(name, value, file.walk))
    )
    if not any(sign in network.tensors for network in networks for sign in _SIGNS):
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
    generators = {network.name: network for network in networks if network.kind == STYLEGAN2}
    if not generators:
        raise no_generator(networks)
    name = next((name for name in ("G_ema", "G") if name in generators), min(generators))
    notes = [f"the file holds no moving average G_ema: {name} was taken"] if name == "G" else []
    return _convert_generator(generators[name], objects[name], notes, walk)


def _convert_generator(generator: Network, value: Any, notes: list[str], walk: Budget) -> Converted:
    tensors = without_kernels(generator.tensors, ".resample_filter", STYLEGAN2_TAPS, gain=1.0)
    attributes = {path.removeprefix("module."): state for path, state in submodules(value, walk)}
    _check_activations(attributes)
    if not attributes:
        notes.append("the file does not say whether activations were clamped: they are not")
    return stylegan2(
        tensors,
        multiplier=positive(attributes.get("mapping.fc0.", {}), "bias_gain", MULTIPLIER),
        conv_clamp=_clamp(attributes),
        notes=notes,
    )


def _check_activations(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    for path, state in attributes.items():
        # Styles, the embedding of the class and the colours are linear.
        styled = path.endswith((".conv0.", ".conv1.")) or path.startswith("mapping.fc")
        activation = state.get("activation", "lrelu")
        if styled and activation != "lrelu":
            raise CheckpointError(
                f"the layer {shown(path)} has the activation {in_words(activation)}: only "
                "networks with lrelu are supported"
            )


def _clamp(attributes: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The bound of the activations, which all layers of the published networks share."""
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
    return next(iter(clamps), None)
