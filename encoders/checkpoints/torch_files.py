"""Files of ``torch.save``, zip archives and the older streams, read without torch's own unpickler.

Where a tensor was (a GPU's number) is of no importance: it is read into ordinary memory.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from typing import Any

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.meanings import Meanings
from latentmap.encoders.checkpoints.pickle_machine import PickleMachine
from latentmap.encoders.checkpoints.tensors import STORAGE_TYPES, Storage
from latentmap.encoders.checkpoints.values import Global, Record
from latentmap.errors import CheckpointError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_STORAGE = 400
# Python's zipfile takes some 600 bytes of memory for an entry; the directory needs 46 or more.
_MAX_DIRECTORY = 4 * 2**20


class Storages:
    """The storages that the persistent ids of one file refer to, by their keys."""

    def __init__(self, budget: Budget, find: Callable[[str], memoryview] | None = None) -> None:
        self._budget = budget
        self._find = find
        self._known: dict[str, Storage] = {}

    def refer(self, reference: Any) -> Any:
        """The storage of a persistent id ``("storage", class, key, location, numel, ...)``; an
        inert record where its numbers are of a type that no network uses. The older streams also
        refer to classes with their source: ``("module", class, file, text)``, here the class.
        """
        if _is_class(reference):
            return reference[1]
        if type(reference) is not tuple or len(reference) < 5 or reference[0] != "storage":
            raise CheckpointError("it refers to something that is no storage of a tensor")
        _, kind, key, _, numel = reference[:5]
        if type(kind) is not Global or type(key) is not str:
            raise CheckpointError("it describes a storage in a way that torch does not")
        if len(reference) > 5 and reference[5] is not None:
            raise CheckpointError("it holds a view of a storage, as torch before 1.0 wrote them")
        dtype = STORAGE_TYPES.get(kind.name.rpartition(".")[2])
        if dtype is None:
            return Record(kind.name, reference)
        known = self._known.get(key)
        if known is None:
            self._budget.spend(_STORAGE)
            data = self._find(key) if self._find else None
            known = self._known[key] = Storage(dtype, numel, data)
        elif (known.dtype, known.numel) != (dtype, numel):
            raise CheckpointError("it describes one storage in two ways")
        return known

    def fill(self, machine: PickleMachine, keys: Any, data: memoryview) -> None:
        """Gives the storages their bytes, which follow the pickles of an older file in the order of
        ``keys``.
        """
        if type(keys) is not list:
            raise CheckpointError("its list of storages is missing")
        position = machine.position
        for key in keys:
            storage = self._known.get(key) if type(key) is str else None
            if storage is None:
                raise CheckpointError("its list of storages names one that no tensor uses")
            try:
                (numel,) = struct.unpack_from("<q", data, position)
            except struct.error:
                raise CheckpointError("the file is cut off in its tensors") from None
            if numel != storage.numel:
                raise CheckpointError("it gives a storage two sizes")
            position += 8
            storage.fill(data[position:])
            position += numel * storage.dtype.itemsize


def _is_class(reference: Any) -> bool:
    return (
        type(reference) is tuple
        and len(reference) == 4
        and reference[0] == "module"
        and type(reference[1]) is Global
    )


def read_legacy(
    data: memoryview, *, budget: Budget, meanings: Meanings, names: dict[str, Global]
) -> Any:
    """The object in a stream of ``torch.save`` before 1.6: five pickles, then the numbers.

    Adds to ``names`` the classes that the stream refers to.

    Raises:
        CheckpointError: it is no such stream, or broken.
    """
    storages = Storages(budget)
    machine = PickleMachine(
        data,
        budget=budget,
        meaning=meanings.apply,
        completion=meanings.complete,
        persistent=storages.refer,
    )
    if machine.read() != LEGACY_MAGIC or machine.read() != _LEGACY_VERSION:
        raise CheckpointError("a torch stream was expected, but it does not start as one")
    system = machine.read()
    if type(system) is dict and system.get("little_endian") is False:
        raise CheckpointError("it was written on a big-endian machine, which is not supported")
    value = machine.read()
    storages.fill(machine, machine.read(), data)
    names.update(machine.names)
    return value


def read_nested_storage(
    data: memoryview, *, budget: Budget, meanings: Meanings, names: dict[str, Global]
) -> Storage:
    """The storage in the torch stream that Python's pickle of a tensor hides; ``meanings`` are
    those that refuse another stream in it.
    """
    value = read_legacy(data, budget=budget, meanings=meanings, names=names)
    if not isinstance(value, Storage):
        raise CheckpointError("a torch stream inside the file holds something else than a storage")
    return value


def read_zip(
    archive: zipfile.ZipFile,
    data: memoryview,
    *,
    budget: Budget,
    meanings: Meanings,
    names: dict[str, Global],
) -> tuple[Any, int]:
    """The object in a zip file of ``torch.save``, and the protocol of its pickle.

    Raises:
        CheckpointError: the archive is no torch file, or broken.
    """
    members = {member.filename: member for member in archive.infolist()}
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError(
            "it is a zip archive, but no file of torch.save: there is no data.pkl in it"
        )
    prefix = pickles[0].removesuffix("data.pkl")
    order = members.get(f"{prefix}byteorder")
    if order is not None and bytes(_stored(order, data)) != b"little":
        raise CheckpointError("it was written on a big-endian machine, which is not supported")

    def find(key: str) -> memoryview:
        member = members.get(f"{prefix}data/{key}")
        if member is None:
            raise CheckpointError(f"the file holds no tensor data {key[:80]!r}: it is damaged")
        return _stored(member, data)

    machine = PickleMachine(
        _stored(members[pickles[0]], data),
        budget=budget,
        meaning=meanings.apply,
        completion=meanings.complete,
        persistent=Storages(budget, find).refer,
    )
    value = machine.read()
    names.update(machine.names)
    return value, machine.protocol


def check_directory(data: memoryview) -> None:
    """Refuses a zip archive whose list of entries would fill the memory.

    Raises:
        CheckpointError: it is too long, or there is none.
    """
    tail = bytes(data[-(22 + 0xFFFF) :])
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise CheckpointError("it is a zip archive that is cut off: its list of entries is missing")
    sizes = [struct.unpack_from("<I", tail, end + 12)[0]]
    # Archives of more than 4 GB have the list's size in a second place, which then counts.
    if end >= 20 and tail[end - 20 : end - 16] == b"PK\x06\x07":
        (place,) = struct.unpack_from("<Q", tail, end - 12)
        # Readers differ in whether they look there, or right before.
        if place != len(data) - len(tail) + end - 20 - 56:
            raise CheckpointError("it is a zip archive whose list of entries is damaged")
        sizes.append(struct.unpack_from("<Q", data, place + 40)[0])
    if max(sizes) > _MAX_DIRECTORY:
        raise CheckpointError("it is a zip archive with more entries than a checkpoint has")


def stored_member(member: zipfile.ZipInfo, data: memoryview) -> tuple[memoryview, int]:
    """The bytes of a member, where they lie in the file, and where that is.

    Raises:
        CheckpointError: they are compressed, encrypted or cut off.
    """
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise CheckpointError(
            f"{member.filename[:80]!r} is compressed or encrypted, which neither torch.save nor "
            "Keras does: unpack the archive and pack it again without compression"
        )
    header = data[member.header_offset : member.header_offset + 30]
    if bytes(header[:4]) != b"PK\x03\x04" or len(header) < 30:
        raise CheckpointError("it is a zip archive that is damaged or cut off")
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    start = member.header_offset + 30 + name_size + extra_size
    if start + member.file_size > len(data):
        raise CheckpointError("it is a zip archive that is cut off")
    return data[start : start + member.file_size], start


def _stored(member: zipfile.ZipInfo, data: memoryview) -> memoryview:
    return stored_member(member, data)[0]
