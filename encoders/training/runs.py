"""Runs: where a training keeps what it needs to go on, and what a model file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.training.checkpoint import read_checkpoint, strip_checkpoint
from latentmap.encoders.training.loop import CHECKPOINT, LOG, MADE, alone_in
from latentmap.errors import ModelError, OutputError
from latentmap.files import look_into, parse_json, read_regular, refuse_existing
from latentmap.images import OnError
from latentmap.model import Model
from latentmap.progress import Stage, silent
from latentmap.versions import versions_of


@dataclass(frozen=True)
class Run:
    """Where a training leads, and how it begins.

    ``out`` is the model file that it writes. ``resume`` goes on with the run towards it that was
    stopped, ``force`` begins again in place of what is there. ``on_error`` says what happens at an
    image that cannot be read, ``record`` (JSON) is added to the training record of the file.
    ``keep_checkpoint`` keeps what a longer run may go on from when this one is finished. ``stage``
    is called with what is done next, and gives the progress for it.
    """

    out: str | Path
    resume: bool = False
    force: bool = False
    on_error: OnError = "stop"
    keep_checkpoint: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)
    stage: Stage = silent

    @property
    def path(self) -> Path:
        """The model file."""
        return Path(self.out)


def working_folder(out: str | Path) -> Path:
    """Where a training keeps its checkpoint, log and previews: beside the model file."""
    path = Path(out)
    return path.with_name(f"{path.name}.training")


def prepare_folder(run: Run) -> Path:
    """The working folder of a run that may start, or go on; the training makes it, so that there is
    none where its settings or images are refused.

    Raises:
        OutputError: its output, or a run towards it, exists, and neither ``resume`` nor ``force``
            is set; or the folder is somebody else's.
        ModelError: there is no run to resume.
    """
    folder = working_folder(run.out)
    if run.resume:
        read_checkpoint(folder / CHECKPOINT)
        return folder
    refuse_existing(run.path, force=run.force)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"the folder {folder} cannot be made, for a file is there: move it away")
    begun = (folder / CHECKPOINT).exists()
    if folder.is_symlink() or (look_into(folder, MADE).ours and not begun):
        raise OutputError(
            f"{folder} is not the folder of a training (it is a link, or has no {CHECKPOINT}): "
            "give it another name, or choose another output"
        )
    if begun and not run.force:
        raise OutputError(
            f"{folder} holds an earlier run: go on with --resume where it was stopped, or add "
            "--force to start again"
        )
    return folder


def end_run(run: Run) -> None:
    """Lets go of the state of a run whose model is written, unless it is to be kept: that is three
    times as large as the model. The log, the pictures, and what the run was stay.
    """
    if not run.keep_checkpoint:
        drop_state(run.path)


def drop_state(out: str | Path) -> None:
    """Lets go of the state of the finished run towards a model file.

    Raises:
        ModelError: its checkpoint cannot be read, or another process is training there.
        OutputError: it cannot be written.
    """
    folder = working_folder(out)
    with alone_in(folder):
        strip_checkpoint(folder / CHECKPOINT)


def finished_model(run: Run, ending: Mapping[str, Any], *, device: str | torch.device) -> Model:
    """The model of a run that is finished, from its file, whose ``ending`` is as it is asked for.

    Raises:
        ModelError: it is not there, cannot be read, or came out of another ending.
    """
    again = "what it could be made of is gone: start again with --force"
    if not run.path.exists():
        raise ModelError(f"the training towards {run.path} is finished, but the file and {again}")
    record = read_header(run.path).training
    for name, value in ending.items():
        if record.get(name) != value:
            raise ModelError(
                f"the training towards {run.path} is finished, with {name} {record.get(name)}, and "
                f"{again}"
            )
    return load(run.path, device=device)


def training_record(
    settings: Mapping[str, Any], figures: Mapping[str, Any], **others: Any
) -> dict[str, Any]:
    """What a model file says of its training: settings, last figures, versions, and ``others``."""
    versions = versions_of("latentmap", "torch")
    return {**settings, "figures": dict(figures), "versions": versions, **others}


def training_seconds(out: str | Path, *, batch_size: int) -> float:
    """How long the training of a model file took, by its log; 0 where that is gone or damaged."""
    seconds, done = 0.0, 0
    try:
        for line in map(parse_json, read_regular(working_folder(out) / LOG).splitlines()):
            if line["images_per_second"]:
                seconds += (line["step"] - done) * batch_size / line["images_per_second"]
            done = line["step"]
    except (ArithmeticError, OSError, KeyError, TypeError, ValueError):
        return 0.0
    return seconds
