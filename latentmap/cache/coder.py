"""Coder: how the codes of images are had, in one object.

Whatever needs codes asks it, so that it alone decides where they come from. It is also the seam
where encoding meets the machine: what changes how codes are had changes here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from latentmap.cache.covering import Cover, Held
from latentmap.cache.encoding import BATCH_SIZE, encode
from latentmap.cache.filling import Filling, fill, lacks_no_code
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import EntryKey
from latentmap.cache.shards import DamageError
from latentmap.codes import Codes, Pairs, pair
from latentmap.errors import ImageError
from latentmap.files.home import cache_home
from latentmap.images import ImageSource, OnError
from latentmap.model import Model, Precision
from latentmap.model.kept_images import GENERATED
from latentmap.progress import Progress, ShownStages, Stage, silent


@dataclass(frozen=True, eq=False)
class Encoded:
    """The codes of some images, and how many of them were ``computed`` and not there before."""

    codes: Codes
    computed: int = 0

    @property
    def there(self) -> int:
        """How many were there."""
        return len(self.codes) - self.computed


@dataclass(frozen=True, eq=False)
class Coder:
    """How codes are had: those that ``cache`` lacks are computed in ``precision`` and kept.

    ``batch_size`` images are taken at a time, ``threads`` is how many decode them (None: chosen);
    ``on_error`` says what becomes of images that cannot be read. ``stage`` is called with what is
    done next, and gives the progress for it.

    Wherever a ``Coder`` is taken, the folder of a cache stands for one with these defaults, and so
    does nothing for that in the user's own, see ``cache_home``.

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
    threads: int | None = None
    stage: Stage = field(default=silent, repr=False)

    @classmethod
    def of(cls, given: CoderLike, *, progress: bool = False) -> Coder:
        """A coder as it is; or one with all defaults on a cache, or on the folder of a cache; that
        of the user where none is given.

        With ``progress`` its stages are shown, in place of its own.
        """
        if not isinstance(given, Coder):
            cache = given if isinstance(given, LatentCache) else LatentCache(given or cache_home())
            given = cls(cache)
        return replace(given, stage=ShownStages()) if progress else given

    def keep_generated(self) -> Path:
        """The folder of the cache where images that models make are kept; the cache is made where
        it is not there.

        Raises:
            CacheError: it cannot be made.
        """
        self.cache.claim()
        return self.cache.path / GENERATED

    def examine(self, images: ImageSource, *, models: Sequence[Model] = ()) -> None:
        """Reads what images contain, but for files that look as they did when they were read for
        this cache: by path, size, times and inode; see ``latentmap.images.contents``.

        Images that have no code in the space of one of the ``models`` are decoded on the way.
        """
        with self.stage("reading images") as progress:
            views = list(dict.fromkeys(model.view for model in models))
            images.examine(
                progress,
                store=self.cache.contents,
                ahead=(views, self._lacking(models, images)),
            )

    def codes(self, models: Sequence[Model], images: ImageSource) -> list[Codes]:
        """The codes of ``images`` in the space of each model, in that order.

        Images that one of the models made have the codes that they were made of, and those that a
        model has stored have these: codes of the images that it has codes of. Others are read once
        for all models that miss them. Work that was interrupted goes on where it was
        committed; a damaged entry is made again from the damage on, which ``cache`` and the entry's
        ``repairs`` tell. While another process writes an entry, this one waits and takes the
        result.

        Raises:
            CacheError: the cache cannot be read or written; committed codes are safe.
            ImageError: an image cannot be read, now or when it was encoded, and ``on_error`` is
                ``stop``.
            ModelError: a model has no encoder, and did not make the images.
            PairError: a file of codes has none of these images, or no ids.
        """
        return [one.codes for one in self.encoded(models, images)]

    def encoded(self, models: Sequence[Model], images: ImageSource) -> list[Encoded]:
        """The codes as ``codes`` gives them, and how many of each model were computed.

        Raises:
            CacheError, ImageError, ModelError: as ``codes`` raises them.
        """
        made = [images.codes_in(model.space) for model in models]
        missing = [
            model
            for model, codes in zip(models, made, strict=True)
            if codes is None and model.stored is None
        ]
        for model in missing:
            model.require_encoder()
        self.examine(images, models=missing)
        made = [
            _stored(model, images) if codes is None else codes
            for model, codes in zip(models, made, strict=True)
        ]
        with self.stage("encoding") as progress:
            encoded = iter(self._encoded(missing, images, progress))
        return [next(encoded) if codes is None else Encoded(codes) for codes in made]

    def passing(self, model: Model, images: ImageSource) -> Codes:
        """The codes of a few images, had as by ``codes``, but not kept where they are computed.

        Raises:
            CacheError, ImageError, ModelError: as ``codes`` raises them.
        """
        codes = images.codes_in(model.space) or _stored(model, images)
        if codes is None:
            model.require_encoder()
            key = EntryKey.of(model, images, precision=self.precision)
            codes = self._find(key)
            if codes is None:
                codes = self.cache.find_covering(key, images.ids, images.digests)
        if codes is None:
            return encode(
                model,
                images,
                batch_size=self.batch_size or BATCH_SIZE,
                precision=self.precision,
                on_error=self.on_error,
                threads=self.threads,
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
    ) -> list[Encoded]:
        """The codes of models that did not make the images: from the cache, or computed now."""
        keys = [EntryKey.of(model, images, precision=self.precision) for model in models]
        wanted = {key.id: (key, model) for key, model in zip(keys, models, strict=True)}
        served: dict[str, Encoded] = {}
        covers: dict[str, Cover] = {}
        for name, (key, model) in wanted.items():
            codes = self._find(key)
            if codes is None:
                covers[name] = self.cache.cover(key, images.digests)
                if lacks_no_code(
                    covers[name], images, model.view, on_error=self.on_error, threads=self.threads
                ):
                    codes = covers.pop(name).codes(images.ids, images.digests, data=key.data)
            if codes is not None:
                served[name] = Encoded(codes)
        written = {name: (*wanted[name], cover) for name, cover in covers.items()}
        served |= self._written(written, images, progress)
        for one in served.values():
            self._refuse_skipped(one.codes.skipped)
        # The name is today's; the fingerprint is the same.
        return [
            replace(served[key.id], codes=replace(served[key.id].codes, space=model.space))
            for key, model in zip(keys, models, strict=True)
        ]

    def _written(
        self,
        wanted: Mapping[str, tuple[EntryKey, Model, Cover]],
        images: ImageSource,
        progress: Progress | None,
    ) -> dict[str, Encoded]:
        """Entries by their ids, completed with what others hold of them and what is encoded."""
        with ExitStack() as stack:
            writers, fillings = {}, {}
            # In one order for everybody, so that two processes never wait for each other.
            for name, (key, model, cover) in sorted(wanted.items()):
                writer = self.cache.writer(
                    key,
                    space=model.space,
                    frame=model.frame,
                    ids=images.ids,
                    digests=images.digests,
                )
                writers[name] = stack.enter_context(writer)
                self._refuse_skipped([skip.id for skip in writer.skipped])
                if not writer.complete:
                    fillings[name] = Filling(writer, model, cover)
            if fillings:
                fill(
                    list(fillings.values()),
                    images,
                    precision=self.precision,
                    batch_size=self.batch_size,
                    on_error=self.on_error,
                    threads=self.threads,
                    progress=progress,
                )
            computed = {name: filling.computed for name, filling in fillings.items()}
            return {
                name: Encoded(writer.finish(), computed.get(name, 0))
                for name, writer in writers.items()
            }

    def _lacking(self, models: Sequence[Model], images: ImageSource) -> Callable[..., np.ndarray]:
        """Which contents have no code in the space of one of some models; the cache is asked when
        the first of them is.
        """

        @functools.cache
        def held() -> list[Held]:
            keys = [EntryKey.of(one, images, precision=self.precision, data="") for one in models]
            return [self.cache.held(key) for key in keys]

        def lacking(digests: np.ndarray) -> np.ndarray:
            return np.asarray(~np.logical_and.reduce([one.has(digests) for one in held()]))

        return lacking

    def _find(self, key: EntryKey) -> Codes | None:
        try:
            return self.cache.find(key)
        except DamageError:
            # The writer repairs it, and says so.
            return None

    def _refuse_skipped(self, ids: Sequence[str]) -> None:
        if ids and self.on_error == "stop":
            others = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            raise ImageError(
                f"{ids[0]}{others} could not be read when these images were encoded: "
                "repair what is broken, or go on without it (--on-error skip)"
            )


def _stored(model: Model, images: ImageSource) -> Codes | None:
    """The codes of a model that is but a file of codes; None of any other."""
    if model.stored is None:
        return None
    return model.stored.codes_of(
        images.ids, images.digests, space=model.space, data=images.fingerprint
    )


# What functions take that need codes.
CoderLike: TypeAlias = Coder | LatentCache | str | Path | None
