"""Arrays where tensors are taken: the one place that makes a tensor of what users have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import LatentmapError

# A tensor, an array, or what NumPy makes an array of, such as lists of numbers.
Numbers: TypeAlias = Tensor | np.ndarray | Sequence[Any]


def as_tensor(given: Numbers, what: str, *, error: type[LatentmapError]) -> Tensor:
    """A tensor as it is; of anything else the array as a tensor, floats as float32.

    Example:
        >>> as_tensor(np.array([[0.5, 1.5]]), "codes", error=LatentmapError)
        tensor([[0.5000, 1.5000]])

    Raises:
        LatentmapError: it is no array of numbers; of the kind ``error``, and naming ``what`` it is.
    """
    if isinstance(given, Tensor):
        return given
    try:
        array = np.asarray(given)
    except ValueError:  # Rows of several lengths.
        array = np.empty(0, np.object_)
    if array.dtype.kind not in "fiub":
        raise error(
            f"{what} are an array or a tensor of numbers, not {type(given).__name__} of "
            f"{array.dtype}: give rows of floats of one length"
        )
    if array.dtype.kind == "f":
        # What is too large becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
    elif array.dtype.kind == "u" and array.dtype != np.uint8:
        array = array.astype(np.int64)
    array = np.ascontiguousarray(array)
    # Memory that is not to be written to is not shared.
    return torch.from_numpy(array if array.flags.writeable else array.copy())
