"""What is said of a checkpoint that no format fits: its networks, and what can be done with it."""

from __future__ import annotations

import itertools
from typing import NoReturn

from latentmap.encoders.checkpoints.conversion import ARRAYS, UNKNOWN, Network, Recognised
from latentmap.encoders.checkpoints.descriptions import described_mapping, shown
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.guesses import guess_of_arrays, guess_of_network
from latentmap.encoders.checkpoints.modules import candidates, class_name, named, network_tensors
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import Record, TensorView, as_mapping
from latentmap.errors import CheckpointError

# Where a program that trains keeps a network's weights, and what it says about them.
_LIGHTNING = "pytorch-lightning_version"
_SCRIPT = "__torch__."
_LOOSE = 1000
_OPTIONS = ("hyper_parameters", "hparams", "config", "args", "opt")


def outline(file: ForeignFile, refusal: CheckpointError) -> Recognised:
    """The networks of a file of no format that can be imported; converting it is refused.

    ``refusal`` says why.

    Raises:
        CheckpointError: there are more networks in it than any file has.
    """

    version = as_mapping(file.value).get(_LIGHTNING)
    if isinstance(version, str):
        refusal = CheckpointError(
            f"{file.path} is a checkpoint of PyTorch Lightning around a network that is not known "
            "here: it needs an adapter, which gives the network the tensors in state_dict, as "
            "'Bring your own model' in the documentation shows"
        )

    if isinstance(file.value, Record) and file.value.name.startswith(_SCRIPT):
        refusal = CheckpointError(
            f"{file.path} is a program of TorchScript, which would have to run: export its network "
            "to ONNX, or save its state_dict() with torch.save"
        )

    def refuse(_: Unsaid | None = None) -> NoReturn:
        raise refusal

    options = next((found for name in _OPTIONS if (found := _entries(file.value, name))), {})
    return Recognised(_format(file), _networks(file), refuse, options, refuse)


def _entries(value: object, name: str) -> dict[str, object]:
    return described_mapping(as_mapping(value).get(name))


def _format(file: ForeignFile) -> str:
    value = file.value
    if isinstance(value, TensorView):
        return "one array or tensor"
    if isinstance(value, Record) and not class_name(value):
        return f"an object of {shown(value.name)}"
    version = as_mapping(value).get(_LIGHTNING)
    if isinstance(version, str):
        return f"a checkpoint of PyTorch Lightning {shown(version)}"
    return "tensors by name" if named(value) else f"a {type(value).__name__}"


def _networks(file: ForeignFile) -> tuple[Network, ...]:
    """The whole, its entries, or what these hold; and tensors that belong to none."""
    networks = tuple(
        Network(
            outer if network is entry else f"{outer}.{inner}",
            UNKNOWN,
            tensors,
            class_name(network),
            guess=guess_of_network(tensors),
        )
        for outer, entry in candidates(file.value, file.walk).items()
        for inner, network in candidates(entry, file.walk).items()
        if (tensors := network_tensors(network, file.walk))
    )
    loose = _loose(file)
    if loose:
        return (
            *networks,
            Network("arrays", ARRAYS, loose, guess=guess_of_arrays(loose, of_torch=True)),
        )
    return networks


def _loose(file: ForeignFile) -> dict[str, TensorView]:
    """The tensors that stand in the file beside each other and beside other things, or alone."""
    value = file.value
    if isinstance(value, TensorView):
        return {"array": value}
    if network_tensors(value, file.walk):
        return {}
    if isinstance(value, list | tuple):
        entries = {str(number): entry for number, entry in enumerate(value)}
    else:
        entries = named(value)
    found = {name: entry for name, entry in entries.items() if isinstance(entry, TensorView)}
    return dict(itertools.islice(found.items(), _LOOSE))
