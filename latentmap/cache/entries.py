"""Entries of a cache: one folder each.

Reading needs no lock: a shard never changes, and a manifest is replaced as a whole. A cache has a
marker, an entry a name that is a digest, and a file in it one of our names: whatever else is there
is somebody else's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latentmap.cache.manifest import MANIFEST, Manifest
from latentmap.cache.shards import (
    DamageError,
    ShardRecord,
    ShardRows,
    check_shard,
    open_own,
    open_shard,
    peek_shard,
)
from latentmap.cache.storage import Storage
from latentmap.codes import Codes, unpack_ids
from latentmap.files import Identity, Notify, folders_in
from latentmap.files.home import nobody_named

Known = set[tuple[Identity, str]]
MARKER = ".latentmap-cache"
ENTRIES = "entries"
ENTRY_NAME = re.compile(r"[0-9a-f]{16}")
# Files of an entry, and what ``Storage.publish`` leaves of them when it is killed.
ENTRY_FILE = re.compile(rf"({re.escape(MANIFEST)}|shard-\d{{9,}}-\d{{9,}}\.h5)(\.tmp)?")


def is_cache(path: Path) -> bool:
    """Whether a folder is a cache: it has the marker, or, from before there was one, an entry.

    Raises:
        OSError: it cannot be read.
    """
    if (path / MARKER).is_file():
        return True
    entries = path / ENTRIES
    return entries.is_dir() and any(
        (folder / MANIFEST).is_file() for folder in folders_in(entries, ENTRY_NAME)
    )


def claim(cache: Path, storage: Storage, notify: Notify | None = None) -> None:
    """Makes the folder of a cache, unless it is one already, and says so where nobody named it.

    Raises:
        OSError: it cannot be made.
    """
    if os.path.lexists(cache / MARKER):
        return
    new = not cache.exists()
    storage.make_folder(cache)
    # That it is there is all; other processes may write it at this moment.
    storage.write(cache / MARKER, b"")
    if new and notify and nobody_named(cache):
        notify(
            f"codes are kept in {cache} from now on: `latentmap cache list` shows them, "
            "`latentmap cache rm --all` removes them"
        )


def lock_path(folder: Path) -> Path:
    """The lock file of the entry in ``folder``; outside of it, so that it outlives the entry.

    A lock file that is removed while another process waits for it would let both in.
    """
    return folder.parents[1] / "locks" / f"{folder.name}.lock"


def load_manifest(folder: Path) -> Manifest | None:
    """What was committed to an entry; None when nothing was.

    Raises:
        DamageError: the manifest is not what was written, or belongs to another folder.
        CacheError: it was written by a newer version of latentmap.
    """
    try:
        with open_own(folder / MANIFEST) as file:
            data = file.read()
    except FileNotFoundError:
        return None
    manifest = Manifest.from_bytes(data)
    if manifest.key.id != folder.name:
        raise DamageError(f"{MANIFEST} is the one of entry {manifest.key.id}")
    return manifest


def open_codes(folder: Path, manifest: Manifest, *, checksum: bool, known: Known) -> Codes:
    """The committed codes of an entry; the vectors stay on disk.

    Raises:
        DamageError: a shard is not what was written.
    """
    dim = manifest.space.dim
    shards = []
    names = []
    for record in manifest.shards:
        path = folder / record.name
        identity = check_shard(path, record, checksum=checksum, known=known)
        shard, named = open_shard(path, record, dim, identity)
        shards.append(shard)
        names.append(named)
    # The empty arrays give the types where there is no shard.
    packed = np.concatenate([np.empty(0, "S1"), *(named.ids for named in names)])
    digests = np.concatenate([np.empty((0, 16), np.uint8), *(named.digests for named in names)])
    return Codes(
        ids=unpack_ids(packed),
        rows=ShardRows(tuple(shards), dim),
        space=manifest.space,
        frame=manifest.frame,
        data=manifest.key.data,
        digests=digests,
        skipped=tuple(skip.id for skip in manifest.skipped),
    )


def peek_digests(folder: Path, manifest: Manifest) -> Iterator[np.ndarray]:
    """The digests ``(k, 16)`` that each shard of an entry says it has, without a look at its other
    bytes: enough to know whether it is worth being opened.

    Raises:
        DamageError: a shard is not what was written.
    """
    for record in manifest.shards:
        yield peek_shard(folder / record.name, record)


def find_damage(folder: Path, shard: ShardRecord, *, known: Known) -> str:
    """What is wrong with a shard, after comparing every byte; empty when nothing is."""
    try:
        check_shard(folder / shard.name, shard, checksum=True, known=known)
    except DamageError as error:
        return str(error)
    return ""
