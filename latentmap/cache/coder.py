"""Coder: how the codes of images are had, in one object.

Whatever needs codes asks it, so that it alone decides where they come from. It is also the seam
where encoding meets the machine: what changes how codes are had changes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from latentmap.cache.encoding import BATCH_SIZE, encode, encode_batches
from latentmap.cache.entry_writer import EntryWriter
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import EntryKey
from latentmap.cache.shards import DamageError
from latentmap.codes import Codes, Pairs, pair
from latentmap.errors import ImageError
from latentmap.images import ImageSource, OnError
from latentmap.model import Model, Precision
from latentmap.progress import Progress, Stage, silent


@dataclass(frozen=True, eq=False)
class Coder:
    """How codes are had: those that ``cache`` lacks are computed in ``precision`` and kept.

    ``batch_size`` images are taken at a time, ``workers`` threads decode them (None: chosen);
    ``on_error`` says what becomes of images that cannot be read. ``stage`` is called with what is
    done next, and gives the progress for it.

    Wherever a ``Coder`` is taken, the folder of a cache stands for one with these defaults.

    Example:
        >>> import tempfile
        >>> from latentmap import open_images
        >>> from latentmap.model.testing import LinearModel
        >>> model = LinearModel(image_shape=(1, 8, 8))
        >>> coder = Coder.of(tempfile.mkdtemp())
        >>> (codes,) = coder.codes([model], open_images("digits", limit=5))
        >>> len(codes)
        5
    """

    cache: LatentCache
    precision: Precision = "float32"
    batch_size: int | None = None
    on_error: OnError = "stop"
    workers: int | None = None
    stage: Stage = field(default=silent, repr=False)

    @classmethod
    def of(cls, given: CoderLike) -> Coder:
        """A coder as it is; or one with all defaults on a cache, or on the folder of a cache."""
        if isinstance(given, Coder):
            return given
        return cls(given if isinstance(given, LatentCache) else LatentCache(given))

    @property
    def generated(self) -> Path:
        """The folder of the cache where images that models make are kept."""
        return self.cache.path / "generated"

    def codes(self, models: Sequence[Model], images: ImageSource) -> list[Codes]:
        """The codes of ``images`` in the space of each model, in that order.

        Images that one of the models made have the codes that they were made of. Others are read
        once for all models that miss them. Work that was interrupted goes on where it was
        committed; a damaged entry is made again from the damage on, which ``cache`` and the entry's
        ``repairs`` tell. While another process writes an entry, this one waits and takes the
        result.

        Raises:
            CacheError: the cache cannot be read or written; committed codes are safe.
            ImageError: an image cannot be read, now or when it was encoded, and ``on_error`` is
                ``stop``.
            ModelError: a model has no encoder, and did not make the images.
        """
        made = [images.codes_in(model.space) for model in models]
        missing = [model for model, codes in zip(models, made, strict=True) if codes is None]
        for model in missing:
            model.require_encoder()
        with self.stage("reading images") as progress:
            images.examine(progress)
        with self.stage("encoding") as progress:
            encoded = iter(self._encoded(missing, images, progress))
        return [next(encoded) if codes is None else codes for codes in made]

    def passing(self, model: Model, images: ImageSource) -> Codes:
        """The codes of a few images, had as by ``codes``, but not kept where they are computed.

        Raises:
            CacheError, ImageError, ModelError: as ``codes`` raises them.
        """
        codes = images.codes_in(model.space)
        if codes is None:
            model.require_encoder()
            codes = self._find(EntryKey.of(model, images, precision=self.precision), images)
        if codes is None:
            return encode(
                model,
                images,
                batch_size=self.batch_size or BATCH_SIZE,
                precision=self.precision,
                on_error=self.on_error,
                workers=self.workers,
            )
        self._refuse_skipped(codes.skipped)
        return replace(codes, space=model.space)

    def pairs(self, source: Model, target: Model, images: ImageSource) -> Pairs:
        """The codes of ``images`` in the spaces of two models, joined by image.

        Raises:
            CacheError, ImageError, ModelError: as ``codes`` raises them.
            PairError: no image has a code in both.
        """
        return pair(*self.codes([source, target], images))

    def _encoded(
        self, models: Sequence[Model], images: ImageSource, progress: Progress | None
    ) -> list[Codes]:
        """The codes of models that did not make the images: from the cache, or computed now."""
        keys = [EntryKey.of(model, images, precision=self.precision) for model in models]
        wanted = {key.id: (key, model) for key, model in zip(keys, models, strict=True)}
        found = {name: self._find(key, images) for name, (key, _) in wanted.items()}
        with ExitStack() as stack:
            writers = {}
            # In one order for everybody, so that two processes never wait for each other.
            for name in sorted(name for name, codes in found.items() if codes is None):
                key, model = wanted[name]
                writer = self.cache.writer(
                    key,
                    space=model.space,
                    frame=model.frame,
                    ids=images.ids,
                    digests=images.digests,
                )
                writers[name] = stack.enter_context(writer)
                self._refuse_skipped([skip.id for skip in writer.skipped])
            missing = [
                (writer, wanted[name][1]) for name, writer in writers.items() if not writer.complete
            ]
            if missing:
                self._encode_missing(missing, images, progress)
            finished = {name: writer.finish() for name, writer in writers.items()}
        served = {name: codes for name, codes in found.items() if codes is not None} | finished
        for codes in served.values():
            self._refuse_skipped(codes.skipped)
        # The name is today's; the fingerprint is the same.
        return [
            replace(served[key.id], space=model.space)
            for key, model in zip(keys, models, strict=True)
        ]

    def _find(self, key: EntryKey, images: ImageSource) -> Codes | None:
        try:
            codes = self.cache.find(key)
        except DamageError:
            # The writer repairs it, and says so.
            return None
        if codes is None:
            codes = self.cache.find_covering(key, images.ids, images.digests)
        return codes

    def _encode_missing(
        self,
        missing: Sequence[tuple[EntryWriter, Model]],
        images: ImageSource,
        progress: Progress | None,
    ) -> None:
        """Encodes from the first image that one of the writers misses."""
        start = min(writer.done for writer, _ in missing)
        if progress:
            progress(start, len(images))
        for batch in encode_batches(
            [model for _, model in missing],
            images,
            start=start,
            batch_size=self.batch_size or BATCH_SIZE,
            precision=self.precision,
            on_error=self.on_error,
            workers=self.workers,
        ):
            for (writer, _), codes in zip(missing, batch.codes, strict=True):
                writer.append(batch.positions, codes, stop=batch.stop, failed=batch.failed)
            if progress:
                progress(batch.stop, len(images))

    def _refuse_skipped(self, ids: Sequence[str]) -> None:
        if ids and self.on_error == "stop":
            others = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            raise ImageError(
                f"{ids[0]}{others} could not be read when these images were encoded: "
                "repair what is broken, or go on without it (--on-error skip)"
            )


# What functions take that need codes.
CoderLike: TypeAlias = Coder | LatentCache | str | Path
