"""The model file of a VAE that is there already, normalised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders import find, load
from latentmap.encoders.native import is_half, read_header, save_model
from latentmap.encoders.normalising import AGGREGATE, BEFORE, normalise, require_vae
from latentmap.files import refuse_existing
from latentmap.images import ImageSource, OnError, floats_of
from latentmap.model import Model
from latentmap.progress import ProgressLike, reporting

# What a training record says that was measured on the model before, such as its random images.
_OF_THE_MODEL = ("held_out",)


@dataclass(frozen=True, eq=False)
class Normalised:
    """A model that was normalised, the figures of its aggregate posterior ``before`` and ``after``,
    and the largest difference of a pixel between the reconstructions of some images by the two.

    ``dropped_prior`` is the prior (words) that the model had, which does not fit its codes any
    more; ``own_images`` is whether it was done over all images that the model was trained on and no
    others, None where its file does not say.
    """

    model: Model
    before: dict[str, float]
    after: dict[str, float]
    largest_difference: float
    own_images: bool | None
    half: bool
    skipped: tuple[str, ...]
    dropped_prior: str | None

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        return {
            "fingerprint": self.model.fingerprint,
            "before": self.before,
            "after": self.after,
            "largest_difference": self.largest_difference,
            "own_images": self.own_images,
            "skipped": list(self.skipped),
            "dropped_prior": self.dropped_prior,
        }


def normalise_file(
    reference: str | Path,
    images: ImageSource,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    on_error: OnError = "stop",
    force: bool = False,
    progress: ProgressLike = None,
) -> Normalised:
    """Writes the VAE ``reference`` to ``out`` with codes that are normalised over the images, which
    should be those that it was trained on; what is in float16 stays so. A prior of its own is left
    out: it is one of the codes as they were.

    Raises:
        OutputError: ``out`` exists, and ``force`` is not set; or it cannot be written.
        ModelError: the model is no VAE.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    out = Path(out)
    refuse_existing(out, force=force)
    path = find(reference)
    model = require_vae(load(path, device=device))
    skipped: dict[str, None] = {}  # Of both passes, each once.

    half = is_half(path)
    with reporting(progress, "measuring codes") as told:

        def batches() -> Iterator[Tensor]:
            return floats_of(images, model.view, skipped, on_error=on_error, progress=told)

        other, figures = normalise(model, batches, half=half)
        shown = next(batches())
    other.name = out.stem
    training = read_header(path).training
    own = training["data"] == images.fingerprint if "data" in training else None
    training = {name: value for name, value in training.items() if name not in _OF_THE_MODEL}
    said = {**training, **figures, "normalised_on": images.fingerprint}
    save_model(other, out, training=said, half=half)
    rebuilt = [each.decode(each.encode(shown)) for each in (model, other)]
    return Normalised(
        other,
        figures[BEFORE],
        figures[AGGREGATE],
        float((rebuilt[0] - rebuilt[1]).abs().max()),
        own,
        half,
        tuple(skipped),
        None if model.prior is None else str(model.prior),
    )
