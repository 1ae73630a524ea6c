"""Arrays of NumPy and HDF5 that are no checkpoint: what is in them, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.encoders.checkpoints.conversion import ARRAYS, UNKNOWN, Network, Recognised
from latentmap.encoders.checkpoints.guesses import guess_of_arrays
from latentmap.encoders.checkpoints.halves import refused
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from latentmap.files import reading
from latentmap.files.array_places import place_arrays
from latentmap.files.hdf5_files import look_into_hdf5
from latentmap.files.kinds import HDF5, FileKind


def read_arrays(path: Path, kind: FileKind, refusal: CheckpointError | None = None) -> Recognised:
    """The arrays of a file, which is described, and refused when it is converted, for the reason
    ``refusal`` where there is one; no values are read.

    Raises:
        CheckpointError: it is cut off or damaged.
    """
    what = f"is {kind.what} that is cut off or damaged"
    with reading(path, CheckpointError, "get it again", what=what):
        arrays = _in_hdf5(path) if kind == HDF5 else _in_numpy(path)
    if refusal is None:
        guess = guess_of_arrays(arrays)
        network = Network("arrays", ARRAYS, arrays, guess=guess)
        keras = ", but neither a whole Keras model nor Keras weights in HDF5"
        what = keras if kind == HDF5 else ", and no checkpoint"
        refusal = CheckpointError(f"{path} is {kind.what}{what}: it holds {guess}")
    else:
        network = Network("arrays", UNKNOWN, arrays)
    return refused(kind.what, (network,), refusal)


def _in_numpy(path: Path) -> dict[str, TensorView]:
    placed = place_arrays(path, CheckpointError)
    return {
        name or "array": _view(one.header.shape, one.header.dtype) for name, one in placed.items()
    }


def _in_hdf5(path: Path) -> dict[str, TensorView]:
    file = look_into_hdf5(path)
    return {name: _view(one.shape, one.dtype) for name, one in file.datasets.items()}


def _view(shape: tuple[int, ...], dtype: np.dtype[Any]) -> TensorView:
    def load() -> Tensor:
        raise CheckpointError("it is an array of no network")

    return TensorView(shape, torch.uint8, load, stored_as=_words(dtype))


def _words(dtype: np.dtype[Any]) -> str:
    kinds: Mapping[str, str] = {"U": "texts", "S": "texts", "O": "objects", "V": "records"}
    return kinds.get(dtype.kind, dtype.name)
