"""Shards: immutable HDF5 files that hold the codes of a run of images.

A shard is contiguous, without filters and superblock version 0, so that any HDF5 reads it; the
same content gives the same bytes. Rows are read at the dataset's offset, past HDF5: that is ten
times faster for random rows, and h5py's global lock is not in the way of threads.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latentmap.codes import pack_ids
from latentmap.errors import CacheError
from latentmap.files import Identity, identity_of, open_regular, reason_of

_FORMAT = "latentmap-shard"
_SCHEMA = 1
# A folder; a pipe or a device.
_NO_FILE = (errno.EISDIR, errno.EINVAL)
_DATASETS = ("codes", "ids", "digests", "positions")


class DamageError(CacheError):
    """Files of a cache that are not what was written: they must be made again."""


@dataclass(frozen=True)
class ShardRecord:
    """What the manifest says of a shard.

    It holds ``rows`` codes of the images at positions ``start`` to ``stop``.
    """

    start: int
    stop: int
    rows: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return f"shard-{self.start:09d}-{self.stop:09d}.h5"


@dataclass(frozen=True, eq=False)
class ShardContent:
    """Codes float32 ``(k, d)``, ids ``(k,)``, digests uint8 ``(k, 16)``, positions ``(k,)``."""

    codes: np.ndarray
    ids: np.ndarray
    digests: np.ndarray
    positions: np.ndarray


def pack_shard(
    content: ShardContent, *, start: int, stop: int, provenance: Mapping[str, Any]
) -> tuple[ShardRecord, bytes]:
    """A shard for the images at ``start`` to ``stop``: its record, and the bytes of the file."""
    image = _hdf5_image(content, json.dumps(provenance, sort_keys=True))
    digest = hashlib.sha256(image).hexdigest()
    return ShardRecord(start, stop, len(content.positions), len(image), digest), image


def _hdf5_image(content: ShardContent, provenance: str) -> bytes:
    import h5py

    names = pack_ids(content.ids)
    utf8 = h5py.string_dtype("utf-8", names.dtype.itemsize)
    # In memory, so that the file reaches the disk in one write; a large block spares copies while
    # it grows.
    file: Any = h5py.File("shard", "w", driver="core", backing_store=False, block_size=1 << 20)
    with file:
        file.attrs["format"] = _FORMAT
        file.attrs["schema_version"] = _SCHEMA
        file.create_dataset("codes", data=content.codes.astype("<f4", copy=False))
        file.create_dataset("ids", data=names.astype(utf8))
        file.create_dataset("digests", data=content.digests.astype(np.uint8, copy=False))
        file.create_dataset("positions", data=content.positions.astype("<i8", copy=False))
        file.create_dataset("provenance", data=provenance)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def check_shard(
    path: Path, record: ShardRecord, *, checksum: bool, known: set[tuple[Identity, str]]
) -> Identity:
    """Compares a shard with its record, and gives back which file it was.

    That is its size, and with ``checksum`` every byte. ``known`` are the files that need not be
    read again; a file that was read is added.

    Raises:
        DamageError: they differ, or the shard is missing.
    """
    try:
        opened = open_own(path)
    except FileNotFoundError:
        raise DamageError(f"{path.name} is missing") from None
    with opened as file:
        identity = identity_of(file)
        if identity.size != record.size:
            raise DamageError(f"{record.name} has {identity.size} bytes instead of {record.size}")
        if checksum and (identity, record.sha256) not in known:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            if digest.hexdigest() != record.sha256:
                raise DamageError(f"{record.name} is not as it was written (its sha256 differs)")
            known.add((identity, record.sha256))
    return identity


@dataclass(frozen=True)
class Shard:
    """An open shard: where its codes are on disk."""

    path: Path
    identity: Identity
    offset: int
    rows: int
    dim: int

    def __len__(self) -> int:
        return self.rows

    def read_into(self, target: np.ndarray, start: int) -> None:
        """Fills ``target``, float32 ``(k, d)`` in one piece, with rows from ``start`` on."""
        with self._reopened() as file:
            file.seek(self.offset + start * self.dim * 4)
            got = file.readinto(target.data)
            if got != target.nbytes:
                raise CacheError("it ended early: open the cache again")

    def take_into(self, target: np.ndarray, where: np.ndarray, index: np.ndarray) -> None:
        """Puts the rows ``index`` into the rows ``where`` of ``target``."""
        # Mapped for this one call: pages that stay mapped count as memory of the process.
        with (
            self._reopened() as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
        ):
            rows = np.frombuffer(pages, "<f4", len(self) * self.dim, self.offset)
            target[where] = rows.reshape(len(self), self.dim)[index]
            del rows

    @contextmanager
    def _reopened(self) -> Iterator[BufferedReader]:
        try:
            with open_own(self.path) as file:
                if identity_of(file) != self.identity:
                    raise CacheError("it was changed since it was opened: open the cache again")
                yield file
        except FileNotFoundError:
            raise CacheError(f"{self.path} was removed while it was in use: encode again") from None
        except OSError as error:
            reason = error if isinstance(error, CacheError) else error.strerror
            raise CacheError(f"{self.path} cannot be read: {reason}") from error


class ShardNames(NamedTuple):
    """Which images a shard has: ids as bytes ``(k,)``, digests ``(k, 16)``, positions ``(k,)``."""

    ids: np.ndarray
    digests: np.ndarray
    positions: np.ndarray


def open_shard(
    path: Path, record: ShardRecord, dim: int, identity: Identity
) -> tuple[Shard, ShardNames]:
    """A shard that ``check_shard`` found right, ready to be read, and the names of its images.

    Raises:
        DamageError: it is missing, or not a shard with ``record.rows`` codes of size ``dim``.
    """
    import h5py

    n = record.rows
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            codes, *others = (_own_dataset(file, name, record.size) for name in _DATASETS)
            offset = codes.id.get_offset()
            stored = (codes.shape, codes.dtype.str)
            named = [one.shape for one in others] == [(n,), (n, 16), (n,)] and all(
                one.dtype.kind == kind for one, kind in zip(others, "Sui", strict=True)
            )
            ids, digests, positions = (one[...] if named else np.empty(0) for one in others)
            ids = ids.astype(f"S{ids.dtype.itemsize}")
    except Exception as error:  # Of types that h5py promises nothing about.
        raise DamageError(f"{record.name} is not a shard of codes ({reason_of(error)})") from error
    inside = offset is not None and offset + 4 * n * dim <= record.size
    if stored != ((n, dim), "<f4") or not inside:
        raise DamageError(f"{record.name} does not hold {n} codes of {dim} float32 in one piece")
    if not named:
        raise DamageError(f"{record.name} does not name each of its {n} codes")
    if not (np.diff(positions, prepend=record.start - 1, append=record.stop) > 0).all():
        raise DamageError(f"{record.name} holds images outside {record.start} to {record.stop}")
    return Shard(path, identity, offset, n, dim), ShardNames(ids, digests, positions)


def peek_shard(path: Path, record: ShardRecord) -> np.ndarray:
    """The digests ``(k, 16)`` in a shard whose bytes nobody has checked.

    Raises:
        DamageError: it is missing, or no shard.
    """
    import h5py

    check_shard(path, record, checksum=False, known=set())
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            digests = _own_dataset(file, "digests", record.size)
            if (digests.shape, digests.dtype.str) != ((record.rows, 16), "|u1"):
                raise ValueError("its digests are not those of its rows")
            return np.asarray(digests[...])
    except Exception as error:  # Of types that h5py promises nothing about.
        raise DamageError(f"{record.name} is not a shard of codes ({reason_of(error)})") from error


def _own_dataset(file: Any, name: str, size: int) -> Any:
    """A dataset that lies in one piece in the file, of ``size`` bytes; no link is followed.

    Raises:
        ValueError: it is none.
    """
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or a link")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    storage = item.id.get_create_plist()
    here = storage.get_layout() == h5py.h5d.CONTIGUOUS and not storage.get_external_count()
    if not here or item.nbytes > size:
        raise ValueError(f"{name} is not in one piece")
    return item


class ShardRows:
    """The rows of some shards, one after the other; each call reads, and keeps nothing."""

    def __init__(self, shards: tuple[Shard, ...], dim: int) -> None:
        self._shards = shards
        self._stops = np.cumsum([len(shard) for shard in shards], dtype=np.int64)
        self.shape: tuple[int, ...] = (int(self._stops[-1]) if shards else 0, dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop``, float32."""
        start, stop, _ = slice(start, stop).indices(len(self))
        rows = np.empty((max(stop - start, 0), self.shape[1]), np.float32)
        done = 0
        for number in range(int(np.searchsorted(self._stops, start, "right")), len(self._shards)):
            if done == len(rows):
                break
            shard = self._shards[number]
            first = start + done - (int(self._stops[number]) - len(shard))
            count = min(len(shard) - first, len(rows) - done)
            shard.read_into(rows[done : done + count], first)
            done += count
        return rows

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows at ``index`` (integers or a mask), float32, in that order."""
        index = _integers(index, len(self))
        rows = np.empty((len(index), self.shape[1]), np.float32)
        # In the order of the disk, so that each shard is mapped once and its pages are met once.
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index[order], self._stops)
        start = 0
        for shard, last, stop in zip(self._shards, self._stops, bounds, strict=True):
            if stop > start:
                where = order[start:stop]
                shard.take_into(rows, where, index[where] - (int(last) - len(shard)))
            start = stop
        return rows

    def __len__(self) -> int:
        return self.shape[0]


def _integers(index: np.ndarray, length: int) -> np.ndarray:
    index = np.asarray(index)
    if index.dtype == np.bool_:
        if len(index) != length:
            raise IndexError(f"a mask for {length} rows must have that length, not {len(index)}")
        return np.flatnonzero(index)
    index = np.where(index < 0, index + length, index).astype(np.int64)
    if len(index) and not (index.min() >= 0 and index.max() < length):
        raise IndexError(
            f"rows must be between 0 and {length - 1}, not {index.min()} to {index.max()}"
        )
    return index


def open_own(path: Path) -> BufferedReader:
    """A file of an entry, open for reading its bytes.

    Raises:
        DamageError: something else stands in its place.
        OSError: it is not there, or cannot be read.
    """
    try:
        return open_regular(path)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise DamageError(f"{path.name} is no file ({error.strerror})") from None
