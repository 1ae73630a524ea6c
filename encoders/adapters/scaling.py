"""A shift and a scale for each channel, between the numbers of a foreign network and ours: of its
pixels, and of its latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentmap.errors import ModelError

_LARGEST = 1e6  # Of what a file says; nothing near it makes sense for pixels and latents.


@dataclass(frozen=True)
class Scaling:
    """``(x - mean) / std`` along the channels of ``x``, which is ``(n, c, ...)``: one mean and one
    deviation for each of them, or one for all.

    Example:
        >>> Scaling.of_range(-1, 1)
        Scaling(mean=(0.5,), std=(0.5,))
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def of_range(cls, low: float, high: float) -> Scaling:
        """From pixels in [0, 1] to those of a network for which black is ``low`` and white is
        ``high``.
        """
        return cls((-low / (high - low),), (1 / (high - low),))

    def apply(self, x: Tensor) -> Tensor:
        return (x - _along(self.mean, x)) / _along(self.std, x)

    def undo(self, x: Tensor) -> Tensor:
        return x * _along(self.std, x) + _along(self.mean, x)

    def of_variance(self, variance: Tensor) -> Tensor:
        """The variance of what was scaled."""
        return variance / _along(self.std, variance).square()

    def require_channels(self, channels: int, what: str) -> None:
        """Passes where there is one of each number for all channels, or one a channel.

        Raises:
            ModelError: there is another number of them.
        """
        if not {len(self.mean), len(self.std)} <= {1, channels}:
            raise ModelError(
                f"{what} have {channels} channels, but {len(self.mean)} means and "
                f"{len(self.std)} deviations are given for them: give one of each a channel"
            )

    def to_json(self) -> dict[str, list[float]]:
        """The numbers as they stand in the configuration of a model."""
        return {"mean": list(self.mean), "std": list(self.std)}


def _along(numbers: Sequence[float], x: Tensor) -> Tensor:
    column = torch.tensor(numbers, dtype=x.dtype, device=x.device)
    return column.view(1, -1, *(1,) * (x.ndim - 2))


def read_numbers(value: Any, what: str, *, positive: bool = False) -> tuple[float, ...]:
    """The numbers that stand in a file, or in an option as a text: ``0.5,0.4,0.4``.

    Raises:
        ModelError: there is something else.
    """
    parts = value.split(",") if isinstance(value, str) else value
    parts = parts if isinstance(parts, list | tuple) else [parts]
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    # NaN is not below anything.
    fits = all(abs(number) < _LARGEST and (number > 0 or not positive) for number in numbers)
    if not numbers or not fits:
        kind = "numbers above 0" if positive else "numbers"
        raise ModelError(f"{what} must be {kind} such as 0.5 or 0.5,0.4,0.4, not {value!r}")
    return numbers


def read_range(text: str, what: str) -> Scaling:
    """The scaling of pixels that a text such as ``-1,1`` asks for: what black and white are.

    Raises:
        ModelError: it is something else.
    """
    numbers = read_numbers(text, what)
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise ModelError(f"{what} must be two numbers, the smaller first, as in -1,1; not {text!r}")
    return Scaling.of_range(*numbers)
