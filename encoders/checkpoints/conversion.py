"""What a recogniser finds in a foreign file, and what a conversion makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError

if TYPE_CHECKING:
    from latentmap.encoders.checkpoints.halves import Halves

# What networks are: generators that can be converted, and those of which nothing is known.
STYLEGAN1 = "StyleGAN1 generator"
STYLEGAN2 = "StyleGAN2 generator"
STYLEGAN3 = "StyleGAN3 generator"
GENERATORS = (STYLEGAN1, STYLEGAN2, STYLEGAN3)
UNKNOWN = "unknown network"
# What is no network at all.
ARRAYS = "arrays"


@dataclass(frozen=True, eq=False)
class Network:
    """A network of the file, as ``latentmap import --inspect`` shows it.

    ``name`` is where it stands in the file (``G_ema``), ``kind`` what it is (``StyleGAN2
    generator``); ``arguments`` are its constructor's, as JSON; ``source_sha256`` is the digest of
    the source text that came with it and was not run. ``guess`` is what it may be, where that is
    not known.
    """

    name: str
    kind: str
    tensors: Mapping[str, TensorView]
    class_name: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None
    guess: str | None = None


@dataclass(frozen=True, eq=False)
class Converted:
    """A native model's family, configuration and weights; ``notes`` say what had to be assumed."""

    family: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Recognised:
    """A file whose format is known: its networks, and how to convert the one that makes images.

    ``options`` are training options, as JSON. ``convert`` raises ``CheckpointError`` with the
    reason where the file is recognised but holds nothing that can be converted. ``convert_knowing``
    does the same with what the file leaves open, where it leaves anything open. ``halves`` are the
    encoder and the decoder of a file that may hold one of them alone.
    """

    format: str
    networks: tuple[Network, ...]
    convert: Callable[[], Converted]
    options: Mapping[str, Any] = field(default_factory=dict)
    convert_knowing: Callable[[Unsaid], Converted] | None = None
    halves: Halves | None = None

    def converted(self, unsaid: Unsaid) -> Converted:
        """The model that the file becomes, with what it does not say.

        Raises:
            CheckpointError: it cannot be converted, or ``unsaid`` gives what it leaves not open.
        """
        if self.convert_knowing is not None:
            return self.convert_knowing(unsaid)
        unsaid.refuse_beside((), f"files of {self.format}")
        return self.convert()


def read_floats(view: TensorView, what: str) -> Tensor:
    """The numbers of a tensor in float32; a message calls it ``what``.

    Raises:
        CheckpointError: it is of another kind of numbers, or they are not all finite.
    """
    if not view.dtype.is_floating_point:
        kind = str(view.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{what} is of type {kind}, not of a floating-point type: the file is damaged"
        )
    tensor = view.load().to(torch.float32).contiguous()
    if not tensor.isfinite().all():
        raise CheckpointError(
            f"{what} holds numbers that are not finite: the training has failed, take an earlier "
            "checkpoint"
        )
    return tensor
