"""Images read in threads, and handed over in order: their contents, or batches of their pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from latentmap.errors import ImageError
from latentmap.images.containers import Container, Failures
from latentmap.images.contents import Contents
from latentmap.images.kept import KeptViews
from latentmap.images.prefetch import default_threads, in_order
from latentmap.images.scratch import Scratch
from latentmap.images.views import Batch, View
from latentmap.progress import Progress


def contents_of(
    container: Container,
    index: np.ndarray,
    progress: Progress | None,
    describe: Callable[[np.ndarray], Contents] | None = None,
) -> Contents:
    """Digests and shapes of the images at ``index`` in a container, by its own ``describe`` or
    another.
    """
    size = 4 * container.task_size
    starts = range(0, len(index), size)
    describe = describe or container.describe
    tasks = [partial(describe, index[first : first + size]) for first in starts]
    threads = min(default_threads(), len(tasks))
    parts = []
    done = 0
    for part in in_order(tasks, threads=threads, ahead=4 * threads):
        parts.append(part)
        done += len(part.digests)
        if progress is not None:
            progress(done, len(index))
    return Contents(
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.shapes for part in parts]),
    )


def batches_of(
    container: Container,
    index: np.ndarray,
    views: list[View],
    *,
    batch_size: int,
    start: int,
    skip: bool,
    threads: int,
    kept: KeptViews | None = None,
) -> Iterator[Batch]:
    """The images at ``index`` in a container, from position ``start`` of these on; see
    ``ImageSource.batches``. Those that are ``kept`` are not decoded.

    Raises:
        ImageError: an image cannot be read, and ``skip`` is not set.
    """
    tasks_a_batch = -(-batch_size // container.task_size)
    # Scratch memory moves from task to task, never between two at once.
    scratches = [Scratch() for _ in range(threads)]

    def render(part: np.ndarray, outs: list[np.ndarray]) -> Failures:
        scratch = scratches.pop()
        try:
            return (kept or container).render(part, views, outs, scratch)
        finally:
            scratches.append(scratch)

    begun: list[tuple[int, int, list[np.ndarray]]] = []

    def tasks() -> Iterator[Callable[[], Failures]]:
        for first in range(start, len(index), batch_size):
            last = min(first + batch_size, len(index))
            outs = [np.empty((last - first, *view.size, view.channels), np.uint8) for view in views]
            begun.append((first, last, outs))
            for low in range(0, last - first, container.task_size):
                high = min(low + container.task_size, last - first)
                part = index[first + low : first + high]
                yield partial(render, part, [out[low:high] for out in outs])

    ahead = 2 * max(threads, tasks_a_batch)
    failed: list[tuple[int, str]] = []
    done = start
    for failures in in_order(tasks(), threads=threads, ahead=ahead):
        first, last, outs = begun[0]
        for place, message in failures:
            if not skip:
                raise ImageError(f"{message}; repair it, remove it, or skip it (--on-error skip)")
            failed.append((done + place, message))
        done = min(done + container.task_size, last)
        if done == last:
            begun.pop(0)
            yield _batch(first, last, outs, failed)
            failed = []


def _batch(start: int, stop: int, outs: list[np.ndarray], failed: list[tuple[int, str]]) -> Batch:
    positions = np.arange(start, stop)
    if failed:
        kept = np.isin(positions, [position for position, _ in failed], invert=True)
        positions = positions[kept]
        outs = [out[kept] for out in outs]
    images = tuple(torch.from_numpy(out).permute(0, 3, 1, 2) for out in outs)
    return Batch(start, stop, positions, images, tuple(failed))
