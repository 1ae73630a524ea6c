"""Checkpoints of TensorFlow: an index of names beside files of numbers, read without TensorFlow.

``PREFIX.index`` says where in ``PREFIX.data-00000-of-00001`` each variable lies. In the format of
``tensorflow/core/protobuf/tensor_bundle.proto``; one entry describes the objects that the variables
belong to (``trackable_object_graph.proto``).
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.crc32c import masked_crc32c
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.object_graph import object_names
from latentmap.encoders.checkpoints.protobuf import content, fields, number, read_varint
from latentmap.encoders.checkpoints.table import read_table
from latentmap.encoders.checkpoints.tensors import MAX_DIMENSIONS, Storage
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from latentmap.files import open_regular

# By the numbers of tensorflow/core/framework/types.proto.
_TYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    5: torch.int16,
    6: torch.int8,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    19: torch.float16,
}
_STRING = 7
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_DATA = re.compile(r"\.data-[0-9]{5}-of-[0-9]{5}$")
_ENTRY = 1000  # Bytes of memory for a variable, about.


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a checkpoint: its numbers, and the name that its program gave it ('' where the
    file does not say).
    """

    view: TensorView
    full_name: str = ""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A checkpoint: its variables by the way to them through its objects, and the files that it
    consists of, the index first.
    """

    variables: Mapping[str, Variable]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Entry:
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def find_bundle(path: Path) -> Path | None:
    """The index of the checkpoint that a path means: the index, one of the files of numbers, the
    prefix of both, or a SavedModel's folder or graph; None where it is none of these.
    """
    if path.name == "saved_model.pb":
        path = path.parent
    if path.is_dir():
        index = path / "variables" / "variables.index"
        return index if index.is_file() else None
    prefix = _DATA.sub("", path.name)
    if path.exists() and prefix == path.name:
        return path if path.suffix == ".index" else None
    index = path.with_name(f"{prefix}.index")
    return index if index.is_file() else None


def read_bundle(index: Path) -> Bundle:
    """The variables of a checkpoint whose index this is; those that are no numbers are left out.

    Raises:
        CheckpointError: the index or a file beside it is missing, cut off, damaged or big-endian.
    """
    entries, shards = _read_index(_map(index))
    prefix = index.name.removesuffix(".index")
    files = [
        index.with_name(f"{prefix}.data-{shard:05}-of-{shards:05}")
        for shard in sorted({entry.shard for entry in entries.values()})
    ]
    for file in files:
        if not file.is_file():
            raise CheckpointError(
                f"{index} is the index of a TensorFlow checkpoint, whose numbers lie in "
                f"{file.name}: put that file beside it"
            )
    data = {int(file.name[-14:-9]): _map(file) for file in files}
    names = object_names(_graph(entries.pop(_GRAPH, None), data))
    # Entries may overlap: what is loaded is bounded as in every other file.
    allowance = Budget(sum(map(len, data.values())), "more numbers than its size allows")
    variables = {}
    for key, entry in entries.items():
        if entry.dtype in _TYPES:
            path, full_name = names.get(key, (key.removesuffix(_SUFFIX), ""))
            variables[path] = Variable(_view(key, entry, data, allowance), full_name)
    return Bundle(variables, (index, *files))


def _map(path: Path) -> memoryview:
    try:
        with open_regular(path) as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:
        return memoryview(b"")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _read_index(data: memoryview) -> tuple[dict[str, _Entry], int]:
    """The entries by key, and how many files of numbers there are."""
    budget = Budget()
    entries: dict[str, _Entry] = {}
    shards = 1
    for key, value in read_table(data):
        budget.spend(_ENTRY + len(key))
        if not key:
            header = dict(fields(value))
            shards = number(header.get(1, 0))
            if header.get(2, 0) != 0:
                raise CheckpointError("it was written on a big-endian machine: not supported")
            continue
        entry = _entry(value)
        if entry is not None:
            entries[key.decode("utf-8", "replace")] = entry
    if not 0 < shards < 100_000:
        raise CheckpointError("it is damaged: it names no files of numbers")
    return entries, shards


def _entry(value: memoryview) -> _Entry | None:
    """What an entry says; None where the variable is in slices, which stand for themselves."""
    found = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: list[int] = []
    for field, part in fields(value):
        if field == 7:
            return None
        if field == 2:
            sides = [content(side) for kind, side in fields(content(part)) if kind == 2]
            shape = [number(dict(fields(side)).get(1, 0)) for side in sides]
        elif field in found:
            found[field] = number(part)
    if len(shape) > MAX_DIMENSIONS:
        raise CheckpointError("it is damaged: a variable has more axes than any has")
    return _Entry(found[1], tuple(shape), found[3], found[4], found[5], found[6])


def _bytes(entry: _Entry, data: Mapping[int, memoryview], key: str) -> memoryview:
    shard = data.get(entry.shard, memoryview(b""))
    part = shard[entry.offset : entry.offset + entry.size]
    if len(part) != entry.size:
        raise CheckpointError(f"its file of numbers is cut off before {shown(key)}: get it again")
    return part


def _view(key: str, entry: _Entry, data: Mapping[int, memoryview], allowance: Budget) -> TensorView:
    dtype = _TYPES[entry.dtype]
    if math.prod(entry.shape) * dtype.itemsize != entry.size:
        raise CheckpointError(
            f"it is damaged: {shown(key)} has the shape {entry.shape} and {entry.size} bytes"
        )
    part = _bytes(entry, data, key)
    strides = [math.prod(entry.shape[axis + 1 :]) for axis in range(len(entry.shape))]
    storage = Storage(dtype, math.prod(entry.shape), part)
    view = storage.view(0, entry.shape, strides, allowance=allowance)

    def load() -> torch.Tensor:
        if masked_crc32c(part) != entry.crc:
            raise CheckpointError(
                f"its file of numbers is damaged (the checksum of {shown(key)} is wrong): get it "
                "again"
            )
        return view.load()

    return TensorView(view.shape, dtype, load)


def _graph(entry: _Entry | None, data: Mapping[int, memoryview]) -> memoryview:
    """The description of the objects that the variables belong to; empty where there is none."""
    if entry is None or entry.dtype != _STRING:
        return memoryview(b"")
    part = _bytes(entry, data, _GRAPH)
    # One text: its length, a CRC of that, and the text.
    length, position = read_varint(part, 0)
    graph = part[position + 4 :]
    if len(graph) != length:
        raise CheckpointError("it is damaged: the description of its objects has another length")
    return graph
