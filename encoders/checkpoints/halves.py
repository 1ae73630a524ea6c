"""Files that hold an encoder, a decoder or both, of which one model is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from latentmap.encoders.checkpoints.conversion import Converted, Network, Recognised, read_floats
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError


@dataclass(frozen=True, eq=False)
class Joined:
    """What an encoder and a decoder become: the configuration of a model, the tensors of the files
    under their native names, and what had to be assumed.
    """

    config: dict[str, Any]
    tensors: Mapping[str, TensorView]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Halves:
    """What a file holds of an autoencoder, whose halves have to become of one ``family``; ``join``
    alone knows what a half is.

    ``join`` makes one of an encoder and a decoder, one of which may be None; it raises
    ``CheckpointError`` where they do not fit. ``network`` is what its configuration makes.
    """

    family: str
    encoder: Any
    decoder: Any
    join: Callable[[Any, Any, Unsaid], Joined]
    network: Callable[[Mapping[str, Any]], nn.Module]

    def with_decoder(self, other: Halves, name: str) -> Halves:
        """This encoder, and the decoder of another file, which messages call ``name``.

        Raises:
            CheckpointError: either is missing, or they are of different kinds of networks.
        """
        if self.encoder is None:
            advice = "give the encoder's file first"
            if other.encoder is not None:
                advice = "exchange the two files"
            raise CheckpointError(f"it holds a decoder and no encoder: {advice}")
        if self.decoder is not None:
            raise CheckpointError("it holds a decoder as well: leave --decoder out")
        if other.decoder is None:
            raise CheckpointError(f"{name} holds no decoder: give --decoder the file with it")
        if other.family != self.family:
            raise CheckpointError(
                f"its encoder becomes a model of the family {self.family}, the decoder in {name} "
                f"one of {other.family}: give two files of one network"
            )
        return Halves(self.family, self.encoder, other.decoder, self.join, self.network)

    def recognised(self, format: str, networks: tuple[Network, ...]) -> Recognised:
        """The file that holds them, as one of a known ``format``."""
        return Recognised(
            format,
            networks,
            lambda: self.convert(Unsaid()),
            convert_knowing=self.convert,
            halves=self,
        )

    def convert(self, unsaid: Unsaid) -> Converted:
        """The model that they make up.

        Raises:
            CheckpointError: the halves do not fit together, tensors are missing, too many, of
                other shapes, or not finite.
        """
        joined = self.join(self.encoder, self.decoder, unsaid)
        weights = read_weights(self.network, joined.config, joined.tensors)
        return Converted(self.family, joined.config, weights, joined.notes)


def refused(format: str, networks: tuple[Network, ...], reason: CheckpointError) -> Recognised:
    """A file of a known format that cannot become a model."""

    def refuse(_: Unsaid | None = None) -> NoReturn:
        raise reason

    return Recognised(format, networks, refuse, convert_knowing=refuse)


def read_weights(
    make: Callable[[Mapping[str, Any]], nn.Module],
    config: Mapping[str, Any],
    tensors: Mapping[str, TensorView],
) -> dict[str, Tensor]:
    """The weights, in float32, of the network that ``config`` describes: every shape is checked
    before a number is read.

    Raises:
        CheckpointError: tensors are missing, too many, of other shapes, or not finite.
    """
    try:
        # Without memory: a file may claim any width.
        with torch.device("meta"):
            expected = make(config).state_dict()
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"its layers do not fit together ({error})") from None
    # Older programs do not count the batches of a norm; nothing here reads the count.
    counts = {
        name: TensorView((), torch.int64, lambda: torch.tensor(0))
        for name in expected
        if name.endswith("num_batches_tracked")
    }
    tensors = {**counts, **tensors}
    for name in sorted({*expected} ^ {*tensors}):
        what = "is missing" if name in expected else "has no place in such a network"
        raise CheckpointError(
            f"the tensor {shown(name)} (as it is named here) {what}: the file is incomplete or of "
            "a variant that is not supported"
        )
    for name, like in expected.items():
        if tensors[name].shape != tuple(like.shape):
            raise CheckpointError(
                f"the tensor {shown(name)} (as it is named here) has the shape "
                f"{tensors[name].shape}, but the others ask for {tuple(like.shape)}: the file is "
                "damaged or of a variant that is not supported"
            )
    return {name: _read(name, tensors[name], like) for name, like in expected.items()}


def _read(name: str, view: TensorView, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return view.load().to(like.dtype)
    return read_floats(view, f"the tensor {shown(name)} (as it is named here)")
