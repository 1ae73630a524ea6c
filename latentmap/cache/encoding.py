"""encode: from images to codes, in batches, with reading, copying and computing side by side.

Every image is decoded once, however many models see it. Shapes: ``n`` images, ``d`` latent
variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes
from latentmap.errors import ModelError
from latentmap.images import Batch, ImageSource, OnError, View
from latentmap.model import Model, Precision
from latentmap.progress import Progress, ProgressLike, reporting
from latentmap.transfers import Arriving, a_batch_late, upload

# Large enough to fill a GPU with small networks, small enough that a few batches fit anywhere.
BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """The codes of the images ``start`` to ``stop`` of a source.

    ``positions`` are those that could be read and each model was asked for, ``codes`` float32
    arrays ``(k, d)`` of these, one of each a model, and ``failed`` the others with the reason.
    """

    start: int
    stop: int
    positions: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]
    failed: tuple[tuple[int, str], ...]


def encode_batches(
    models: Sequence[Model],
    images: ImageSource,
    *,
    start: int = 0,
    wanted: Sequence[np.ndarray] | None = None,
    batch_size: int = BATCH_SIZE,
    precision: Precision = "float32",
    on_error: OnError = "stop",
    threads: int | None = None,
) -> Iterator[EncodedBatch]:
    """The codes of all images from ``start`` on, in order, batch by batch; or for each model of
    those that are ``wanted`` of it, booleans ``(n,)``.

    Memory holds a few batches. On CUDA a batch is copied and computed while the codes of the one
    before come back.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        ModelError: codes that are not finite.
    """
    views = list(dict.fromkeys(model.view for model in models))

    def launched() -> Iterator[tuple[Batch, list[_Codes]]]:
        for batch in images.batches(
            views, batch_size=batch_size, start=start, on_error=on_error, threads=threads
        ):
            yield batch, _launch(models, views, batch, wanted, precision)

    for batch, codes in a_batch_late(launched()):
        yield _collect(models, images, batch, codes)


def encode(
    model: Model,
    images: ImageSource,
    *,
    batch_size: int = BATCH_SIZE,
    precision: Precision = "float32",
    on_error: OnError = "stop",
    threads: int | None = None,
    progress: ProgressLike = None,
) -> Codes:
    """The codes of all images of a source, in memory: those that the model made them of, where it
    did, else what its encoder gives. ``progress=True`` shows how far it is.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        ModelError: codes that are not finite.
    """
    made = images.codes_in(model.space)
    if made is not None:
        return made
    with reporting(progress, "encoding") as told:
        return encode_seen(
            model,
            images,
            batch_size=batch_size,
            precision=precision,
            on_error=on_error,
            threads=threads,
            progress=told,
        )


def encode_seen(
    model: Model,
    images: ImageSource,
    *,
    batch_size: int = BATCH_SIZE,
    precision: Precision = "float32",
    on_error: OnError = "stop",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Codes:
    """What the encoder of a model gives for all images of a source, in memory; of images that the
    model made, too.

    Raises:
        ImageError, ModelError: as ``encode`` raises them.
    """
    vectors, positions, skipped = [], [], []
    for batch in encode_batches(
        [model],
        images,
        batch_size=batch_size,
        precision=precision,
        on_error=on_error,
        threads=threads,
    ):
        vectors.append(batch.codes[0])
        positions.append(batch.positions[0])
        skipped += [str(images.ids[position]) for position, _ in batch.failed]
        if progress is not None:
            progress(batch.stop, len(images))
    kept = np.concatenate(positions)
    return Codes.from_array(
        images.ids[kept],
        np.concatenate(vectors),
        space=model.space,
        frame=model.frame,
        data=images.fingerprint,
        digests=images.digests[kept],
        skipped=skipped,
    )


@dataclass(frozen=True, eq=False)
class _Codes:
    """The codes of the images at ``positions``, on their way to the processor."""

    positions: np.ndarray
    codes: Arriving


def _launch(
    models: Sequence[Model],
    views: Sequence[View],
    batch: Batch,
    wanted: Sequence[np.ndarray] | None,
    precision: Precision,
) -> list[_Codes]:
    """The codes of a batch on their way. What several models see alike goes up to a device once."""
    uploaded: dict[tuple[int, torch.device], Tensor] = {}
    launched = []
    for number, model in enumerate(models):
        chosen = np.ones(len(batch.positions), dtype=bool)
        if wanted is not None:
            chosen = wanted[number][batch.positions]
        positions = batch.positions[chosen]
        if len(positions) == 0:
            launched.append(_Codes(positions, Arriving(torch.empty(0, model.latent_dim))))
            continue
        seen = views.index(model.view)
        if (seen, model.device) not in uploaded:
            uploaded[seen, model.device] = upload(batch.images[seen], model.device)
        pixels = uploaded[seen, model.device]
        if not chosen.all():
            pixels = pixels[torch.from_numpy(np.flatnonzero(chosen)).to(pixels.device)]
        codes = model.encode_pixels(pixels, precision=precision)
        launched.append(_Codes(positions, Arriving(codes)))
    return launched


def _collect(
    models: Sequence[Model], images: ImageSource, batch: Batch, codes: Sequence[_Codes]
) -> EncodedBatch:
    arrays = tuple(part.codes.wait().numpy() for part in codes)
    positions = tuple(part.positions for part in codes)
    for model, array, of in zip(models, arrays, positions, strict=True):
        finite = np.isfinite(array).all(axis=1)
        if not finite.all():
            worst = images.ids[of[int(finite.argmin())]]
            raise ModelError(
                f"{model.name} gave a code that is not finite for image {worst}: "
                "encode with float32 precision, or check the model file"
            )
    return EncodedBatch(batch.start, batch.stop, positions, arrays, batch.failed)
