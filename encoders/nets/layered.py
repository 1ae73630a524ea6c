"""Networks that are a chain of layers, as a list says: one encodes, one decodes, or both.

A layer is a mapping with a ``kind`` and its numbers; shapes are those of one image or code, ``(c,
h, w)`` or ``(d,)``:

    linear          outputs, bias
    conv            outputs, kernel, stride, padding, bias
    transposed      outputs, kernel, stride, padding, output_padding, bias
    batch-norm      of channels, or of variables
    max-pool        kernel, which is the stride too; avg-pool the same
    flatten         to one row
    reshape         shape
    relu, ...       an activation: see ``ACTIVATIONS``
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

Layer = Mapping[str, Any]
Shape = tuple[int, ...]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu-0.01": nn.LeakyReLU,
    "leaky-relu-0.2": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class LayeredNetwork(nn.Module):
    """Images ``(n, *image_shape)`` to codes and back, by chains of layers; one of them alone where
    the other is None.

    ``range`` is the least and the largest value that the layers know of an image, which is [0, 1]
    outside; images that leave it are clamped.

    Raises:
        ValueError: the layers do not follow each other, or do not end with what they should.
    """

    def __init__(
        self,
        image_shape: Shape,
        latent_shape: Shape,
        *,
        range: Sequence[float],
        encoder: Sequence[Layer] | None,
        decoder: Sequence[Layer] | None,
    ) -> None:
        super().__init__()
        if encoder is None and decoder is None:
            raise ValueError("it has neither an encoder nor a decoder")
        self.low, self.high = map(float, range)
        if not self.low < self.high:
            raise ValueError(f"values from {self.low} to {self.high} are no range")
        self.encoder = self.decoder = None
        if encoder is not None:
            self.encoder, found = chain_of(encoder, image_shape)
            _require(found, latent_shape, "codes")
        if decoder is not None:
            self.decoder, found = chain_of(decoder, latent_shape)
            _require(found, image_shape, "images")

    def encode(self, images: Tensor) -> Tensor:
        """Codes ``(n, *latent_shape)`` of images in [0, 1]."""
        assert self.encoder is not None
        codes: Tensor = self.encoder(images * (self.high - self.low) + self.low)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        assert self.decoder is not None
        images: Tensor = self.decoder(codes)
        return ((images - self.low) / (self.high - self.low)).clamp(0, 1)


def chain_of(layers: Sequence[Layer], shape: Shape) -> tuple[nn.Sequential, Shape]:
    """The layers on inputs of a shape, and the shape of what they give.

    Raises:
        ValueError: a layer is of no kind, or does not take what the one before it gives.
    """
    modules: list[nn.Module] = []
    for layer in layers:
        after = shape_after(layer, shape)
        kind = layer["kind"]
        make = ACTIVATIONS[kind] if kind in ACTIVATIONS else partial(_MADE[kind], layer, shape)
        modules.append(make())
        shape = after
    return nn.Sequential(*modules), shape


def shape_after(layer: Layer, shape: Shape) -> Shape:
    """The shape of what a layer gives of inputs of a shape.

    Raises:
        ValueError: it is of no kind, or takes inputs of no such shape.
    """
    kind = layer["kind"]
    if kind in ACTIVATIONS or kind == "batch-norm":
        return shape
    if kind not in _SHAPES:
        known = ", ".join((*_SHAPES, "batch-norm", *ACTIVATIONS))
        raise ValueError(f"a layer is of the kind {kind!r}: known are {known}")
    if kind in _ON_GRIDS and len(shape) != 3:
        raise ValueError(f"a layer {kind} takes a grid of channels, not {_words(shape)}")
    if kind in _ON_ROWS and len(shape) != 1:
        raise ValueError(f"a layer {kind} takes a row, not {_words(shape)}")
    after = _SHAPES[kind](layer, shape)
    if min(after) < 1:
        raise ValueError(f"a layer {kind} makes nothing of {_words(shape)}")
    if kind == "reshape" and math.prod(after) != shape[0]:
        raise ValueError(f"a row of {shape[0]} is no {_words(after)}")
    return after


def _convolved(layer: Layer, shape: Shape) -> Shape:
    kernel, stride, padding = layer["kernel"], layer["stride"], layer["padding"]
    sides = ((side + 2 * padding - kernel) // stride + 1 for side in shape[1:])
    return layer["outputs"], *sides


def _transposed(layer: Layer, shape: Shape) -> Shape:
    kernel, stride, padding = layer["kernel"], layer["stride"], layer["padding"]
    more = kernel - 2 * padding + layer["output_padding"]
    return layer["outputs"], *((side - 1) * stride + more for side in shape[1:])


def _pooled(layer: Layer, shape: Shape) -> Shape:
    return shape[0], *(side // layer["kernel"] for side in shape[1:])


_ON_GRIDS = ("conv", "transposed", "max-pool", "avg-pool")
_ON_ROWS = ("linear", "reshape")
_SHAPES: dict[str, Callable[[Layer, Shape], Shape]] = {
    "linear": lambda layer, _: (layer["outputs"],),
    "conv": _convolved,
    "transposed": _transposed,
    "max-pool": _pooled,
    "avg-pool": _pooled,
    "flatten": lambda _, shape: (math.prod(shape),),
    "reshape": lambda layer, _: tuple(layer["shape"]),
}
_MADE: dict[str, Callable[[Layer, Shape], nn.Module]] = {
    "linear": lambda layer, shape: nn.Linear(shape[0], layer["outputs"], bias=layer["bias"]),
    "conv": lambda layer, shape: nn.Conv2d(
        shape[0],
        layer["outputs"],
        layer["kernel"],
        layer["stride"],
        layer["padding"],
        bias=layer["bias"],
    ),
    "transposed": lambda layer, shape: nn.ConvTranspose2d(
        shape[0],
        layer["outputs"],
        layer["kernel"],
        layer["stride"],
        layer["padding"],
        layer["output_padding"],
        bias=layer["bias"],
    ),
    "batch-norm": lambda _, shape: (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(
        shape[0]
    ),
    "max-pool": lambda layer, _: nn.MaxPool2d(layer["kernel"]),
    "avg-pool": lambda layer, _: nn.AvgPool2d(layer["kernel"]),
    "flatten": lambda _, __: nn.Flatten(),
    "reshape": lambda layer, _: nn.Unflatten(1, tuple(layer["shape"])),
}


def _require(found: Shape, wanted: Shape, what: str) -> None:
    if found != wanted:
        raise ValueError(f"its layers give {what} of {_words(found)}, not of {_words(wanted)}")


def _words(shape: Shape) -> str:
    return "x".join(map(str, shape))
