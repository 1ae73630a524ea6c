"""Planned entries: what workers made of a data set, found again without reading all of it."""

from __future__ import annotations

from collections.abc import Sequence

from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import EntryKey, Manifest
from latentmap.cache.planning import data_of
from latentmap.errors import CacheError
from latentmap.images import ImageParts
from latentmap.model import Model, Precision


def planned_entries(
    models: Sequence[Model],
    images: ImageParts,
    cache: LatentCache,
    *,
    precision: Precision = "float32",
) -> list[Manifest | None]:
    """The complete entries that workers made of ``images`` for each of some models, however they
    were cut into shards; None where there is none. The ids of all images are looked at, and the
    content of one in each shard, as the plan has them.
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
            if key.of_data(manifest.key.data) != manifest.key:
                continue
            size = max(record.stop - record.start for record in manifest.shards)
            if size not in known:
                known[size] = data_of(images, size)[0]
            if manifest.key.data == known[size]:
                fitting = manifest
                break
        found.append(fitting)
    return found
