"""How controls read and move a code: variables or channels one by one, or along directions.

A control reads in standard deviations, and moving one leaves the readings of the others of its set
as they are. Shapes: ``n`` codes of ``d`` latent variables of ``c`` channels, ``k`` controls, codes
``(d,)``; all float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentmap.codes.channels import by_position


class Moving(Protocol):
    """What controls of one set do to codes; ``values`` are readings by the numbers of controls."""

    def read(self, code: Tensor) -> Tensor:
        """The readings ``(k,)`` of a code."""

    def read_some(self, codes: Tensor, numbers: Sequence[int]) -> Tensor:
        """The readings ``(n, m)`` that the controls of ``m`` numbers have of codes ``(n, d)``."""

    def move(self, code: Tensor, values: Mapping[int, float]) -> Tensor:
        """The code with these readings."""


@dataclass(frozen=True, eq=False)
class AlongChannels:
    """Each variable in its ``unit`` from its ``center``, both ``(c,)``; where codes of a ``shape``
    have positions each channel, whose mean over positions is what is read and moved.
    """

    center: Tensor
    unit: Tensor
    shape: Sequence[int]

    def read(self, code: Tensor) -> Tensor:
        means = by_position(code[None], self.shape)[0].mean(0)
        return (means - self.center) / self.unit

    def read_some(self, codes: Tensor, numbers: Sequence[int]) -> Tensor:
        chosen = list(numbers)
        means = by_position(codes, self.shape)[..., chosen].double().mean(1)
        return (means - self.center[chosen]) / self.unit[chosen]

    def move(self, code: Tensor, values: Mapping[int, float]) -> Tensor:
        moved = code.clone()
        channels = by_position(moved[None], self.shape)[0]
        for number, value in values.items():
            channel = channels[:, number]
            # One position has no difference from its mean, which floating point says exactly.
            away = channel - channel.mean()
            channels[:, number] = away + (self.center[number] + value * self.unit[number])
        return moved


@dataclass(frozen=True, eq=False)
class AlongDirections:
    """Directions from an ``origin`` ``(d,)``: a code moves by ``patterns`` ``(k, d)``, one for a
    standard deviation, and ``weights`` ``(k, d)`` read it, with ``weights patterns' = 1``.
    """

    origin: Tensor
    patterns: Tensor
    weights: Tensor

    def read(self, code: Tensor) -> Tensor:
        return self.weights @ (code - self.origin)

    def read_some(self, codes: Tensor, numbers: Sequence[int]) -> Tensor:
        return (codes.double() - self.origin) @ self.weights[list(numbers)].T

    def move(self, code: Tensor, values: Mapping[int, float]) -> Tensor:
        chosen = list(values)
        wanted = torch.tensor(list(values.values()), dtype=code.dtype)
        steps = wanted - self.weights[chosen] @ (code - self.origin)
        return code + steps @ self.patterns[chosen]
