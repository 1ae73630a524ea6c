"""An encoder or a decoder in the making: the layers of a chain, with what stands between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latentmap.encoders.checkpoints.chains import Chain, Half, Layer
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.layered import Shape, shape_after
from latentmap.errors import CheckpointError

_COLOURS = (1, 3)
_CHECK = "check --size, --strides, --paddings and --pools"


@dataclass(frozen=True)
class Numbers:
    """What a file does not say of a convolution; ``pool`` is the side of the pooling behind it."""

    stride: int
    padding: int
    output_padding: int
    pool: int


@dataclass(eq=False)
class Laid:
    """The ``layers`` of a half, what they give (``shape``), and the tensors of the file under their
    native names. ``activation`` stands between them.
    """

    half: Half
    shape: Shape
    activation: str
    numbers: Mapping[Layer, Numbers]
    layers: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, TensorView] = field(default_factory=dict)

    def add(self, kind: str, **numbers: Any) -> None:
        """Adds a layer.

        Raises:
            CheckpointError: it does not take what the last one gives.
        """
        layer = {"kind": kind, **numbers}
        try:
            self.shape = shape_after(layer, self.shape)
        except (ValueError, ZeroDivisionError) as error:
            raise CheckpointError(
                f"the layers of the {self.half} do not follow each other ({error}): {_CHECK}"
            ) from None
        self.layers.append(layer)

    def lay(self, chain: Chain, *, ends: bool, size: tuple[int, int] | None) -> None:
        """Adds a chain, between whose layers stand activations and poolings; behind the last one
        only where the chain goes on, and does not end there. ``size`` is that of the images.

        Raises:
            CheckpointError: a layer does not take what the one before it gives.
        """
        last = max(place for place, layer in enumerate(chain) if layer.has_weight)
        behind = 1
        for place, layer in enumerate(chain):
            if layer.kind == "linear" and len(self.shape) > 1:
                self.add("flatten")
            if layer.convolves and len(self.shape) == 1:
                grid = self._grid(chain[place:], self.shape[0] // layer.inputs, size)
                self.add("reshape", shape=[layer.inputs, *grid])
            self._add_from_file(layer)
            behind = self.numbers[layer].pool if layer.convolves else behind
            goes_on = place < last or not ends
            if goes_on and (place + 1 == len(chain) or chain[place + 1].has_weight):
                if self.activation != "none":
                    self.add(self.activation)
                if behind > 1:
                    self.add("max-pool", kernel=behind)
                behind = 1

    def _add_from_file(self, layer: Layer) -> None:
        place = f"{self.half}.{len(self.layers)}"
        self.tensors |= {f"{place}.{part}": view for part, view in layer.tensors.items()}
        bias = "bias" in layer.tensors
        if layer.kind == "batch-norm":
            self._require_inputs(layer, self.shape[0])
            self.add("batch-norm")
        elif layer.kind == "linear":
            self._require_inputs(layer, self.shape[0])
            self.add("linear", outputs=layer.outputs, bias=bias)
        else:
            self._require_inputs(layer, self.shape[0])
            numbers, kind = self.numbers[layer], self._kind(layer)
            more = {"output_padding": numbers.output_padding} if kind == "transposed" else {}
            self.add(
                kind,
                outputs=layer.outputs,
                kernel=layer.kernel,
                stride=numbers.stride,
                padding=numbers.padding,
                **more,
                bias=bias,
            )

    def _require_inputs(self, layer: Layer, given: int) -> None:
        if layer.inputs != given:
            raise CheckpointError(
                f"the layer {shown(layer.name)} of the {self.half} takes {layer.inputs} numbers, "
                f"but what comes before it gives {given}: {_CHECK}"
            )

    def _kind(self, layer: Layer) -> str:
        """Whether a convolution is transposed, where its shape does not tell."""
        if layer.certain or self.half == "encoder":
            return layer.kind
        if self.numbers[layer].stride == 1:
            raise CheckpointError(
                f"its layer {shown(layer.name)} may be a convolution or a transposed one, and the "
                "file does not say which: write an adapter, as 'Bring your own model' in the "
                "documentation shows"
            )
        return "transposed"  # A decoder makes its images larger.

    def _grid(self, chain: Chain, positions: int, size: tuple[int, int] | None) -> tuple[int, int]:
        """Height and width of the grid that a row becomes: those that lead to the images, or else
        as many of the one as of the other.
        """
        if size is not None and all(layer.kind != "linear" for layer in chain):
            grid = self.grid_for(chain, size)
            if grid[0] * grid[1] != positions:
                raise CheckpointError(
                    f"the layer {shown(chain[0].name)} takes a grid of {positions} positions, but "
                    f"images of {size[0]}x{size[1]} need {grid[0]}x{grid[1]}: {_CHECK}"
                )
            return grid
        side = math.isqrt(positions)
        if side * side != positions:
            raise CheckpointError(
                f"the layer {shown(chain[0].name)} takes a grid of {positions} positions, which is "
                "no square: give --size"
            )
        return side, side

    def grid_for(self, chain: Chain, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the grid of which a chain of convolutions makes images of a size.

        Raises:
            CheckpointError: there is none.
        """
        sides = [
            next((side for side in range(1, goal + 1) if self._end(chain, side) == goal), 0)
            for goal in size
        ]
        if 0 in sides:
            raise CheckpointError(
                f"no grid of codes becomes images of {size[0]}x{size[1]}: {_CHECK}"
            )
        return sides[0], sides[1]

    def _end(self, chain: Chain, side: int) -> int:
        """The side of what a chain of convolutions makes of a grid with a side."""
        for layer in chain:
            if layer.convolves:
                here = self.numbers[layer]
                if self._kind(layer) == "transposed":
                    more = layer.kernel - 2 * here.padding + here.output_padding
                    side = (side - 1) * here.stride + more
                else:
                    side = (side + 2 * here.padding - layer.kernel) // here.stride + 1
                if layer is not chain[-1]:
                    side //= here.pool
        return side


def picture(numbers: int, size: tuple[int, int] | None) -> Shape:
    """Channels, height and width of the images that a layer takes or gives as rows.

    Raises:
        CheckpointError: they are none, or their size cannot be told.
    """
    for channels in _COLOURS:
        pixels, rest = divmod(numbers, channels)
        side = math.isqrt(pixels)
        if rest:
            continue
        if size is not None and size[0] * size[1] == pixels:
            return (channels, *size)
        if size is None and side * side == pixels:
            return (channels, side, side)
    if size is None:
        raise CheckpointError(
            f"a row of {numbers} numbers is no square image, grey or in colour: give --size"
        )
    raise CheckpointError(
        f"a row of {numbers} numbers is no image of {size[0]}x{size[1]}, grey or in colour: give "
        "another --size"
    )


def named_layers(chain: Sequence[Layer]) -> str:
    """The names of the layers with weights, for messages."""
    return ", ".join(shown(layer.name) for layer in chain if layer.has_weight)
