"""How well an inversion network does: on images that it was not trained on, and on real ones.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from latentmap.encoders.inverted import InvertedModel
from latentmap.errors import ImageError
from latentmap.images import ImageSource, OnError
from latentmap.progress import Progress

_BATCH = 32


@dataclass(frozen=True)
class GeneratedFigures:
    """Figures of ``samples`` generated images.

    ``code_r2`` is the explained part of the variance of all variables together, ``code_r2_mean``
    the mean of the explained parts of each. ``image_mse`` is that of G(E(G(w))) against G(w), and
    ``image_variance`` what it would be if every image were taken for the mean one.
    """

    samples: int
    code_r2: float
    code_r2_mean: float
    image_mse: float
    image_variance: float


@dataclass(frozen=True)
class RealFigures:
    """``image_mse`` of G(E(x)) against x, for real images x; ``ratio`` is that to the generated."""

    images: int
    image_mse: float
    ratio: float


def measure_generated(
    model: InvertedModel, samples: int, *, seed: int, progress: Progress | None = None
) -> GeneratedFigures:
    """The figures of images of codes drawn with ``seed``, which must not be that of the training.

    Sums are in float64.
    """
    codes = model.sample(samples, seed=seed)
    errors = torch.zeros(model.latent_dim, dtype=torch.float64, device=codes.device)
    image_error = torch.zeros((), dtype=torch.float64, device=codes.device)
    shape = (2, *model.image_shape)
    pixels = torch.zeros(shape, dtype=torch.float64, device=codes.device)
    for start in range(0, samples, _BATCH):
        if progress is not None:
            progress(start, samples)
        part = codes[start : start + _BATCH]
        images = model.decode(part)
        found = model.encode(images)
        errors += (found - part).double().square().sum(0)
        image_error += (model.decode(found) - images).double().square().sum()
        wide = images.double()
        pixels += torch.stack([wide.sum(0), wide.square().sum(0)])
    variances = codes.double().var(0, correction=0)
    explained = 1 - errors / samples / variances
    mean, square = pixels / samples
    return GeneratedFigures(
        samples=samples,
        code_r2=float(1 - errors.sum() / samples / variances.sum()),
        # A variable that never varies has nothing to explain.
        code_r2_mean=float(explained[variances > 0].mean()),
        image_mse=float(image_error / samples / mean.numel()),
        image_variance=float((square - mean.square()).mean()),
    )


def measure_real(
    model: InvertedModel,
    images: ImageSource,
    *,
    generated: GeneratedFigures,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> RealFigures:
    """The figures of real images, beside those of generated ones.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
    """
    total, count = 0.0, 0
    for batch in images.batches([model.view], batch_size=_BATCH, on_error=on_error):
        seen = batch.floats(0, model.device)
        rebuilt = model.decode(model.encode(seen))
        total += float((rebuilt - seen).double().square().flatten(1).mean(1).sum())
        count += len(seen)
        if progress is not None:
            progress(batch.stop, len(images))
    if not count:
        raise ImageError(f"none of the {len(images)} images of {images.path} can be read")
    mse = total / count
    exact = generated.image_mse == 0
    return RealFigures(count, mse, math.inf if exact else mse / generated.image_mse)
