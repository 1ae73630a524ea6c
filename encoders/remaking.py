"""A bundled model made again: from the trainings of its recipe to the model, its card and its
picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from latentmap.encoders import load
from latentmap.encoders.cards import card_picture, card_text, measure
from latentmap.encoders.halving import halved
from latentmap.encoders.native import read_header, save_model
from latentmap.encoders.recipes import Recipe
from latentmap.encoders.training.runs import training_seconds
from latentmap.files import refuse_equal, refuse_existing, write_atomic
from latentmap.images import ImageSource
from latentmap.progress import Progress
from latentmap.report import save_figure


@dataclass(frozen=True)
class Remade:
    """A model that was made again: its fingerprint, its training record, and the text of its
    card.
    """

    fingerprint: str
    record: dict[str, Any]
    card: str


def card_paths(out: Path, *, force: bool) -> tuple[Path, Path]:
    """Where the card of a model file goes, and its picture.

    Raises:
        OutputError: one of the three cannot be written, or is there and ``force`` is not set.
    """
    card, picture = out.with_suffix(".md"), out.with_suffix(".jpg")
    refuse_equal({"--out": out, "its card": card, "its picture": picture})
    for path in (out, card, picture):
        refuse_existing(path, force=force)
    return card, picture


def finish(
    recipe: Recipe,
    steps: Sequence[Path],
    test: ImageSource,
    out: Path,
    *,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Remade:
    """Rounds the model of the last of the trained ``steps`` to float16, measures it on the images
    ``test``, and writes it to ``out``, with its card and its picture beside it.

    Raises:
        ModelError: a step is no model file, or a weight is beyond float16's range.
        ImageError: an image cannot be read.
        OutputError: a file cannot be written.
    """
    model = halved(load(steps[-1], device=device))
    model.name = recipe.name
    held_out = measure(model, test, progress=progress)
    record = {
        **read_header(steps[-1]).training,
        # In place of that of the last step, which names files of this machine.
        "command": f"latentmap train recipe {recipe.name}",
        "recipe": recipe.name,
        "seconds": round(sum(map(_seconds, steps))),
        "held_out": held_out.to_json(),
    }
    save_model(model, out, training=record, half=True)
    card, picture = card_paths(out, force=True)
    text = card_text(model, recipe, held_out, seconds=record["seconds"], picture=picture.name)
    write_atomic(card, text.encode(errors="backslashreplace"))  # A recipe may have any name.
    save_figure(card_picture(model), picture)
    return Remade(model.fingerprint, record, text)


def _seconds(path: Path) -> float:
    return training_seconds(path, batch_size=read_header(path).training["batch_size"])
