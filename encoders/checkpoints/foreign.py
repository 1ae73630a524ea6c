"""Opening foreign checkpoints: pickles and files of ``torch.save``, told apart by their content."""

from __future__ import annotations

import mmap
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.meanings import Meanings
from latentmap.encoders.checkpoints.pickle_machine import PickleMachine
from latentmap.encoders.checkpoints.torch_files import (
    LEGACY_MAGIC,
    check_directory,
    read_legacy,
    read_nested_storage,
    read_zip,
)
from latentmap.encoders.checkpoints.values import Global
from latentmap.errors import CheckpointError
from latentmap.files import open_regular

Container = Literal["pickle", "safetensors", "torch-zip", "torch-legacy"]
# What pickles of protocols 0 and 1 begin with: they have no signature.
_OLD_PICKLES = b"(]}cl"
# Tensors that share a storage are read one by one: beyond the file's size this much may be shared.
_SHARED = 16 * 2**20
# A network of a thousand tensors needs some 300 KB each time that it is looked at.
WALK = 64 * 2**20


@dataclass(frozen=True, eq=False)
class ForeignFile:
    """What a foreign file holds, inert; its tensors are still in the file.

    ``unknown`` are the classes and functions that it refers to and that stand for no data: kept as
    names. ``walk`` is the memory that looking for networks in
    ``value`` may take: parts may be shared so often that their paths have no end.
    """

    path: Path
    size: int
    container: Container
    protocol: int
    value: Any
    unknown: tuple[str, ...]
    walk: Budget


def open_foreign(path: Path) -> ForeignFile:
    """The contents of a pickle or of a file of ``torch.save``; nothing in it is imported or called.

    Raises:
        CheckpointError: the file is missing, of another kind, cut off, or describes more than a
            checkpoint does.
    """
    data = _map(path)
    try:
        return _read(path, data)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def _map(path: Path) -> memoryview:
    try:
        with open_regular(path) as file:
            # Pages come when they are touched, and the file keeps its bytes.
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}: give the path of a checkpoint") from None
    except ValueError:
        raise CheckpointError(f"{path} is empty: give the path of a checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _read(path: Path, data: memoryview) -> ForeignFile:
    budget = Budget()
    allowance = Budget(len(data) + _SHARED, "more numbers than its size allows")
    decoding = Budget(len(data), "more bytes in texts than its size allows")
    names: dict[str, Global] = {}
    innermost = Meanings(budget=budget, allowance=allowance, decoding=decoding)
    meanings = Meanings(
        budget=budget,
        allowance=allowance,
        decoding=decoding,
        read_storage=lambda stream: read_nested_storage(
            stream, budget=budget, meanings=innermost, names=names
        ),
    )
    container: Container
    if bytes(data[:4]) == b"PK\x03\x04":
        container = "torch-zip"
        check_directory(data)
        try:
            with zipfile.ZipFile(path) as archive:
                value, protocol = read_zip(
                    archive, data, budget=budget, meanings=meanings, names=names
                )
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"it is a zip archive that is damaged ({error})") from None
    elif data[0] != 0x80 and data[0] not in _OLD_PICKLES:
        raise CheckpointError(
            "it is neither a pickle, nor a file of torch.save, nor Keras weights in HDF5"
        )
    else:
        machine = PickleMachine(
            data, budget=budget, meaning=meanings.apply, completion=meanings.complete
        )
        value, protocol = machine.read(), machine.protocol
        names.update(machine.names)
        container = "pickle"
        if value == LEGACY_MAGIC:
            container = "torch-legacy"
            value = read_legacy(data, budget=budget, meanings=meanings, names=names)
    return ForeignFile(
        path=path,
        size=len(data),
        container=container,
        protocol=protocol,
        value=value,
        unknown=tuple(sorted(name for name in names if not meanings.knows(name))),
        walk=Budget(WALK, "networks with more parts than any has"),
    )
