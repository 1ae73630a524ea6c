"""Weights that Keras saved in HDF5, in each of its layouts: weights alone or a whole model, of
Keras 2 and of Keras 3.

No link out of the file is followed, and no filter is used; of the attributes one alone is read,
the description of a whole model, when it is a text within the file: attributes may ask for more
memory than the file has bytes, and the names of the groups and arrays say enough.
"""

from __future__ import annotations

import io
import math
import mmap
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.keras_names import Layers, is_beside_layers, name_keras3
from latentmap.encoders.checkpoints.torch_files import check_directory, stored_member
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from latentmap.files.kinds import HDF5, KERAS_ARCHIVE, file_kind

# A published Split-VAE has some 200 arrays, four groups deep.
_LINKS = 5000
_DEPTH = 8
_PATH_LENGTH = 500
_KERAS3_GROUPS = ("layers", "_layer_checkpoint_dependencies")
_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"


@dataclass(frozen=True, eq=False)
class KerasWeights:
    """The arrays of a Keras model: by layer, and by name in it.

    ``layout`` is how Keras saved them; ``description`` what a whole model says of its layers, as
    JSON.
    """

    layout: str
    layers: Layers
    description: str | bytes | None = None


@dataclass(frozen=True)
class _Place:
    """An HDF5 file, or the part of another file that is one."""

    path: Path
    start: int
    size: int


def read_keras_weights(path: Path) -> KerasWeights | None:
    """The float32 arrays of a file that Keras wrote, by layer and by name in it; None for any other
    kind of file.

    A nested model is one layer; its arrays have names such as ``conv2d_1/kernel:0``. Layers without
    arrays are left out.

    Raises:
        CheckpointError: the file is missing, cut off or damaged, or holds anything but plain
            float32 arrays.
    """
    try:
        kind = file_kind(path)
        if kind is KERAS_ARCHIVE:
            return _read_archive(path)
        if kind is not HDF5:
            return None
        with h5py.File(path, "r", locking="best-effort") as file:
            return _read(_Place(path, 0, path.stat().st_size), file)
    except CheckpointError:
        raise
    except (
        MemoryError,
        OSError,
        RuntimeError,
        LookupError,
        TypeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} is no readable HDF5 file: it is missing, cut off or damaged ({reason}); get "
            "it again"
        ) from None


def _read_archive(path: Path) -> KerasWeights | None:
    """The weights in a ``.keras`` file, a zip archive with a description beside them."""
    with path.open("rb") as raw:
        data = memoryview(mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ))
    check_directory(data)
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
    if _WEIGHTS not in members:
        return None
    config = members.get(_CONFIG)
    part, start = stored_member(members[_WEIGHTS], data)
    with h5py.File(io.BytesIO(part), "r") as file:
        found = _read(_Place(path, start, len(part)), file)
    if found is None:
        return None
    description = None if config is None else bytes(stored_member(config, data)[0])
    return KerasWeights("Keras 3 model", found.layers, description)


def _read(place: _Place, file: Any) -> KerasWeights | None:
    if "layer_names" in file.attrs:
        return KerasWeights("Keras HDF5 weights", _layers(place, _datasets(place.path, file)))
    if _is_group(file, "model_weights") and "layer_names" in file["model_weights"].attrs:
        arrays = _datasets(place.path, file["model_weights"])
        return KerasWeights("Keras HDF5 model", _layers(place, arrays), _description(place, file))
    if any(_is_group(file, name) for name in _KERAS3_GROUPS):
        arrays = (
            ("/".join(name_keras3(name)), item)
            for name, item in _datasets(place.path, file)
            if not is_beside_layers(name)
        )
        return KerasWeights("Keras 3 weights", _layers(place, arrays))
    return None


def _is_group(file: Any, name: str) -> bool:
    """Whether a group of the name stands in the file itself."""
    hard = name in file and isinstance(file.get(name, getlink=True), h5py.HardLink)
    return hard and isinstance(file[name], h5py.Group)


def _description(place: _Place, file: Any) -> str | bytes | None:
    """The text of the attribute ``model_config``; None where there is none, or it is no text."""
    if "model_config" not in file.attrs:
        return None
    attribute = file.attrs.get_id("model_config")
    if attribute.shape != () or attribute.get_storage_size() > place.size:
        return None
    value = file.attrs["model_config"]
    return value if isinstance(value, str | bytes) else None


def _layers(place: _Place, arrays: Iterator[tuple[str, Any]]) -> Layers:
    layers: Layers = {}
    path, size = place.path, place.size
    room = size
    for name, dataset in arrays:
        offset, shape = _storage(path, name, dataset.id)
        # Hard links may name one array many times over.
        room -= _bytes(shape)
        if min(room, size - offset - _bytes(shape)) < 0:
            raise CheckpointError(
                f"{path} claims larger arrays than its {size} bytes can hold: get it again"
            )
        layer, _, rest = name.partition("/")
        layers.setdefault(layer, {})[rest] = TensorView(
            shape, torch.float32, partial(_load, path, place.start + offset, shape)
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
