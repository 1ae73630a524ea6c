"""Planning: how a data set is cut into shards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from latentmap.cache.encoding import BATCH_SIZE
from latentmap.cache.manifest import EntryKey
from latentmap.cache.plan import Plan, PlannedEntry, digest_of
from latentmap.errors import ModelError
from latentmap.images import ImageParts
from latentmap.model import Model, Precision
from latentmap.progress import Progress

_SHARD_BYTES = 64 << 20  # Of codes: a write that any disk takes in one, and that is soon repeated.
_SHARD_IMAGES = 1 << 16  # Of small codes, too, a shard is done in minutes.
_SHARDS = 64  # Of small data sets, so that there is enough for every worker.


def plan_shards(
    models: Sequence[Model],
    images: ImageParts,
    *,
    shard_images: int | None = None,
    batch_size: int | None = None,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Plan:
    """The plan of encoding ``images`` with some models.

    Of the images the ids are taken, and the contents of one in each shard; of the codes that the
    cache holds nothing is asked. Shards are of whole batches: by default of 64 MiB of the longest
    codes, 65,536 images at most, and fewer of a small data set, so that there are 64.

    Raises:
        ModelError: a model has no encoder, or made the images, so that it has their codes.
    """
    batch_size = batch_size or BATCH_SIZE
    longest = max(model.latent_dim for model in models)
    most = min(_SHARD_BYTES // (4 * longest), _SHARD_IMAGES, -(-len(images) // _SHARDS))
    wanted = shard_images or max(most, 1)
    size = -(-wanted // batch_size) * batch_size
    data, digests = data_of(images, size, progress)
    some = images.part(0, 1)  # What is asked of them is the same for all.
    entries: dict[str, PlannedEntry] = {}
    for model in models:
        model.require_encoder()
        if some.codes_in(model.space) is not None:
            raise ModelError(
                f"{model.name} made these images, and their codes are known: leave it out"
            )
        key = EntryKey.of(model, some, precision=precision, data=data)
        if key.id in entries:
            raise ModelError(
                f"{model.name} and {entries[key.id].space.model} are the same model: name it once"
            )
        entries[key.id] = PlannedEntry(key, model.space, model.frame)
    return Plan(str(images.choice), len(images), size, batch_size, tuple(entries.values()), digests)


def data_of(
    images: ImageParts, shard_images: int, progress: Progress | None = None
) -> tuple[str, tuple[str, ...]]:
    """What stands for images that are cut into shards of so many in the keys of entries, and the
    digests of the shards, of which it is made.
    """
    digests = []
    for start in range(0, len(images), shard_images):
        stop = min(start + shard_images, len(images))
        digests.append(digest_of(images.part(start, stop)))
        if progress:
            progress(stop, len(images))
    return hashlib.sha256("".join(digests).encode()).hexdigest(), tuple(digests)
