"""What the description of a model claims, held against the weights beside it, before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from latentmap.encoders.building import at_most
from latentmap.errors import ModelError
from latentmap.files import open_tensors, reading

# What may be missing in the files: a pooler, of which the message is another's.
_PARAMETERS = 64
_NUMBERS = 1 << 24


def require_weights(folder: Path, stem: str, make: Callable[[], nn.Module]) -> None:
    """Passes where the network that ``make`` makes of the description in a folder is no larger than
    the weights in ``stem*.safetensors``: it may claim any width, and any number of layers.

    ``make`` is called where tensors have shapes and no memory; a network that cannot be made so is
    not looked at.

    Raises:
        ModelError: the network would be larger, or the files are damaged.
    """
    files = sorted(folder.glob(f"{stem}*.safetensors"))
    tensors = sum(map(_count, files))
    # A number takes a byte or more.
    most = sum(file.stat().st_size for file in files) + _NUMBERS
    left: Mapping[str, int] = {}
    try:
        with torch.device("meta"), at_most(tensors + _PARAMETERS) as left:
            numbers = sum(weight.numel() for weight in make().parameters())
    # Whatever a library makes of somebody else's description.
    except Exception as error:
        if min(left.values(), default=0) >= 0:
            return
        raise ModelError(f"{folder / 'config.json'} does not fit the weights: {error}") from error
    if numbers > most:
        raise ModelError(
            f"{folder / 'config.json'} does not fit the weights: it describes {numbers:,} numbers, "
            "more than their files can hold; get the folder again"
        )


def _count(path: Path) -> int:
    with reading(path, ModelError, "get it again"), open_tensors(path, ModelError) as file:
        return len(list(file.keys()))
