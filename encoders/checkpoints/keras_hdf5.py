"""Weights that Keras saved in HDF5, in each of its layouts: weights alone or a whole model, of
Keras 2 and of Keras 3.

No link is followed, and no filter is used; of the attributes one alone is read, the description of
a whole model: the names of the groups and arrays say enough.
"""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.keras_names import Layers, is_beside_layers, name_keras3
from latentmap.encoders.checkpoints.torch_files import check_directory, stored_member
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from latentmap.files import reading
from latentmap.files.hdf5_files import Hdf5File, look_into_hdf5
from latentmap.files.hdf5_rows import Stored
from latentmap.files.kinds import HDF5, KERAS_ARCHIVE, file_kind

# A published Split-VAE has some 200 arrays, four groups deep.
_LINKS = 5000
_DEPTH = 8
_KERAS3_GROUPS = ("layers", "_layer_checkpoint_dependencies")
_WHOLE, _LIST, _DESCRIPTION = "model_weights", "layer_names", "model_config"
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


def read_keras_weights(path: Path) -> KerasWeights | None:
    """The float32 arrays of a file that Keras wrote, by layer and by name in it; None for any other
    kind of file.

    A nested model is one layer; its arrays have names such as ``conv2d_1/kernel:0``. Layers without
    arrays are left out.

    Raises:
        CheckpointError: the file is missing, cut off or damaged, or holds anything but plain
            float32 arrays.
    """
    what = "is no readable HDF5 file: it is cut off or damaged"
    with reading(path, CheckpointError, "get it again", what=what):
        kind = file_kind(path)
        if kind is KERAS_ARCHIVE:
            return _read_archive(path)
        return _read(path) if kind is HDF5 else None


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
    found = _read(path, part=(start, len(part)))
    if found is None:
        return None
    description = None if config is None else bytes(stored_member(config, data)[0])
    return KerasWeights("Keras 3 model", found.layers, description)


def _read(path: Path, *, part: tuple[int, int] | None = None) -> KerasWeights | None:
    file = look_into_hdf5(path, attributes=(_LIST, f"{_WHOLE}/{_LIST}", _DESCRIPTION), part=part)
    if _LIST in file.attributes:
        return KerasWeights("Keras HDF5 weights", _layers(file, _names(file)))
    if f"{_WHOLE}/{_LIST}" in file.attributes and _WHOLE in file.groups:
        description = file.attributes.get(_DESCRIPTION)
        return KerasWeights(
            "Keras HDF5 model",
            _layers(file, _names(file, f"{_WHOLE}/")),
            description if isinstance(description, str) else None,
        )
    if any(name in file.groups for name in _KERAS3_GROUPS):
        ways = [way for _, way in _names(file) if not is_beside_layers(way)]
        arrays = [("/".join(name_keras3(way)), way) for way in ways]
        return KerasWeights("Keras 3 weights", _layers(file, arrays))
    return None


def _names(file: Hdf5File, prefix: str = "") -> list[tuple[str, str]]:
    """The names of the arrays below a group, and their ways in the file."""
    links = [*file.datasets, *file.refused, *file.groups]
    ways = [way for way in links if way.startswith(prefix)]
    deepest = max((way.count("/") for way in ways), default=0)
    if not file.complete or len(ways) > _LINKS or deepest > _DEPTH:
        raise CheckpointError(
            f"{file.path} has more groups and arrays than a file of weights has: it is damaged, or "
            "of another kind"
        )
    for way in ways:
        way.encode()  # No name of Keras's is no text.
    groups = set(file.groups)
    return [(way.removeprefix(prefix), way) for way in ways if way not in groups]


def _layers(file: Hdf5File, names: Iterable[tuple[str, str]]) -> Layers:
    layers: Layers = {}
    # Hard links may name one array many times over.
    room = file.size
    for name, way in names:
        array = _array(file, name, way)
        room -= array.nbytes
        if room < 0:
            raise CheckpointError(
                f"{file.path} claims larger arrays than its {file.size} bytes can hold: get it "
                "again"
            )
        layer, _, rest = name.partition("/")
        layers.setdefault(layer, {})[rest] = TensorView(
            array.shape, torch.float32, partial(_load, file, way)
        )
    return layers


def _array(file: Hdf5File, name: str, way: str) -> Stored:
    """A float32 array in one piece."""
    array = file.datasets.get(way)
    what = file.refused.get(way, "in chunks, compressed or empty")
    if array is None or array.offset is None:
        raise _refusal(file.path, name, what)
    if array.dtype.str != "<f4":
        raise _refusal(file.path, name, "of another type")
    return array


def _load(file: Hdf5File, way: str) -> Tensor:
    with reading(file.path, CheckpointError, "get it again"):
        array = file.read(way)
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{file.path} holds weights that are not finite: the training has failed, take an "
            "earlier file"
        )
    return torch.from_numpy(array)


def _refusal(path: Path, name: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"the weights in {path} must be float32 arrays, each in one piece in this file, but "
        f"'{shown(name)}' is {what}: save them again with Keras's save_weights"
    )
