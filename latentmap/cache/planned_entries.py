"""Planned entries: what workers made of a data set, found again without reading all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from latentmap.cache.entry_range import EntryRange
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import EntryKey, Manifest
from latentmap.cache.planning import data_of
from latentmap.cache.shards import DamageError
from latentmap.errors import CacheError
from latentmap.images import ImageParts
from latentmap.model import Model, Precision

_LOOKED_AT = 8  # Images of each shard.


def planned_entries(
    models: Sequence[Model],
    images: ImageParts,
    cache: LatentCache,
    *,
    precision: Precision = "float32",
) -> list[Manifest | None]:
    """The complete entries that workers made of ``images`` for each of some models, however they
    were cut into shards; None where there is none. The ids of all images are looked at, and the
    contents of some in each shard.

    Raises:
        CacheError: an entry of images with these ids holds codes of others.
    """
    manifests = []
    for name in cache.entries.names():
        try:
            manifest = cache.entries.manifest(name)
        except CacheError:  # Of another entry, or of one that will be made again.
            continue
        if manifest and manifest.complete and manifest.shards and manifest.images == len(images):
            manifests.append(manifest)
    some = images.part(0, 1)
    known: dict[int, str] = {}
    found = []
    for model in models:
        key = EntryKey.of(model, some, precision=precision, data="")
        fitting = None
        for manifest in manifests:
            if replace(key, data=manifest.key.data) != manifest.key:
                continue
            size = max(record.stop - record.start for record in manifest.shards)
            if size not in known:
                known[size] = data_of(images, size)[0]
            if manifest.key.data == known[size]:
                require_contents(manifest, images, cache)
                fitting = manifest
                break
        found.append(fitting)
    return found


def require_contents(manifest: Manifest, images: ImageParts, cache: LatentCache) -> None:
    """Refuses codes of images that were changed since, by some of each shard.

    Raises:
        CacheError: one was.
    """
    entry, name = EntryRange(cache, manifest), manifest.key.id
    for record in manifest.shards:
        try:
            names = entry.names(record)
        except DamageError:  # Whoever reads the codes says so.
            continue
        rows = np.unique(np.linspace(0, len(names.positions) - 1, _LOOKED_AT).astype(np.int64))
        part = images.part(record.start, record.stop)
        now = part.subset(names.positions[rows] - record.start)
        changed = (now.digests != names.digests[rows]).any(1)
        if changed.any():
            raise CacheError(
                f"entry {name} of {cache.path} holds the code of another image than "
                f"{now.ids[int(changed.argmax())]} is now: `latentmap cache rm {name} --cache "
                f"{cache.path}` removes it, and the same command encodes all images again"
            )
