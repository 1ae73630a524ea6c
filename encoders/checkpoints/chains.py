"""Chains of layers in dictionaries of tensors: what each layer is, by the shapes of its tensors.

A dictionary does not say in which order its layers run, and of a convolution not whether it is
transposed. Both show where each layer takes what the one before it gives, and in no other way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from latentmap.encoders.checkpoints.values import TensorView

Half = Literal["encoder", "decoder"]
Kind = Literal["linear", "conv", "transposed", "batch-norm"]

_MOST = 200  # Layers.
_WAYS = 256  # In which the convolutions of a chain may be read; beyond, none is the right one.
_WIDEST = 2**20
_COLOURS = (1, 3)
_LEAST = 16  # Numbers of a picture.
_NORM = {"weight", "bias", "running_mean", "running_var"}
_DIGITS = tuple("0123456789")
_COUNT = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer with tensors: its name in the file, what it is, what it takes and gives (variables,
    or channels), the side of its kernel, and its tensors by their names in it.

    A square convolution is called ``conv`` and is not ``certain``: it could as well be transposed.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    kernel: int
    tensors: Mapping[str, TensorView]
    certain: bool = True

    @property
    def has_weight(self) -> bool:
        """Whether it mixes its inputs: a batch norm does not."""
        return self.kind != "batch-norm"

    @property
    def convolves(self) -> bool:
        """Whether it works on grids."""
        return self.kind in ("conv", "transposed")


Chain = Sequence[Layer]


def chains_in(tensors: Mapping[str, TensorView]) -> dict[Half, Chain] | None:
    """The encoder, the decoder, or both, that tensors make up; None where they are no chains, or
    may be read in several ways.
    """
    halves: dict[Half, dict[str, TensorView]] = {"encoder": {}, "decoder": {}}
    for name, view in tensors.items():
        for half, parts in halves.items():
            if name.startswith(f"{half}."):
                parts[name.removeprefix(f"{half}.")] = view
    named = {half: parts for half, parts in halves.items() if parts}
    if not named:
        chain = _chain(tensors, lambda way: half_of(way) is not None)
        alone = None if chain is None else half_of(chain)
        return None if chain is None or alone is None else {alone: chain}
    if sum(map(len, named.values())) < len(tensors):
        return None
    chains = {half: _chain(parts, _FITS[half]) for half, parts in named.items()}
    whole = {half: chain for half, chain in chains.items() if chain is not None}
    return whole if len(whole) == len(chains) else None


def half_of(chain: Chain) -> Half | None:
    """Whether a chain takes images or makes them; None where it may be both or neither."""
    first, last = _ends(chain)
    takes = first.convolves and first.inputs in _COLOURS
    makes = last.convolves and last.outputs in _COLOURS
    if not first.convolves and not last.convolves:
        takes = first.inputs > last.outputs and first.inputs >= _LEAST
        makes = first.inputs < last.outputs and last.outputs >= _LEAST
    if takes == makes:
        return None
    return "encoder" if takes else "decoder"


def _ends(chain: Chain) -> tuple[Layer, Layer]:
    """The first and the last layer that mix their inputs."""
    weighted = [layer for layer in chain if layer.has_weight]
    return weighted[0], weighted[-1]


def _takes_pictures(chain: Chain) -> bool:
    first, _ = _ends(chain)
    return not first.convolves or first.inputs in _COLOURS


def _makes_pictures(chain: Chain) -> bool:
    _, last = _ends(chain)
    return not last.convolves or last.outputs in _COLOURS


_FITS: dict[Half, Callable[[Chain], bool]] = {
    "encoder": _takes_pictures,
    "decoder": _makes_pictures,
}


def _chain(tensors: Mapping[str, TensorView], fits: Callable[[Chain], bool]) -> Chain | None:
    """The one chain that the tensors make up, in the order of the file or of their names, and that
    fits.
    """
    layers: dict[str, dict[str, TensorView]] = {}
    for name, view in tensors.items():
        layer, _, part = name.rpartition(".")
        layers.setdefault(layer, {})[part] = view
    if len(layers) > _MOST:
        return None
    # Files of safetensors have their own order, in which layer 10 comes before layer 2.
    for order in (list(layers), sorted(layers, key=_natural)):
        ways = _ways([[*_readings(name, layers[name])] for name in order])
        ways = [way for way in ways if fits(way)]
        if ways:
            return ways[0] if len(ways) == 1 else None
    return None


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]{1,9})", name)
    return [(int(part), "") if part[:1] in _DIGITS else (-1, part) for part in parts]


def _readings(name: str, parts: Mapping[str, TensorView]) -> Iterator[Layer]:
    """What a layer with these tensors may be, each as if its neighbours asked for it."""
    shape = parts["weight"].shape if "weight" in parts else ()
    if not shape or min(shape) < 1 or max(shape) > _WIDEST:
        return
    bias = parts["bias"].shape if "bias" in parts else None
    if len(shape) == 1 and parts.keys() - {_COUNT} == _NORM:
        if all(parts[part].shape == shape for part in _NORM):
            yield Layer(name, "batch-norm", shape[0], shape[0], 1, parts)
        return
    if parts.keys() - {"weight", "bias"}:
        return
    if len(shape) == 2 and bias in (None, shape[:1]):
        yield Layer(name, "linear", shape[1], shape[0], 1, parts)
    if len(shape) == 4 and shape[2] == shape[3]:
        square = shape[0] == shape[1]
        if bias in (None, shape[:1]):
            yield Layer(name, "conv", shape[1], shape[0], shape[2], parts, not square)
        if bias in (None, shape[1:2]) and not square:
            yield Layer(name, "transposed", shape[0], shape[1], shape[2], parts)


def _ways(readings: Sequence[Sequence[Layer]]) -> list[list[Layer]]:
    """All chains with one reading for each layer, in which each takes what the last one gives."""
    ways: list[list[Layer]] = [[]]
    for choices in readings:
        ways = [[*way, layer] for way in ways for layer in choices if _follows(way, layer)]
        if len(ways) > _WAYS:
            return []
    return [way for way in ways if any(layer.has_weight for layer in way)]


def _follows(way: Sequence[Layer], layer: Layer) -> bool:
    if not way:
        return layer.has_weight
    before = way[-1]
    if before.outputs == layer.inputs:
        return True
    flat = next(one for one in reversed(way) if one.has_weight).kind == "linear"
    if flat and layer.convolves:
        return before.outputs % layer.inputs == 0
    return not flat and layer.kind == "linear" and layer.inputs % before.outputs == 0
