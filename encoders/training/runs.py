"""Runs: where a training keeps what it needs to go on, and what a model file says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from latentmap.encoders.training.checkpoint import read_record
from latentmap.encoders.training.loop import CHECKPOINT, LOG
from latentmap.errors import OutputError
from latentmap.files import refuse_existing


def working_folder(out: Path) -> Path:
    """Where a training keeps its checkpoint, log and previews: beside the model file."""
    return out.with_name(f"{out.name}.training")


def prepare_folder(out: Path, *, resume: bool, force: bool) -> Path:
    """The working folder of a run that may start, or go on, towards the model file ``out``.

    Raises:
        OutputError: ``out``, or a run towards it, exists, and neither ``resume`` nor ``force`` is
            set.
        ModelError: there is no run to resume.
    """
    folder = working_folder(out)
    if resume:
        read_record(folder / CHECKPOINT)
        return folder
    refuse_existing(out, force=force)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if (folder / CHECKPOINT).exists() and not force:
        raise OutputError(
            f"{folder} holds an earlier run: go on with --resume, or add --force to start again"
        )
    return folder


def training_record(
    settings: Mapping[str, Any], figures: Mapping[str, Any], **others: Any
) -> dict[str, Any]:
    """What a model file says of its training: settings, last figures, versions, and ``others``."""
    versions = {name: version(name) for name in ("latentmap", "torch")}
    return {**settings, "figures": dict(figures), "versions": versions, **others}


def training_seconds(out: Path, *, batch_size: int) -> float:
    """How long the training of a model file took, by its log; 0 where that is gone."""
    try:
        lines = (working_folder(out) / LOG).read_text().splitlines()
    except OSError:
        return 0.0
    seconds, done = 0.0, 0
    for line in map(json.loads, lines):
        if line["images_per_second"]:
            seconds += (line["step"] - done) * batch_size / line["images_per_second"]
        done = line["step"]
    return seconds
