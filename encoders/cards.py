"""Cards: what a model can and cannot do, measured on images that it was not trained on.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

import torch

from latentmap.encoders.recipes import Recipe
from latentmap.images import ImageSource
from latentmap.intervals import Estimate, mean_estimate
from latentmap.model import Model, decode_all
from latentmap.progress import Progress
from latentmap.report import ImageGrid, mosaic, with_interval

_BATCH = 64
_OWN = 1000  # Own images that the figures are of.
_SHOWN = 36


@dataclass(frozen=True)
class HeldOut:
    """Figures of an encoder/decoder pair, each a mean squared error over pixels in [0, 1].

    ``reconstruction`` is that of ``n`` held-out images, ``baseline`` what it would be if the mean
    of these images stood for each of them. ``own`` is the reconstruction of ``n_own`` images that
    the model itself makes of random codes, ``own_baseline`` that of their mean image.
    """

    n: int
    reconstruction: Estimate
    baseline: Estimate
    n_own: int
    own: Estimate
    own_baseline: Estimate

    def to_json(self) -> dict[str, Any]:
        """All figures; an estimate is its value and the two ends of its 95 % interval."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def measure(
    model: Model, images: ImageSource, *, seed: int = 0, progress: Progress | None = None
) -> HeldOut:
    """The figures of a model over images that it was not trained on, and over its own.

    Raises:
        ImageError: an image cannot be read.
    """
    total = len(images) + _OWN
    errors, seen = [], []
    for batch in images.batches([model.view], batch_size=_BATCH):
        seen.append(batch.floats(0))
        errors.append(_errors(model, seen[-1]))
        if progress is not None:
            progress(batch.stop, total)
    own_errors, own = [], []
    codes = model.sample(_OWN, seed=seed)
    for start in range(0, _OWN, _BATCH):
        own.append(model.decode(codes[start : start + _BATCH]).cpu())
        own_errors.append(_errors(model, own[-1]))
        if progress is not None:
            progress(len(images) + start, total)
    return HeldOut(
        n=len(images),
        reconstruction=_estimate(errors, seed),
        baseline=_estimate(_baseline(seen), seed),
        n_own=_OWN,
        own=_estimate(own_errors, seed),
        own_baseline=_estimate(_baseline(own), seed),
    )


def card_text(
    model: Model, recipe: Recipe, held_out: HeldOut, *, seconds: float, picture: str
) -> str:
    """The card, in Markdown; ``seconds`` is the time that the training took, ``picture`` the name
    of the file beside it that ``card_picture`` is in.
    """
    weights = sum(tensor.numel() for tensor in model.network.state_dict().values())
    channels, height, width = model.image_shape
    rows = [
        ("reconstruction of held-out images", held_out.n, held_out.reconstruction),
        ("their mean image in place of each", held_out.n, held_out.baseline),
        ("reconstruction of its own images", held_out.n_own, held_out.own),
        ("the mean of these in place of each", held_out.n_own, held_out.own_baseline),
    ]
    table = [f"| {what} | {n} | {with_interval(estimate, 5)} |" for what, n, estimate in rows]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            recipe.about,
            "",
            f"- Family {model.family}; images {height}x{width}, "
            f"{'grey' if channels == 1 else 'colour'}, frame {model.frame.name}; "
            f"{model.latent_dim} variables in {model.space.kind}; {weights:,} weights in float16.",
            f"- Fingerprint `{model.fingerprint}`.",
            f"- Trained in {seconds / 60:.0f} minutes, by the clock of its log.",
            f"- Data: {recipe.data}, options `{' '.join(recipe.options)}`. {recipe.terms}",
            "- Known defects: " + recipe.defects,
            "",
            "| mean squared error, pixels in [0, 1] | images | value [95 % interval] |",
            "|---|---|---|",
            *table,
            "",
            f"![Images that {recipe.name} makes of random codes]({quote(picture)})",
            "",
            f"Made by `latentmap train recipe {recipe.name} --data {recipe.data} --out "
            f"{recipe.name}.safetensors`, which runs:",
            "",
            *(f"    latentmap train {shlex.join(step)}" for step in recipe.steps),
            "",
        ]
    )


def card_picture(model: Model, *, seed: int = 0) -> ImageGrid:
    """Images that the model makes of random codes, side by side."""
    return mosaic(decode_all(model, model.sample(_SHOWN, seed=seed)), scale=1)


def _errors(model: Model, images: torch.Tensor) -> torch.Tensor:
    """The error of each reconstruction, float64 ``(n,)``."""
    rebuilt = model.decode(model.encode(images)).cpu()
    return (rebuilt - images).double().square().flatten(1).mean(1)


def _baseline(parts: list[torch.Tensor]) -> list[torch.Tensor]:
    """The errors of the mean image in place of each."""
    mean = torch.cat(parts).mean(0, dtype=torch.float64)
    return [(part - mean).square().flatten(1).mean(1) for part in parts]


def _estimate(errors: list[torch.Tensor], seed: int) -> Estimate:
    return mean_estimate(torch.cat(errors).numpy(), seed=seed)
