"""EntryRange: the codes of an entry, some images at a time, whatever their number is.

Nothing is in memory but the names of one shard and the rows that are asked for. Shapes: ``k``
images, ``d`` latent variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latentmap.cache.entries import Known
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import Manifest
from latentmap.cache.shards import (
    Shard,
    ShardContent,
    ShardNames,
    ShardRecord,
    check_shard,
    open_shard,
)
from latentmap.codes import unpack_ids
from latentmap.errors import CacheError


@dataclass(frozen=True)
class _Open:
    record: ShardRecord
    shard: Shard
    names: ShardNames


class EntryRange:
    """What an entry of a ``cache`` holds of the images between two positions.

    Every byte of a shard is compared with the manifest when it is first needed.
    """

    def __init__(self, cache: LatentCache, manifest: Manifest) -> None:
        self.manifest = manifest
        self._cache = cache.path
        self._folder = cache.entries.folder(manifest.key.id)
        self._starts = np.array([record.start for record in manifest.shards], np.int64)
        self._known: Known = set()
        self._open: _Open | None = None

    def read(self, start: int, stop: int) -> ShardContent:
        """The codes of the images from ``start`` to ``stop`` that have one, in their order.

        Raises:
            CacheError: a shard is damaged, or cannot be read.
        """
        parts = list(self._parts(start, stop))
        dim = self.manifest.space.dim
        return ShardContent(
            np.concatenate([np.empty((0, dim), np.float32), *(part.codes for part in parts)]),
            np.concatenate([np.empty(0, np.str_), *(part.ids for part in parts)]),
            np.concatenate([np.empty((0, 16), np.uint8), *(part.digests for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.positions for part in parts)]),
        )

    def names(self, record: ShardRecord) -> ShardNames:
        """Which images a shard says it has, of whose bytes nothing was compared.

        Raises:
            DamageError: it is missing, or no shard.
        """
        path, dim = self._folder / record.name, self.manifest.space.dim
        identity = check_shard(path, record, checksum=False, known=set())
        return open_shard(path, record, dim, identity)[1]

    def _parts(self, start: int, stop: int) -> Iterator[ShardContent]:
        records = self.manifest.shards
        first = max(int(np.searchsorted(self._starts, start, "right")) - 1, 0)
        for record in records[first : int(np.searchsorted(self._starts, stop))]:
            if record.stop <= start:
                continue
            held = self._opened(record)
            here = slice(*np.searchsorted(held.names.positions, (start, stop)))
            codes = np.empty((here.stop - here.start, held.shard.dim), np.float32)
            held.shard.read_into(codes, here.start)
            yield ShardContent(
                codes,
                unpack_ids(held.names.ids[here]),
                held.names.digests[here],
                held.names.positions[here],
            )

    def _opened(self, record: ShardRecord) -> _Open:
        if self._open is None or self._open.record != record:
            path, dim = self._folder / record.name, self.manifest.space.dim
            try:
                identity = check_shard(path, record, checksum=True, known=self._known)
                self._open = _Open(record, *open_shard(path, record, dim, identity))
            except CacheError as error:
                name = self.manifest.key.id
                raise CacheError(
                    f"entry {name} is damaged: {error}; `latentmap cache rm {name} --cache "
                    f"{self._cache}` removes it, and the same command encodes its images again"
                ) from error
            except OSError as error:
                raise CacheError(f"{path} cannot be read: {error.strerror or error}") from error
        return self._open
