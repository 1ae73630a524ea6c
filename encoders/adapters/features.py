"""Which features of an encoder are its codes.

pooled    what it says of the whole image; codes (d,)
cls       the class token of the last layer; codes (d,)
patches   the patches at their places, or the last map of convolutions; codes (d, rows, columns)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from latentmap.errors import ModelError

Features = Literal["pooled", "cls", "patches"]
FEATURES: tuple[Features, ...] = get_args(Features)


def read_features(text: str) -> Features:
    """The features of an option.

    Raises:
        ModelError: it names none.
    """
    for one in FEATURES:
        if one == text:
            return one
    raise ModelError(f"there are no features {text!r}: choose one of {', '.join(FEATURES)}")


def at_places(tokens: Tensor, places: Sequence[int]) -> Tensor:
    """Tokens ``(n, rows * columns, d)`` as a grid ``(n, d, rows, columns)``."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *places)
