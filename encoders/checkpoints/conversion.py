"""What a recogniser finds in a foreign file, and what a conversion makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from latentmap.encoders.checkpoints.values import TensorView

# What networks are: generators that can be converted, and those of which nothing is known.
STYLEGAN1 = "StyleGAN1 generator"
STYLEGAN2 = "StyleGAN2 generator"
GENERATORS = (STYLEGAN1, STYLEGAN2)
UNKNOWN = "unknown network"


@dataclass(frozen=True, eq=False)
class Network:
    """A network of the file, as ``latentmap import --inspect`` shows it.

    ``name`` is where it stands in the file (``G_ema``), ``kind`` what it is (``StyleGAN2
    generator``); ``arguments`` are its constructor's, as JSON; ``source_sha256`` is the digest of
    the source text that came with it and was not run.
    """

    name: str
    kind: str
    tensors: Mapping[str, TensorView]
    class_name: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None


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
    reason where the file is recognised but holds nothing that can be converted.
    """

    format: str
    networks: tuple[Network, ...]
    convert: Callable[[], Converted]
    options: Mapping[str, Any] = field(default_factory=dict)
