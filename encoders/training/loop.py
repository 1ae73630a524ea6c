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

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from latentmap.encoders.training.batches import Batches, seeded
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

    def step(self, batch: Tensor, index: int) -> None: ...

    def figures(self) -> dict[str, float | int]: ...

    def diverged(self) -> bool: ...


@dataclass(frozen=True)
class Schedule:
    """How long to train: so many epochs, or ``steps`` where that is given.

    ``checkpoint_seconds`` is the time between two checkpoints within a run.
    """

    epochs: int
    seed: int
    steps: int | None = None
    checkpoint_seconds: float = 30.0


def run(
    recipe: Recipe,
    batches: Batches,
    schedule: Schedule,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool = False,
    preview: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float | int]:
    """Trains on ``batches`` and gives back the figures of the last epoch.

    ``folder`` gets the checkpoint, ``log.jsonl`` (a line an epoch) and the pictures of ``preview``.
    ``settings`` (JSON) must be equal when a run is resumed; the number of epochs may grow.

    Raises:
        ModelError: nothing to resume, a checkpoint of other settings, a loss that is not finite any
            more, or another process that trains in ``folder``.
    """
    with _alone(folder):
        # What a run left that was killed while it saved, and unless it goes on, all that it made.
        patterns = [f".{Path(CHECKPOINT).stem}.*.tmp*"]
        if not resume:
            patterns += [CHECKPOINT, LOG, PREVIEW.format("*")]
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()
        return _run(recipe, batches, schedule, folder, settings, resume, preview, progress)


def _run(
    recipe: Recipe,
    batches: Batches,
    schedule: Schedule,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool,
    preview: Callable[[Path], None] | None,
    progress: Progress | None,
) -> dict[str, float | int]:
    total = schedule.steps or schedule.epochs * batches.per_epoch
    given = {**settings, **batches.identity, "seed": schedule.seed}
    identity = json.loads(json.dumps(given))  # As a checkpoint gives it back: tuples are lists.
    done, lines = _resume(folder, recipe, identity) if resume else (0, [])
    if done > total:
        raise ModelError(
            f"the run in {folder} has {done} steps already, more than {total}: ask for at least "
            "as many"
        )
    # A run that ended within an epoch left a line for that part of it.
    lines = [line for line in lines if line["step"] % batches.per_epoch == 0 or done == total]

    recipe.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe.network.train()
    saver = _Saver(folder, recipe, identity, schedule.checkpoint_seconds)
    started, first = time.perf_counter(), done
    # The first is there before the first step, so that any interruption can be resumed.
    saver.save(done, lines, force=not resume)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        while done < total:
            epoch, index = divmod(done, batches.per_epoch)
            if index == 0:
                recipe.start_epoch()
                started, first = time.perf_counter(), done
            torch.manual_seed(int(seeded(schedule.seed, 1, done).integers(2**63)))
            recipe.step(batches.batch(done), done)
            done += 1
            if index + 1 == batches.per_epoch or done == total:
                saver.refuse_divergence(done)
                figures = recipe.figures()  # Waits for the GPU, which the clock has to.
                speed = (done - first) * batches.size / (time.perf_counter() - started)
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
                progress(done * batches.size, total * batches.size)
    if not lines or lines[-1]["step"] != done:
        # Resumed at its end, where a run was killed within an epoch: the state tells the figures.
        epoch = -(-done // batches.per_epoch)
        lines.append({"epoch": epoch, "step": done, **recipe.figures(), "images_per_second": 0.0})
        saver.save(done, lines, force=True)
        _write_log(folder, lines)
    recipe.network.eval()
    return {
        key: value for key, value in lines[-1].items() if key not in ("epoch", "images_per_second")
    }


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
