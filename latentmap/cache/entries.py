"""Entries of a cache: one folder each.

Reading needs no lock: a shard never changes, and a manifest is replaced as a whole.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentmap.cache.manifest import MANIFEST, Manifest
from latentmap.cache.shards import (
    DamageError,
    Identity,
    ShardRecord,
    ShardRows,
    check_shard,
    open_shard,
)
from latentmap.codes import Codes, unpack_ids

Known = set[tuple[Identity, str]]


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
        data = (folder / MANIFEST).read_bytes()
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


def find_damage(folder: Path, shard: ShardRecord, *, known: Known) -> str:
    """What is wrong with a shard, after comparing every byte; empty when nothing is."""
    try:
        check_shard(folder / shard.name, shard, checksum=True, known=known)
    except DamageError as error:
        return str(error)
    return ""
