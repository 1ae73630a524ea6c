"""Files of the TAESD family: each a half of an autoencoder, a plain sequence whose steps are
numbered.

What a half is made of is read from its tensors: the channels of the latents, how often the size is
halved, which blocks have a branch. Steps without weights show as gaps in the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from latentmap.encoders.checkpoints.conversion import Network, Recognised
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.halves import Halves, Joined, refused
from latentmap.encoders.checkpoints.modules import candidates, network_tensors
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.tiny_autoencoder import TinyAutoencoder, factor_of
from latentmap.errors import CheckpointError

FORMAT = "the TAESD family of tiny autoencoders"
FAMILY = "tiny-autoencoder"

_SIZE = (256, 256)  # Pixels of which a model is made unless a size is given.
_WIDEST = 2**12
_MOST = 200  # Steps of a half.
# What may stand before the number of a step: which half it is. Without it their shapes tell.
_PLACE = re.compile(r"(?:(?:taesd_)?(encoder|decoder)\.(?:layers\.)?)?(\d{1,4})\.(.+)")
_BLOCK = frozenset(f"conv.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias"))
_SKIP = frozenset({"skip.weight"})
_POOL = frozenset({"pool.0.weight", "pool.1.weight", "pool.1.bias", "pool.3.weight"})
# A step of these kinds is more than its convolution, which stands in it at this number.
_INNER = {"conv-relu": "0.", "shrink": "0.", "double": "1."}
_FIRST = {"encoder": ("conv", "shrink"), "decoder": ("conv-relu",)}


@dataclass(frozen=True, eq=False)
class _Half:
    """The steps of a half, with their channels, and its tensors under their native names."""

    steps: list[tuple[str, int]]
    tensors: dict[str, TensorView]


# The tensors of a half by the number of their step, and by their names in it.
_Numbered = Mapping[int, Mapping[str, TensorView]]


def recognise_tiny_autoencoder(file: ForeignFile) -> Recognised | None:
    """One half or both of a tiny autoencoder; None for another file."""
    for name, value in candidates(file.value, file.walk).items():
        tensors = network_tensors(value, file.walk)
        found = _sorted_by_half(tensors)
        if found:
            words = " and ".join(sorted(found, reverse=True))
            network = Network(name, f"tiny autoencoder ({words})", tensors)
            return _recognised(network, found)
    return None


def _recognised(network: Network, found: Mapping[str, _Numbered]) -> Recognised:
    try:
        encoder, decoder = (
            _half(name, found[name]) if name in found else None for name in ("encoder", "decoder")
        )
    except CheckpointError as error:
        return refused(FORMAT, (network,), error)
    return Halves(FAMILY, encoder, decoder, _join, _network).recognised(FORMAT, (network,))


def _sorted_by_half(tensors: Mapping[str, TensorView]) -> dict[str, _Numbered]:
    """The tensors of each half; nothing where they are of another network."""
    found: dict[str, dict[int, dict[str, TensorView]]] = {}
    for name, view in tensors.items():
        place = _PLACE.fullmatch(name)
        if place is None:
            return {}
        found.setdefault(place[1] or "", {}).setdefault(int(place[2]), {})[place[3]] = view
    if not all(any(parts.keys() >= _BLOCK for parts in steps.values()) for steps in found.values()):
        return {}
    if "" not in found:
        return {**found}
    steps = found[""]
    # The first step of a decoder has no tensors.
    return {} if len(found) > 1 else {"encoder" if 0 in steps else "decoder": steps}


def _half(name: str, numbered: _Numbered) -> _Half:
    """A half: its steps with their channels, and its tensors."""
    numbers = sorted(numbered)
    if len(numbers) > _MOST:
        raise _unfit(name, f"has more than {_MOST} steps")
    steps: list[tuple[str, int]] = []
    tensors: dict[str, TensorView] = {}
    if name == "decoder":
        steps.append(("clamp", _channels(name, numbered[numbers[0]], "weight", axis=1)))
    before = 0
    for number, following in zip(numbers, [*numbers[1:], numbers[-1] + 1], strict=True):
        parts, after = numbered[number], following - number - 1
        kind = _kind(name, number, parts, before=before, after=after)
        weight = "conv.0.weight" if kind in ("block", "pooled") else "weight"
        place = f"{name}.{len(steps)}.{_INNER.get(kind, '')}"
        steps.append((kind, _channels(name, parts, weight, axis=0)))
        tensors |= {place + part: view for part, view in parts.items()}
        # The gap after a convolution is its ReLU.
        before = 0 if kind in ("conv-relu", "shrink") else after
    first, last = steps[int(name == "decoder")][0], steps[-1][0]
    if last != "conv" or first not in _FIRST[name]:
        raise _unfit(name, "does not begin and end with a convolution that has a bias")
    return _Half(steps, tensors)


def _kind(
    half: str, number: int, parts: Mapping[str, TensorView], *, before: int, after: int
) -> str:
    """What a step is, by its tensors and by the steps without tensors before and after it."""
    names = parts.keys() - _SKIP
    decodes = half == "decoder"
    if names in (_BLOCK, _BLOCK | _POOL) and not before:
        return "block" if names == _BLOCK else "pooled"
    if names == {"weight"} and before == int(decodes) and not after:
        return "double" if decodes else "halve"
    if names == {"weight", "bias"} and not before and after < 2:
        if not after:
            return "conv"
        return "conv-relu" if decodes else "shrink"
    raise _unfit(half, f"has a step {number} that no published one has")


def _channels(half: str, parts: Mapping[str, TensorView], name: str, *, axis: int) -> int:
    """The channels that a convolution gives (axis 0) or takes (1)."""
    shape = parts[name].shape if name in parts else ()
    if len(shape) != 4 or not 1 <= shape[axis] <= _WIDEST:
        raise _unfit(half, f"has a {name} of shape {shape}")
    return shape[axis]


def _join(encoder: _Half | None, decoder: _Half | None, unsaid: Unsaid) -> Joined:
    """The model of these halves."""
    unsaid.refuse_beside(("size",), "a tiny autoencoder")
    channels = {half.steps[place][1] for half, place in ((encoder, -1), (decoder, 0)) if half}
    factors = {factor_of(half.steps) for half in (encoder, decoder) if half}
    if len(channels) > 1 or len(factors) > 1:
        raise CheckpointError(_misfit(encoder, decoder))
    (channel_count,), (factor,) = channels, factors
    height, width = unsaid.size or _SIZE
    if height % factor or width % factor:
        raise CheckpointError(
            f"images of {height}x{width} do not divide: it takes heights and widths that are "
            f"multiples of {factor}, such as --size "
            f"{-(-height // factor) * factor}x{-(-width // factor) * factor}"
        )
    shape = [channel_count, height // factor, width // factor]
    config = {
        "image_shape": [3, height, width],
        "latent_dim": shape[0] * shape[1] * shape[2],
        "latent_shape": shape,
        **{
            name: [[*step] for step in half.steps]
            for name, half in (("encoder", encoder), ("decoder", decoder))
            if half
        },
    }
    tensors = {
        name: view for half in (encoder, decoder) if half for name, view in half.tensors.items()
    }
    note = (
        f"it takes images of any height and width that are multiples of {factor}: --size chooses "
        "them, here and in every command"
    )
    return Joined(config, tensors, (note,))


def _misfit(encoder: _Half | None, decoder: _Half | None) -> str:
    assert encoder is not None and decoder is not None
    gives, takes = encoder.steps[-1][1], decoder.steps[0][1]
    smaller, larger = factor_of(encoder.steps), factor_of(decoder.steps)
    return (
        f"the decoder does not fit the encoder, which gives {gives} channels at 1/{smaller} of the "
        f"size, where it takes {takes} at 1/{larger}: give two files of one autoencoder"
    )


def _network(config: Mapping[str, Any]) -> nn.Module:
    return TinyAutoencoder(config["latent_shape"][0], config.get("encoder"), config.get("decoder"))


def _unfit(half: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"its {half} is like that of a tiny autoencoder, but {reason}: the file is incomplete or "
        "of a variant that is not supported"
    )
