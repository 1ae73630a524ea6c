"""The loop that all recipes share: batches, checkpoints, log, previews.

Every step seeds torch's generators from (seed, step) and every epoch's order comes from (seed,
epoch): nothing random is carried from step to step, so a resumed run equals the uninterrupted one,
bit for bit on the CPU.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from latentmap.encoders.training.checkpoint import (
    Stateful,
    load_checkpoint,
    read_record,
    save_checkpoint,
)
from latentmap.errors import ModelError
from latentmap.files import write_atomic
from latentmap.progress import Progress

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
PREVIEW = "epoch-{}.png"


class Recipe(Stateful, Protocol):
    """What the loop asks of a recipe."""

    def start_epoch(self) -> None: ...

    def step(self, images: Tensor, index: int) -> None: ...

    def figures(self) -> dict[str, float | int]: ...

    def diverged(self) -> bool: ...


@dataclass(frozen=True)
class Schedule:
    """How long and in which order to train: so many epochs, or ``steps`` where that is given.

    ``checkpoint_seconds`` is the time between two checkpoints within a run.
    """

    epochs: int
    batch_size: int
    seed: int
    steps: int | None = None
    checkpoint_seconds: float = 30.0


def run(
    recipe: Recipe,
    pixels: Tensor,
    schedule: Schedule,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool = False,
    preview: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float | int]:
    """Trains on uint8 ``pixels`` ``(n, c, h, w)`` and gives back the figures of the last epoch.

    ``folder`` gets the checkpoint, ``log.jsonl`` (a line an epoch) and the pictures of ``preview``.
    ``settings`` (JSON) must be equal when a run is resumed; the number of epochs may grow. A last
    batch that is not full is left for the next epoch's order.

    Raises:
        ModelError: fewer images than a batch, nothing to resume, a checkpoint of other settings, a
            loss that is not finite any more, or another process that trains in ``folder``.
    """
    with _alone(folder):
        # What a run left that was killed while it saved, and unless it goes on, all that it made.
        patterns = [f".{Path(CHECKPOINT).stem}.*.tmp*"]
        if not resume:
            patterns += [CHECKPOINT, LOG, PREVIEW.format("*")]
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()
        return _run(recipe, pixels, schedule, folder, settings, resume, preview, progress)


def _run(
    recipe: Recipe,
    pixels: Tensor,
    schedule: Schedule,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool,
    preview: Callable[[Path], None] | None,
    progress: Progress | None,
) -> dict[str, float | int]:
    n = len(pixels)
    steps_per_epoch = n // schedule.batch_size
    if steps_per_epoch == 0:
        raise ModelError(
            f"training needs at least one batch of {schedule.batch_size} images, not {n}: lower "
            "the batch size"
        )
    total = schedule.steps or schedule.epochs * steps_per_epoch
    given = {**settings, "batch_size": schedule.batch_size, "seed": schedule.seed, "images": n}
    identity = json.loads(json.dumps(given))  # As a checkpoint gives it back: tuples are lists.
    done, lines = _resume(folder, recipe, identity) if resume else (0, [])
    if done > total:
        raise ModelError(
            f"the run in {folder} has {done} steps already, more than {total}: ask for at least "
            "as many"
        )
    # A run that ended within an epoch left a line for that part of it.
    lines = [line for line in lines if line["step"] % steps_per_epoch == 0 or done == total]

    device = next(recipe.network.parameters()).device
    recipe.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe.network.train()
    saver = _Saver(folder, recipe, identity, schedule.checkpoint_seconds)
    order, started, first = torch.empty(0, dtype=torch.int64), time.perf_counter(), done
    # The first is there before the first step, so that any interruption can be resumed.
    saver.save(done, lines, force=not resume)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        while done < total:
            epoch, index = divmod(done, steps_per_epoch)
            if index == 0:
                recipe.start_epoch()
                started, first = time.perf_counter(), done
            if not len(order) or index == 0:
                order = torch.from_numpy(_random(schedule.seed, 0, epoch).permutation(n))
            rows = order[index * schedule.batch_size : (index + 1) * schedule.batch_size]
            torch.manual_seed(int(_random(schedule.seed, 1, done).integers(2**63)))
            recipe.step(_batch(pixels, rows, device), done)
            done += 1
            if index + 1 == steps_per_epoch or done == total:
                saver.refuse_divergence(done)
                figures = recipe.figures()  # Waits for the GPU, which the clock has to.
                speed = (done - first) * schedule.batch_size / (time.perf_counter() - started)
                line = {"epoch": epoch + 1, "step": done, **figures}
                line["images_per_second"] = round(speed, 1)
                lines.append(line)
                _write_log(folder, lines)
                if preview is not None:
                    recipe.network.eval()
                    preview(folder / PREVIEW.format(f"{epoch + 1:04d}"))
                    recipe.network.train()
            saver.save(done, lines, force=done == total)
            if progress is not None:
                progress(done * schedule.batch_size, total * schedule.batch_size)
    recipe.network.eval()
    return {
        key: value for key, value in lines[-1].items() if key not in ("epoch", "images_per_second")
    }


def _batch(pixels: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    batch = pixels[rows]
    if device.type == "cuda":
        batch = batch.pin_memory().to(device, non_blocking=True)
    # Channels last is up to twice as fast, on processors too (measured on the convolutional VAE).
    return batch.contiguous(memory_format=torch.channels_last).float().div_(255)


def _random(seed: int, stream: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, index])


class _Saver:
    """Saves every so many seconds, and at the end."""

    def __init__(
        self, folder: Path, recipe: Recipe, identity: Mapping[str, Any], seconds: float
    ) -> None:
        self.folder, self.recipe, self.identity, self.seconds = folder, recipe, identity, seconds
        self.last = time.perf_counter()

    def save(self, step: int, lines: list[dict[str, Any]], *, force: bool) -> None:
        if not force and time.perf_counter() - self.last < self.seconds:
            return
        if step:
            self.refuse_divergence(step)
        record = {"step": step, "settings": dict(self.identity), "log": lines}
        save_checkpoint(self.folder / CHECKPOINT, self.recipe, record)
        self.last = time.perf_counter()

    def refuse_divergence(self, step: int) -> None:
        """Stops before the last good checkpoint would be replaced by a broken one."""
        if self.recipe.diverged():
            raise ModelError(
                f"the training diverged before step {step} (its loss is not finite): "
                "start again with a lower learning rate and --force"
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ModelError(
            f"another process is training in {folder}: wait until it ends, or choose another output"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _resume(
    folder: Path, recipe: Recipe, identity: Mapping[str, Any]
) -> tuple[int, list[dict[str, Any]]]:
    path = folder / CHECKPOINT
    record = read_record(path)
    other = record["settings"]
    differing = [key for key in sorted({*other, *identity}) if other.get(key) != identity.get(key)]
    if differing:
        said = ", ".join(
            f"{key} was {other.get(key)!r}, not {identity.get(key)!r}" for key in differing
        )
        raise ModelError(f"{path} is of a run with other settings: {said}")
    load_checkpoint(path, recipe)
    # The log may be ahead of the checkpoint: its later lines are written again.
    _write_log(folder, record["log"])
    return record["step"], record["log"]


def _write_log(folder: Path, lines: list[dict[str, Any]]) -> None:
    write_atomic(folder / LOG, "".join(json.dumps(line) + "\n" for line in lines).encode())
