"""Shard work: one shard of a plan encoded, by whoever it is, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.cache.encoding import encode_batches
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import Skipped
from latentmap.cache.plan import Plan
from latentmap.cache.plan_folder import PlanFolder, ShardReport
from latentmap.cache.shards import DamageError, ShardContent, pack_shard
from latentmap.cache.storage import advice_on
from latentmap.errors import CacheError
from latentmap.images import ImageParts, ImageSource, OnError
from latentmap.model import Model
from latentmap.progress import Progress

# Images whose bytes are read, decoded and encoded before the next ones are: what was decoded of
# them while they were read is still there (images/kept.py).
_BLOCK = 4096


def encode_shard(
    plan: Plan,
    number: int,
    models: Sequence[Model],
    images: ImageParts,
    cache: LatentCache,
    *,
    on_error: OnError = "stop",
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Encodes shard ``number`` of a plan of ``images`` and ``models``, and reports it to ``cache``;
    nothing is done where it is there. It counts from the next ``commit_shards`` on.

    The same shard may be made by several workers at once, of whom the first counts, and a worker
    may end at any moment.

    Raises:
        CacheError: the plan is of other images or models, or is not in the cache; or the disk is
            full or broken.
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        ModelError: codes that are not finite.
    """
    folder = PlanFolder(cache.path, plan, cache.entries.storage)
    if not folder.exists:
        raise CacheError(
            f"there is no plan {plan.id} in {cache.path}: it is done, or was never made (--plan)"
        )
    if folder.shard(number).exists() or _is_committed(plan, number, cache):
        return
    plan.require(models)
    start, stop = plan.range(number)
    part = plan.shard(images, number)
    content, skipped = _encoded(plan, models, part, on_error, threads, progress)
    try:
        with folder.attempt(number) as attempt:
            records = {}
            for entry, codes in zip(plan.entries, content, strict=True):
                if not len(codes.positions):
                    continue
                record, image = pack_shard(
                    _moved(codes, start),
                    start=start,
                    stop=stop,
                    provenance=entry.blank(plan.images).provenance(),
                )
                cache.entries.storage.write(attempt / f"{entry.key.id}.h5", image)
                records[entry.key.id] = record
            moved = tuple(skip._replace(position=start + skip.position) for skip in skipped)
            folder.publish(attempt, number, ShardReport(records, moved, stop - start))
    except FileNotFoundError:
        # Others may have made all shards meanwhile, and so have ended the plan.
        if not _is_committed(plan, number, cache):
            raise CacheError(
                f"{folder.path} was removed while shard {number} was made: plan again (--plan)"
            ) from None
    except OSError as error:
        raise CacheError(
            f"{folder.path} cannot be written ({error.strerror or error}): shard {number} is lost, "
            f"all that were made are safe; {advice_on(error)}"
        ) from error


def _is_committed(plan: Plan, number: int, cache: LatentCache) -> bool:
    """Whether a shard is in all entries of its plan."""
    start, stop = plan.range(number)
    for entry in plan.entries:
        try:
            manifest = cache.entries.manifest(entry.key.id)
        except DamageError:  # Which the next commit finds, too.
            return False
        if manifest is None or not manifest.has(start, stop):
            return False
    return True


def _encoded(
    plan: Plan,
    models: Sequence[Model],
    images: ImageSource,
    on_error: OnError,
    threads: int | None,
    progress: Progress | None,
) -> tuple[list[ShardContent], list[Skipped]]:
    """What each model gives for the images of a shard, and those that could not be read; positions
    are in the shard.
    """
    views = list(dict.fromkeys(model.view for model in models))
    places: list[np.ndarray] = []
    codes: list[list[np.ndarray]] = [[] for _ in models]
    skipped = []
    # Of whole batches, so that none is smaller than in one run over all images.
    block = max(_BLOCK // plan.batch_size, 1) * plan.batch_size
    for first in range(0, len(images), block):
        part = images.subset(np.arange(first, min(first + block, len(images))))
        part.examine(ahead=(views, _all))
        for batch in encode_batches(
            models,
            part,
            batch_size=plan.batch_size,
            precision=plan.precision,
            on_error=on_error,
            threads=threads,
        ):
            places.append(first + batch.positions[0])
            for kept, new in zip(codes, batch.codes, strict=True):
                kept.append(new)
            skipped += [
                Skipped(first + place, str(part.ids[place]), message)
                for place, message in batch.failed
            ]
            if progress:
                progress(first + batch.stop, len(images))
    positions = np.concatenate(places)
    ids, digests = images.ids[positions], images.digests[positions]
    content = [ShardContent(np.concatenate(one), ids, digests, positions) for one in codes]
    return content, skipped


def _moved(content: ShardContent, start: int) -> ShardContent:
    """The same content with positions in the data set; the shard begins at ``start``."""
    return ShardContent(content.codes, content.ids, content.digests, content.positions + start)


def _all(digests: np.ndarray) -> np.ndarray:
    return np.ones(len(digests), np.bool_)
