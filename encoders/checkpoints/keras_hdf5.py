"""Keras weights in its older HDF5 layout: a group of arrays for every layer or nested model.

No link out of the file is followed, and no filter or attribute is used: attributes may ask for more
memory than the file has bytes, and the names of the groups and arrays say enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError

# A published Split-VAE has some 200 arrays, four groups deep.
_LINKS = 5000
_DEPTH = 8
_PATH_LENGTH = 500
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_keras_weights(path: Path) -> dict[str, dict[str, TensorView]] | None:
    """The float32 arrays of a file that Keras's ``save_weights`` wrote, by layer and by name in it;
    None for any other kind of file.

    A nested model is one layer; its arrays have names such as ``conv2d_1/kernel:0``. Layers without
    arrays are left out.

    Raises:
        CheckpointError: the file is missing, cut off or damaged, or holds anything but plain
            float32 arrays.
    """
    try:
        with path.open("rb") as start:
            if start.read(len(_SIGNATURE)) != _SIGNATURE:
                return None
        with h5py.File(path, "r", locking="best-effort") as file:
            return _layers(path, file) if "layer_names" in file.attrs else None
    except CheckpointError:
        raise
    except (MemoryError, OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} is no readable HDF5 file: it is missing, cut off or damaged ({reason}); get "
            "it again"
        ) from None


def _layers(path: Path, file: Any) -> dict[str, dict[str, TensorView]]:
    layers: dict[str, dict[str, TensorView]] = {}
    size = room = path.stat().st_size
    for name, dataset in _datasets(path, file):
        offset, shape = _storage(path, name, dataset.id)
        # Hard links may name one array many times over.
        room -= _bytes(shape)
        if min(room, size - offset - _bytes(shape)) < 0:
            raise CheckpointError(
                f"{path} claims larger arrays than its {size} bytes can hold: get it again"
            )
        layer, _, rest = name.partition("/")
        layers.setdefault(layer, {})[rest] = TensorView(
            shape, torch.float32, partial(_load, path, offset, shape)
        )
    return layers


def _datasets(path: Path, file: Any) -> Iterator[tuple[str, Any]]:
    """The arrays in the groups of the file, by name; links may make circles of groups, and a file
    hold millions of them: both end at a bound.
    """
    waiting = [("", file)]
    seen = 0
    while waiting:
        prefix, group = waiting.pop()
        seen += len(group)
        if seen > _LINKS or prefix.count("/") > _DEPTH or len(prefix) > _PATH_LENGTH:
            raise CheckpointError(
                f"{path} has more groups and arrays than a file of weights has: it is damaged, or "
                "of another kind"
            )
        inner = []
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _refusal(path, f"{prefix}{name}", "a soft or an external link")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield f"{prefix}{name}", item
            elif isinstance(item, h5py.Group):
                inner.append((f"{prefix}{name}/", item))
        waiting += reversed(inner)


def _storage(path: Path, name: str, dataset: Any) -> tuple[int, tuple[int, ...]]:
    """Where in the file a float32 array begins, and its shape."""
    storage = dataset.get_create_plist()
    if storage.get_layout() == h5py.h5d.VIRTUAL or storage.get_external_count():
        raise _refusal(path, name, "an array that other files hold")
    offset = dataset.get_offset()
    if storage.get_layout() != h5py.h5d.CONTIGUOUS or offset is None:
        raise _refusal(path, name, "in chunks, compressed or empty")
    if dataset.get_type() != h5py.h5t.IEEE_F32LE:
        raise _refusal(path, name, "of another type")
    return offset, dataset.shape


def _load(path: Path, offset: int, shape: tuple[int, ...]) -> Tensor:
    # Past HDF5, so that the file need not stay open, nor be walked again.
    array = np.fromfile(path, "<f4", count=math.prod(shape), offset=offset)
    if array.nbytes != _bytes(shape):
        raise CheckpointError(f"{path} is cut off: get it again")
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{path} holds weights that are not finite: the training has failed, take an earlier "
            "file"
        )
    return torch.from_numpy(array).reshape(shape)


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * math.prod(shape)


def _refusal(path: Path, name: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"the weights in {path} must be float32 arrays, each in one piece in this file, but "
        f"'{shown(name)}' is {what}: save them again with Keras's save_weights"
    )
