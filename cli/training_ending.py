"""What is said of a training that has ended: the figures of its last epoch, and those of a VAE on
images that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from latentmap.cli.data_options import DataOptions
from latentmap.cli.progress import progress_bar

if TYPE_CHECKING:
    from latentmap.diagnostics import Diagnosis
    from latentmap.images import ImageSource
    from latentmap.model import Model

_MOST = 256  # Images: seconds on a processor.
_GAIN_IMAGES = 2  # Gains are not told here.


class Told(NamedTuple):
    """What is said of a training: figures for ``--json``, lines for people, and warnings."""

    figures: Mapping[str, Any]
    lines: Sequence[str]
    warnings: Sequence[str] = ()


def in_words(figures: Mapping[str, Any]) -> str:
    """The figures of an epoch, but for its number of steps."""
    told = {name.replace("_", " "): value for name, value in figures.items() if name != "step"}
    return ", ".join(f"{name} {value:.4g}" for name, value in told.items())


def validate(model: Model, data: DataOptions, *, device: str) -> Told:
    """The error of a VAE, its active variables and the laws of variance, on a few images of the
    split val where it was trained on the split train, else on some of its own; nothing of a model
    that is no VAE.
    """
    from latentmap.diagnostics import diagnose
    from latentmap.encoders.vae import GaussianVAE

    if not isinstance(model, GaussianVAE):
        return Told({}, [])
    images, which = _images(data)
    if len(images) < 2:
        return Told({}, [])
    found = diagnose(
        model.to(device),
        images,
        gain_images=_GAIN_IMAGES,
        on_error="skip",
        stage=progress_bar,
    )
    told = found.to_json()
    names = ("n", "mse", "active_variables", "law_deviation_mean", "law_deviation_max")
    kept = {name: told[name] for name in (*names, "loss_ratio")}
    return Told({"validation": {"images": which, **kept}}, _lines(found, which))


def _images(data: DataOptions) -> tuple[ImageSource, str]:
    """A few images, and in words which ones they are."""
    if data.split == "train":
        held_out = replace(data, split="val", limit=_MOST).open()
        if len(held_out) > 1:
            return held_out, "validation"
    images = data.open()
    return images.subset(range(min(_MOST, len(images)))), "training"


def _lines(found: Diagnosis, which: str) -> list[str]:
    deviation, ratio = found.law_deviation, found.loss_ratio.value
    return [
        f"  on {found.n} {which} images: mse {found.mse.value:.5f}, {found.active} of "
        f"{len(found.variables)} variables active",
        f"  the laws there: mean s2 + Var is off 1 by {deviation.mean():.3f} a variable, "
        f"{deviation.max():.3f} at most; variance loss over mse is {ratio:.2f}, of 1",
    ]
