"""All pixels of some images: at once, for training, or some at a time, to look at each once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from latentmap.errors import ImageError
from latentmap.images.source import ImageSource, OnError
from latentmap.images.views import View
from latentmap.limits import available_memory
from latentmap.progress import Progress

_BLOCK = 256


def load_all(
    images: ImageSource,
    view: View,
    *,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> tuple[torch.Tensor, np.ndarray, tuple[tuple[int, str], ...]]:
    """All of some images: uint8 ``(k, c, h, w)``, their positions, and those that failed.

    A pack that holds the view as it is stays on disk, mapped into memory.

    Raises:
        ImageError: they would take more than half of the memory that is free; or an image cannot be
            read and ``on_error`` is ``stop``.
    """
    mapped = images.mapped(view)
    if mapped is not None:
        return torch.from_numpy(mapped).permute(0, 3, 1, 2), np.arange(len(images)), ()
    height, width = view.size
    wanted = len(images) * height * width * view.channels
    free = available_memory()
    if wanted > free / 2:
        raise ImageError(
            f"{len(images)} images of {height}x{width}x{view.channels} take "
            f"{wanted / 2**30:.1f} GiB, more than half of the free {free / 2**30:.1f} GiB: "
            "pack them with `latentmap images pack` and give the pack"
        )
    pixels = np.empty((len(images), height, width, view.channels), np.uint8)
    positions: list[np.ndarray] = []
    failed: list[tuple[int, str]] = []
    kept = 0
    for batch in images.batches([view], batch_size=_BLOCK, on_error=on_error):
        count = len(batch.positions)
        pixels[kept : kept + count] = batch.images[0].permute(0, 2, 3, 1).numpy()
        kept += count
        positions.append(batch.positions)
        failed.extend(batch.failed)
        if progress is not None:
            progress(batch.stop, len(images))
    if not kept:
        raise ImageError(f"none of the {len(images)} images of {images.path} can be read")
    return (
        torch.from_numpy(pixels[:kept]).permute(0, 3, 1, 2),
        np.concatenate(positions),
        tuple(failed),
    )


def floats_of(
    images: ImageSource,
    view: View,
    skipped: dict[str, None],
    *,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> Iterator[torch.Tensor]:
    """All of some images, float32 ``(k, c, h, w)`` in [0, 1], some at a time. The ids of those that
    cannot be read are added to ``skipped``, in which each is once, however often they are gone
    through.

    Raises:
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    for batch in images.batches([view], batch_size=_BLOCK, on_error=on_error):
        skipped.update({str(images.ids[position]): None for position, _ in batch.failed})
        if progress is not None:
            progress(batch.stop, len(images))
        if len(batch.positions):
            yield batch.floats(0)
