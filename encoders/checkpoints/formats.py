"""The formats of pickles and of ``torch.save`` that are known, and which of them a file has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from latentmap.encoders.checkpoints import (
    example_vae,
    genforce,
    layer_chains,
    nvlabs,
    rosinality,
    stylegan1_ports,
    tensorflow,
    tiny_autoencoders,
)
from latentmap.encoders.checkpoints.conversion import GENERATORS, UNKNOWN, Recognised
from latentmap.encoders.checkpoints.declined import Declined, declined_kind
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.modules import named
from latentmap.encoders.checkpoints.outlines import outline
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import Record, TensorView
from latentmap.errors import CheckpointError

_OUTLINE = 8

# What is known -> the recogniser. Each looks at the content, never at the file's name, for tensors
# that no other format has.
FORMATS: dict[str, Callable[[ForeignFile], Recognised | None]] = {
    nvlabs.FORMAT: nvlabs.recognise_nvlabs,
    tensorflow.FORMAT: tensorflow.recognise_tensorflow,
    rosinality.FORMAT: rosinality.recognise_rosinality,
    genforce.FORMAT: genforce.recognise_genforce,
    stylegan1_ports.FORMAT: stylegan1_ports.recognise_stylegan1_port,
    tiny_autoencoders.FORMAT: tiny_autoencoders.recognise_tiny_autoencoder,
    example_vae.FORMAT: example_vae.recognise_example_vae,
    layer_chains.FORMAT: layer_chains.recognise_lesson,
}


def recognise(file: ForeignFile) -> Recognised:
    """What the file is and holds, by the first format that fits.

    A network that the table of ``declined`` knows is called what it is there; where the file holds
    no other generator, its conversion is refused for the reason that stands there.

    Raises:
        CheckpointError: no format fits, and no network in the file is known.
    """
    fitting = (recogniser(file) for recogniser in FORMATS.values())
    fits = next((found for found in fitting if found is not None), None)
    unknown = CheckpointError(
        f"{file.path} is of no known format: it holds {_outline(file.value)}; known are "
        f"{'; '.join((*FORMATS, layer_chains.CHAINS))}; any other network needs an adapter, as "
        "'Bring your own model' in the documentation shows"
    )
    recognised = outline(file, unknown) if fits is None else fits
    declined = {
        network.name: kind
        for network in recognised.networks
        if network.kind in (*GENERATORS, UNKNOWN) and (kind := declined_kind(network.tensors))
    }
    if fits is None and not declined:
        chain = layer_chains.recognise_chain(file)
        if chain is None:
            raise unknown
        return chain
    networks = tuple(
        replace(network, kind=declined[network.name].kind) if network.name in declined else network
        for network in recognised.networks
    )
    recognised = replace(recognised, networks=networks)
    if declined and not any(network.kind in GENERATORS for network in networks):
        decline = partial(_decline, *next(iter(declined.items())))
        return replace(recognised, convert=decline, convert_knowing=decline)
    return recognised


def _decline(name: str, kind: Declined, _: Unsaid | None = None) -> NoReturn:
    raise CheckpointError(kind.refusal(shown(name)))


def _outline(value: Any) -> str:
    """What stands at the file's top level, in a few words."""
    if isinstance(value, Record):
        return f"an object of {shown(value.name)}"
    if isinstance(value, TensorView):
        return f"one array of shape {value.shape}"
    names = list(named(value))
    if not names:
        return f"a {type(value).__name__}"
    more = ", ..." if len(names) > _OUTLINE else ""
    return f"a dictionary with {', '.join(map(shown, names[:_OUTLINE]))}{more}"
