"""Files of safetensors, latentmap's own and others': tensors by name, and what wrote them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.foreign import WALK, ForeignFile
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from latentmap.files import open_tensors, parse_json

# By the format's own names; what is not here (8-bit floats, ...) is shown, but not read.
_TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def open_safetensors(path: Path) -> tuple[ForeignFile, str | None]:
    """The tensors of a file, still in it, as one dictionary; and what kind of latentmap's files it
    is (``model``, ``map``), None for another program's.

    Raises:
        CheckpointError: it is cut off or damaged, or its header takes more memory than it may.
    """
    try:
        with open_tensors(path, CheckpointError) as file:
            metadata = file.metadata() or {}
            tensors = {}
            for name in file.keys():  # It is no dictionary.
                piece = file.get_slice(name)
                tensors[name] = _view(path, name, tuple(piece.get_shape()), piece.get_dtype())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is a safetensors file that is cut off or damaged ({error}): get it again"
        ) from None
    return ForeignFile(
        path=path,
        size=path.stat().st_size,
        container="safetensors",
        protocol=0,
        value=tensors,
        unknown=(),
        walk=Budget(WALK, "networks with more parts than any has"),
    ), _own_kind(metadata.get("latentmap"))


def _own_kind(header: str | None) -> str | None:
    if header is None:
        return None
    try:
        kind = parse_json(header)["kind"]
    except (KeyError, ValueError):
        return "file"
    return kind if isinstance(kind, str) else "file"


def _view(path: Path, name: str, shape: tuple[int, ...], kind: str) -> TensorView:
    def load() -> Tensor:
        if kind not in _TYPES:
            raise CheckpointError(f"it holds numbers of the type {kind}, which is not supported")
        try:
            with open_tensors(path, CheckpointError) as file:
                tensor: Tensor = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"it cannot be read any more ({error})") from None
        return tensor

    if kind in _TYPES:
        return TensorView(shape, _TYPES[kind], load)
    return TensorView(shape, torch.uint8, load, stored_as=kind)
