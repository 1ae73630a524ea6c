"""The loop that all recipes share: batches, checkpoints, log, previews.

Every step seeds torch's generators from (seed, step) and every epoch's order comes from (seed,
epoch): nothing random is carried from step to step, so a resumed run equals the uninterrupted one:
bit for bit on one CPU, with the same versions of the libraries and the same number of threads.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from PIL import Image
from torch import Tensor

from latentmap.encoders.training.batches import Batches, seeded
from latentmap.encoders.training.checkpoint import (
    Checkpoint,
    Stateful,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from latentmap.errors import CacheError, ModelError
from latentmap.files import TEMPORARY, hold_lock, look_into, replace_atomic, write_atomic
from latentmap.progress import Progress

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
LOCK = "lock"
PREVIEW = "epoch-{}.png"
MADE = re.compile(rf"{re.escape(CHECKPOINT)}|{re.escape(LOG)}|epoch-\d{{4,}}\.png")
_LEFT = re.compile(rf"\.(checkpoint|log|epoch-\d{{4,}}){TEMPORARY}\.(safetensors|jsonl|png)")


class Recipe(Stateful, Protocol):
    """What the loop asks of a recipe."""

    def start_epoch(self) -> None: ...

    def step(self, batch: Tensor, index: int) -> None: ...

    def figures(self) -> dict[str, float | int]: ...

    def diverged(self) -> bool: ...


class FinishedRunError(ModelError):
    """A run that is resumed is finished, and was as long as is asked: its weights are in its model
    file alone.
    """


def never() -> bool:
    """Of a training that is as long as it was asked to be."""
    return False


@dataclass(frozen=True)
class Length:
    """How long to train: so many epochs, or ``steps`` where that is given; or until an epoch after
    which ``ended`` says so.

    ``checkpoint_seconds`` is the time between two checkpoints within a run.
    """

    epochs: int
    seed: int
    steps: int | None = None
    checkpoint_seconds: float = 30.0
    ended: Callable[[], bool] = field(default=never, kw_only=True)


def train_by(
    recipe: Recipe,
    batches: Batches,
    length: Length,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool = False,
    draw: Callable[[], Image.Image] | None = None,
    progress: Progress | None = None,
) -> dict[str, float | int]:
    """Trains on ``batches`` and gives back the figures of the last epoch.

    ``folder`` gets the checkpoint, ``log.jsonl`` (a line an epoch) and a picture an epoch, where
    ``draw`` gives one. ``settings`` (JSON) must be equal when a run is resumed; the number of
    epochs may grow.

    Raises:
        FinishedRunError: the run that is resumed is finished, as long as it is asked for.
        ModelError: nothing to resume, or one that is finished and was shorter; a checkpoint of
            other settings, a loss that is not finite any more, or another process that trains in
            ``folder``.
    """
    total = length.steps or length.epochs * batches.per_epoch
    given = {**settings, **batches.identity, "seed": length.seed}
    identity = json.loads(json.dumps(given))  # As a checkpoint gives it back: tuples are lists.
    with alone_in(folder):
        if not resume:
            _clear(folder)
        done, lines = _resume(folder, recipe, identity, total) if resume else (0, [])
        if done > total:
            raise ModelError(
                f"the run in {folder} has {done} steps already, more than {total}: ask for at "
                "least as many"
            )
        # A run that ended within an epoch left a line for that part of it.
        kept = [line for line in lines if line["step"] % batches.per_epoch == 0 or done == total]
        log = _Log(folder, recipe, draw, kept)
        known = {"settings": identity, "asked": total}
        saver = _Saver(folder, recipe, known, length.checkpoint_seconds)
        recipe.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        recipe.network.train()
        # The first is there before the first step, so that any interruption can be resumed.
        saver.save(done, log.lines, force=not resume)
        steps = range(done, done if length.ended() else total)
        total = _take_steps(recipe, batches, steps, length, log, saver, progress)
        if not log.lines or log.lines[-1]["step"] != total:
            # Resumed at its end, where a run was killed within an epoch: the state tells the
            # figures.
            log.add(-(-total // batches.per_epoch), total, recipe.figures(), speed=0.0)
            saver.save(total, log.lines, force=True)
            log.write()
        recipe.network.eval()
    unasked = ("epoch", "images_per_second")
    return {key: value for key, value in log.lines[-1].items() if key not in unasked}


def _take_steps(
    recipe: Recipe,
    batches: Batches,
    steps: range,
    length: Length,
    log: _Log,
    saver: _Saver,
    progress: Progress | None,
) -> int:
    """Takes the steps, or those until the training has ended, and gives how many are done then."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for step in steps:
            epoch, index = divmod(step, batches.per_epoch)
            if index == 0:
                recipe.start_epoch()
            if index == 0 or step == steps.start:
                log.start(step)
            torch.manual_seed(int(seeded(length.seed, 1, step).integers(2**63)))
            recipe.step(batches.batch(step), step)
            whole = index + 1 == batches.per_epoch
            last = step + 1 == steps.stop or (whole and length.ended())
            if last or whole:
                saver.refuse_divergence(step + 1)
                log.end(epoch + 1, step + 1, batches.size)
            saver.save(step + 1, log.lines, force=last)
            if progress is not None:
                progress((step + 1) * batches.size, steps.stop * batches.size)
            if last:
                return step + 1
    return steps.stop


def _clear(folder: Path) -> None:
    """Removes what an earlier run made, or left when it was killed, and nothing else.

    The checkpoint goes last: by it the folder is known as that of a training.
    """
    made = sorted(look_into(folder, MADE).ours, key=lambda path: path.name == CHECKPOINT)
    for path in (*look_into(folder, _LEFT).ours, *made):
        path.unlink()


class _Log:
    """The lines of a run, one an epoch, and the pictures beside them."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        draw: Callable[[], Image.Image] | None,
        lines: list[dict[str, Any]],
    ) -> None:
        self.folder, self.recipe, self.draw, self.lines = folder, recipe, draw, lines

    def start(self, step: int) -> None:
        """The clock of an epoch, or of what is left of it, starts before ``step``."""
        self.started, self.first = time.perf_counter(), step

    def end(self, epoch: int, done: int, size: int) -> None:
        """Adds the line of an epoch that ends after ``done`` steps, and its picture."""
        figures = self.recipe.figures()  # Waits for the GPU, which the clock has to.
        seconds = time.perf_counter() - self.started
        self.add(epoch, done, figures, speed=(done - self.first) * size / seconds)
        self.write()
        if self.draw is not None:
            network = self.recipe.network
            network.eval()
            with replace_atomic(self.folder / PREVIEW.format(f"{epoch:04d}")) as temporary:
                self.draw().save(temporary)
            network.train()

    def add(
        self, epoch: int, done: int, figures: Mapping[str, float | int], *, speed: float
    ) -> None:
        line = {"epoch": epoch, "step": done, **figures, "images_per_second": round(speed, 1)}
        self.lines.append(line)

    def write(self) -> None:
        _write_log(self.folder, self.lines)


class _Saver:
    """Saves every so many seconds, and at the end."""

    def __init__(
        self, folder: Path, recipe: Recipe, known: Mapping[str, Any], seconds: float
    ) -> None:
        self.folder, self.recipe, self.known, self.seconds = folder, recipe, known, seconds
        self.last = time.perf_counter()

    def save(self, step: int, lines: list[dict[str, Any]], *, force: bool) -> None:
        if not force and time.perf_counter() - self.last < self.seconds:
            return
        if step:
            self.refuse_divergence(step)
        record = {**self.known, "step": step, "log": lines}
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
def alone_in(folder: Path) -> Iterator[None]:
    """Holds the working folder of a run, which is made where it is not there.

    Raises:
        ModelError: another process holds it.
    """
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(folder / LOCK, str(folder), timeout=0))
        except CacheError:
            raise ModelError(
                f"another process is training in {folder}: wait until it ends, or choose another "
                "output"
            ) from None
        yield


def _resume(
    folder: Path, recipe: Recipe, identity: Mapping[str, Any], total: int
) -> tuple[int, list[dict[str, Any]]]:
    path = folder / CHECKPOINT
    checkpoint = read_checkpoint(path)
    other = checkpoint.settings
    differing = [key for key in sorted({*other, *identity}) if other.get(key) != identity.get(key)]
    if differing:
        said = ", ".join(
            f"{key} was {other.get(key)!r}, not {identity.get(key)!r}" for key in differing
        )
        raise ModelError(f"{path} is of a run with other settings: {said}")
    if not checkpoint.tensors:
        _refuse_finished(checkpoint, total)
    restore(checkpoint, recipe)
    # The log may be ahead of the checkpoint: its later lines are written again.
    _write_log(folder, checkpoint.log)
    return checkpoint.step, checkpoint.log


def _refuse_finished(checkpoint: Checkpoint, total: int) -> NoReturn:
    if total == checkpoint.asked:
        raise FinishedRunError(f"the run of {checkpoint.path} is finished")
    raise ModelError(
        f"the run of {checkpoint.path} was finished after {checkpoint.step} steps, and what it "
        f"needed to go on to {total} is gone: start again with --force (a run that may become "
        "longer is one with --keep-checkpoint)"
    )


def _write_log(folder: Path, lines: list[dict[str, Any]]) -> None:
    write_atomic(folder / LOG, "".join(json.dumps(line) + "\n" for line in lines).encode())
