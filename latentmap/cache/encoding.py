"""encode: from images to codes, in batches, with reading, copying and computing side by side.

Every image is decoded once, however many models see it. Shapes: ``n`` images, ``d`` latent
variables.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes
from latentmap.errors import ModelError
from latentmap.images import Batch, ImageSource, OnError
from latentmap.model import Model, Precision
from latentmap.progress import Progress

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
    workers: int | None = None,
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
    pending: tuple[Batch, list[_Codes]] | None = None
    for batch in images.batches(
        views, batch_size=batch_size, start=start, on_error=on_error, workers=workers
    ):
        codes = []
        for number, model in enumerate(models):
            pixels, positions = batch.images[views.index(model.view)], batch.positions
            if wanted is not None and not (chosen := wanted[number][positions]).all():
                pixels, positions = pixels[torch.from_numpy(chosen)], positions[chosen]
            codes.append(_launch(model, pixels, positions, precision))
        if pending is not None:
            yield _collect(models, images, *pending)
        pending = (batch, codes)
    if pending is not None:
        yield _collect(models, images, *pending)


def encode(
    model: Model,
    images: ImageSource,
    *,
    batch_size: int = BATCH_SIZE,
    precision: Precision = "float32",
    on_error: OnError = "stop",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Codes:
    """The codes of all images of a source, in memory: those that the model made them of, where it
    did, else what its encoder gives.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        ModelError: codes that are not finite.
    """
    made = images.codes_in(model.space)
    if made is not None:
        return made
    vectors, positions, skipped = [], [], []
    for batch in encode_batches(
        [model],
        images,
        batch_size=batch_size,
        precision=precision,
        on_error=on_error,
        workers=workers,
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
    """Codes of the images at ``positions`` on their way to the processor; on CUDA they are there
    once the event has passed.
    """

    host: Tensor
    positions: np.ndarray
    arrived: torch.cuda.Event | None = None

    def wait(self) -> np.ndarray:
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.host.numpy()


def _launch(model: Model, pixels: Tensor, positions: np.ndarray, precision: Precision) -> _Codes:
    if len(pixels) == 0:
        return _Codes(torch.empty(0, model.latent_dim), positions)
    if model.device.type != "cuda":
        return _Codes(model.encode_pixels(pixels, precision=precision).cpu(), positions)
    return _launch_cuda(model, pixels, positions, precision)


def _launch_cuda(
    model: Model, pixels: Tensor, positions: np.ndarray, precision: Precision
) -> _Codes:
    """Copies on a stream of their own: the next batch comes in while this one is computed."""
    compute, copies = torch.cuda.current_stream(model.device), _copy_stream(model.device)
    with torch.cuda.stream(copies):
        on_device = pixels.pin_memory().to(model.device, non_blocking=True)
    compute.wait_stream(copies)
    on_device.record_stream(compute)
    codes = model.encode_pixels(on_device, precision=precision)
    host = torch.empty(codes.shape, dtype=codes.dtype, pin_memory=True)
    host.copy_(codes, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(compute)
    return _Codes(host, positions, arrived)


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _collect(
    models: Sequence[Model], images: ImageSource, batch: Batch, codes: Sequence[_Codes]
) -> EncodedBatch:
    arrays = tuple(part.wait() for part in codes)
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
