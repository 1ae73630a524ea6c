"""Values of pixels: which is black and which is white, and what they are as uint8.

A file says it by its kind: bytes go from 0 to 255, 16 bits from 0 to 65535, floats from 0 to 1.
Files often mean something else (masks of 0 and 1, 12 bits in 16): then the user says it, as a
``ValueRange``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.errors import ImageError

# What people's values end with: masks, bytes, and the sensors of cameras and scanners.
_USUAL_WHITES = (1, 255, 1023, 4095, 16383, 65535)
_WIDEST_TABLE = 1 << 16
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ValueRange:
    """The value that is black and the value that is white."""

    black: float
    white: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.black) and math.isfinite(self.white)):
            raise ImageError(f"a range of values has two numbers, not {self.black},{self.white}")
        if self.black >= self.white:
            raise ImageError(
                f"a range of values goes from black up to white, not from {self.black:.15g} to "
                f"{self.white:.15g}"
            )

    def __str__(self) -> str:
        return f"{_typed(self.black)},{_typed(self.white)}"

    def to_eight_bits(self, values: np.ndarray) -> np.ndarray:
        """``round(255 (v - black) / (white - black))`` as uint8, halves up; of whole numbers exact.

        Raises:
            ImageError: a value is outside or not a number.
        """
        if values.dtype.kind == "b":
            values = values.astype(np.uint8)
        if values.size and not (values.min() >= self.black and values.max() <= self.white):
            raise ImageError(
                f"values must be from {self.black:.15g} to {self.white:.15g} (--range), not "
                f"{values.min():.15g} to {values.max():.15g}"
            )
        pixels = np.empty(values.shape, np.uint8)
        # A block at a time, since numbers are wider on the way than before and after.
        flat, places = values.reshape(-1), pixels.reshape(-1)
        for start in range(0, len(flat), _BLOCK):
            places[start : start + _BLOCK] = self._scaled(flat[start : start + _BLOCK])
        return pixels

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        whole = self.black.is_integer() and self.white.is_integer()
        if values.dtype.kind == "f" and (self.black, self.white) == (0, 1):
            return np.floor(values * 255 + 0.5).astype(np.uint8)
        if values.dtype.kind == "f" or not whole:
            span = self.white - self.black
            scaled = (values.astype(np.float64) - self.black) * 255 / span
            return np.floor(scaled + 0.5).astype(np.uint8)
        black, span = int(self.black), int(self.white) - int(self.black)
        if span >= _WIDEST_TABLE:
            return _scale_whole(values.astype(np.int64) - black, span)
        table = _scale_whole(np.arange(span + 1), span)
        wide: Any = np.int32 if values.dtype.itemsize <= 2 else np.int64
        pixels: np.ndarray = table[values.astype(wide) - black if black else values]
        return pixels


def _typed(value: float) -> str:
    """The shortest text that is read as this number, and no other one."""
    return f"{value:.15g}" if float(f"{value:.15g}") == value else repr(value)


def _scale_whole(steps: np.ndarray, span: int) -> np.ndarray:
    scaled: np.ndarray = ((steps.astype(np.int64) * 510 + span) // (2 * span)).astype(np.uint8)
    return scaled


def own_range(dtype: np.dtype[Any]) -> ValueRange | None:
    """The range that an array's type says, None where it says none."""
    if dtype.kind == "f":
        return ValueRange(0.0, 1.0)
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return ValueRange(0.0, 255.0 if dtype.itemsize == 1 else 65535.0)
    return None


def likely_range(low: float, high: float) -> ValueRange:
    """What the range could be of which ``low`` and ``high`` are the ends that were seen."""
    if low < 0:
        largest = max(-low, high)
        return ValueRange(-1.0, 1.0) if largest <= 1 else ValueRange(float(low), float(high))
    for white in _USUAL_WHITES:
        if white / 2 < high <= white:
            return ValueRange(0.0, float(white))
    return ValueRange(0.0, float(high) or 1.0)


def eight_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Values of a file that says itself what is white, and 0 is black, as uint8.

    Raises:
        ImageError: a value is outside or not a number; the message says how to state the range.
    """
    if values.dtype == np.uint8 and white == 255:
        return values
    if values.size and not (values.min() >= 0 and values.max() <= white):
        low, high = values.min(), values.max()
        kind = "float pixels must be in [0, 1]"
        if values.dtype.kind != "f":
            kind = f"grey values must be from 0 to {white:.15g}"
        said = ""
        if math.isfinite(low) and math.isfinite(high):
            such = suggested_range(low, high)
            said = f": say which values are black and white, such as --range {such}"
        raise ImageError(f"{kind}, not {low:.6g} to {high:.6g}{said}")
    return ValueRange(0.0, float(white)).to_eight_bits(values)


def suggested_range(low: float, high: float) -> str:
    """``likely_range`` as it is typed; ``LOW,HIGH`` where nothing can be guessed."""
    return str(likely_range(low, high)) if low < high else "LOW,HIGH"
