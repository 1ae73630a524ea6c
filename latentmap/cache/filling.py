"""Filling: entries made of what other entries hold already, and of what is encoded now.

An image is decoded once for all models that miss its code. Shapes: ``n`` images, ``d`` latent
variables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.cache.covering import Cover
from latentmap.cache.encoding import BATCH_SIZE, encode_batches
from latentmap.cache.entry_writer import EntryWriter
from latentmap.images import ImageSource, OnError, View
from latentmap.model import Model, Precision
from latentmap.progress import Progress

_BLOCK = 8 << 20  # Bytes of codes that are copied at a time.


class Filling:
    """An entry that is written, its ``model``, and the codes that others have of its images.

    ``computed`` counts the codes that were not there.
    """

    def __init__(self, writer: EntryWriter, model: Model, cover: Cover) -> None:
        self.model = model
        self.computed = 0
        self._writer = writer
        self._cover = cover
        self._absent = cover.missing

    @property
    def missing(self) -> np.ndarray:
        """The images that have to be encoded, as booleans ``(n,)``."""
        missing = self._absent.copy()
        missing[: self._writer.done] = False
        return missing

    def append(
        self,
        stop: int,
        positions: np.ndarray,
        codes: np.ndarray,
        failed: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Adds the images up to ``stop``: those at ``positions`` with their codes ``(k, d)``, and
        between them, in order, those that others hold. Of all others ``failed`` says why not.

        Raises:
            CacheError: as ``EntryWriter.append`` raises it, or an entry that holds some was
                removed.
        """
        self.computed += len(positions)
        failed = [(place, message) for place, message in failed if self._absent[place]]
        block = max(1, _BLOCK // (4 * self.model.latent_dim))
        while (start := self._writer.stop) < stop:
            end = min(start + block, stop)
            new = slice(*np.searchsorted(positions, (start, end)))
            there = start + np.flatnonzero(~self._absent[start:end])
            places, rows = positions[new], codes[new]
            if len(there):
                places = np.concatenate([places, there])
                rows = np.concatenate([rows, self._cover.take(there)])
                order = np.argsort(places)
                places, rows = places[order], rows[order]
            here = [one for one in failed if start <= one[0] < end]
            self._writer.append(places, rows, stop=end, failed=here)


def lacks_no_code(
    cover: Cover, images: ImageSource, view: View, *, on_error: OnError, threads: int | None
) -> bool:
    """Whether other entries hold the codes of all ``images`` that can be read in a view.

    Of what they skipped nobody knows the content, and it may have been repaired since: such images
    are tried again.

    Raises:
        ImageError: one cannot be read and ``on_error`` is ``stop``.
    """
    lacking = np.flatnonzero(cover.missing)
    if not len(lacking) or len(lacking) > sum(len(part.skipped) for part in cover.parts):
        return cover.complete
    batches = images.subset(lacking).batches(
        [view], batch_size=BATCH_SIZE, on_error=on_error, threads=threads
    )
    return not any(len(batch.positions) for batch in batches)


def fill(
    fillings: Sequence[Filling],
    images: ImageSource,
    *,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    threads: int | None,
    progress: Progress | None,
) -> None:
    """Completes entries of ``images``, each image that one of them misses decoded once.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        ModelError: codes that are not finite.
        CacheError: the entries cannot be written.
    """
    wanted = [filling.missing for filling in fillings]
    places = np.flatnonzero(np.logical_or.reduce(wanted))
    n, there = len(images), len(images) - len(places)
    if progress:
        progress(there, n)
    if len(places):
        for batch in encode_batches(
            [filling.model for filling in fillings],
            images.subset(places),
            wanted=[missing[places] for missing in wanted],
            batch_size=batch_size or BATCH_SIZE,
            precision=precision,
            on_error=on_error,
            threads=threads,
        ):
            stop = int(places[batch.stop - 1]) + 1
            failed = [(int(places[place]), message) for place, message in batch.failed]
            for filling, positions, codes in zip(
                fillings, batch.positions, batch.codes, strict=True
            ):
                filling.append(stop, places[positions], codes, failed)
            if progress:
                progress(there + batch.stop, n)
    for filling in fillings:
        nothing = np.empty((0, filling.model.latent_dim), np.float32)
        filling.append(n, np.empty(0, np.int64), nothing)
