"""Which variables of a VAE its reconstructions can do without, and what dropping them costs.

A variable is dropped by having it stand at its mean over the images, as it is for its gain.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import units_of
from latentmap.codes.units import draw_of_units
from latentmap.diagnostics.activity import ACTIVE_VARIANCE, are_active
from latentmap.diagnostics.gain import at_center, image_errors, information_gains
from latentmap.errors import ModelError
from latentmap.images import ImageSource, OnError, load_all
from latentmap.intervals import Estimate, mean_estimate
from latentmap.model import Model
from latentmap.progress import Progress, Stage, silent, stage_of
from latentmap.report import Shown, Table

_BATCH = 128
_SHOWN = 10


@dataclass(frozen=True)
class DropOptions:
    """Which variables are dropped: the inactive ones, or with a limit those of least gain, one
    after the other, as long as the error of all images stays at or below it.

    ``until_mse`` is a mean squared error per pixel, ``until_error`` the sum of squared errors over
    the pixels (and channels) of an image; one of them is None. Gains are measured on
    ``gain_images`` images at most.
    """

    until_mse: float | None = None
    until_error: float | None = None
    gain_images: int = 256

    def __post_init__(self) -> None:
        if self.until_mse is not None and self.until_error is not None:
            raise ModelError(
                "the limit is an mse per pixel or an error per image, not both: give one"
            )

    def limit(self, pixels: int) -> float | None:
        """The limit as an mse per pixel, of images of so many ``pixels`` (times channels)."""
        return self.until_mse if self.until_error is None else self.until_error / pixels


@dataclass(frozen=True, eq=False)
class Dropping(Shown):
    """A choice of variables to drop, and the mse per pixel of the reconstructions from the
    posterior means before and after, with intervals over ``n_units`` units of ``n`` images.

    ``kept`` (d,) bool; ``center`` (d,) float64, the mean of each variable, where dropped ones
    stand; ``variance`` (d,) of the posterior means; ``gains`` those of each variable alone, on
    ``gain_images`` of the images. ``rise`` is after - before, image by image, ``limit`` what the
    mse after might not pass, ``pixels`` the pixels of an image times its channels. ``examples`` are
    a few images. ``skipped`` are the ids of those that could not be read.
    """

    kept: np.ndarray
    center: np.ndarray
    variance: np.ndarray
    gains: tuple[Estimate, ...]
    before: Estimate
    after: Estimate
    rise: Estimate
    n: int
    n_units: int
    gain_images: int
    pixels: int
    examples: Tensor
    limit: float | None = None
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Dropping: {self.kept.sum()} of {len(self.kept)} variables are kept>"

    def tables(self) -> list[Table]:
        from latentmap.diagnostics.dropping_tables import dropping_tables

        return dropping_tables(self)

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``; those named ``mse`` are per pixel."""
        return {
            "n": self.n,
            "n_units": self.n_units,
            "skipped": list(self.skipped),
            "kept": np.flatnonzero(self.kept).tolist(),
            "dropped": np.flatnonzero(~self.kept).tolist(),
            "limit_mse": self.limit,
            "pixels": self.pixels,
            **self.before.to_json("mse_before"),
            **self.after.to_json("mse_after"),
            **self.rise.to_json("mse_rise"),
            "gain_images": self.gain_images,
            "variables": [
                {
                    "variable": i,
                    **gain.to_json("gain"),
                    "mean_variance": float(self.variance[i]),
                    "center": float(self.center[i]),
                    "kept": bool(self.kept[i]),
                }
                for i, gain in enumerate(self.gains)
            ],
        }


def choose_dropped(
    model: Model,
    images: ImageSource,
    options: DropOptions | None = None,
    *,
    seed: int = 0,
    on_error: OnError = "stop",
    stage: Stage = silent,
    progress: bool = False,
) -> Dropping:
    """The variables of a VAE that are dropped, by their figures on some images, which are in memory
    at once, as ``load_all`` has them. ``seed`` draws the images of the gains, and the resamplings.
    ``progress=True`` shows how far it is.

    Raises:
        ModelError: there is nothing to drop, or nothing to keep; or the limit is below the error of
            the whole model.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``; or there is no memory.
    """
    stage = stage_of(progress, stage)
    options = options or DropOptions()
    with stage("reading") as told:
        pixels, read, skipped = load_all(images, model.view, on_error=on_error, progress=told)
    meter = _Meter(model, pixels)
    with stage("encoding") as told:
        meter.encode(told)
    variance = meter.codes.double().var(0, correction=0).numpy()
    limit = options.limit(math.prod(model.image_shape))
    kept = are_active(variance)
    if limit is None:
        _require_some(model, kept)
    seen = images.subset(read)
    units = units_of(seen.digests, seen.groups)
    chosen = draw_of_units(units, options.gain_images, seed=seed)
    with stage("measuring gains", "decodes") as told:
        gains = meter.gains(chosen, told)
    with stage("measuring errors") as told:
        before = meter.errors(np.ones_like(kept), told)
        if limit is not None:
            kept = _below(model, limit, float(before.mean()), meter, gains.mean(0), told)
        after = meter.errors(kept, told)

    def estimate(values: np.ndarray, units: np.ndarray) -> Estimate:
        return mean_estimate(values, units, seed=seed)

    return Dropping(
        kept,
        meter.center.numpy(),
        variance,
        tuple(estimate(values, units[chosen]) for values in gains.T),
        estimate(before, units),
        estimate(after, units),
        estimate(after - before, units),
        len(pixels),
        int(units.max()) + 1,
        len(chosen),
        math.prod(model.image_shape),
        pixels[:_SHOWN].float() / 255,
        limit,
        tuple(str(images.ids[position]) for position, _ in skipped),
    )


class _Meter:
    """Reconstructions of a VAE with some of its variables at their mean; pixels are uint8 ``(n, c,
    h, w)``.
    """

    def __init__(self, model: Model, pixels: Tensor) -> None:
        self._model, self._pixels = model, pixels
        self.codes = torch.empty(len(pixels), model.latent_dim)
        self.center = torch.empty(model.latent_dim, dtype=torch.float64)

    def encode(self, progress: Progress | None) -> None:
        """Fills ``codes`` (n, d), the posterior means, and ``center``, their mean in float64."""
        for start in range(0, len(self.codes), _BATCH):
            part = slice(start, start + _BATCH)
            self.codes[part] = self._model.posterior(self._images(part)).mean.cpu()
            if progress is not None:
                progress(min(start + _BATCH, len(self.codes)), len(self.codes))
        self.center = self.codes.double().mean(0)

    def gains(self, rows: np.ndarray, progress: Progress | None) -> np.ndarray:
        """The gain of each variable on each of some images ``(m, d)``, float64."""
        found = np.empty((len(rows), self._model.latent_dim))
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            found[start : start + len(part)] = information_gains(
                self._model.decode, self._images(part), self.codes[part], self.center
            ).cpu()
            if progress is not None:
                progress((start + len(part)) * found.shape[1], found.size)
        return found

    def errors(self, kept: np.ndarray, progress: Progress | None) -> np.ndarray:
        """The mse per pixel of each image ``(n,)``, with only the variables ``kept`` (d,)."""
        found, dropped = np.empty(len(self.codes)), torch.from_numpy(~kept)
        for start in range(0, len(found), _BATCH):
            part = slice(start, start + _BATCH)
            codes = at_center(self.codes[part], dropped, self.center)
            found[part] = image_errors(self._model.decode, self._images(part), codes).cpu()
            if progress is not None:
                progress(min(start + _BATCH, len(found)), len(found))
        return found

    def _images(self, part: slice | np.ndarray) -> Tensor:
        """Some images in [0, 1], where the model is."""
        return self._pixels[part].to(self._model.device).float() / 255


def _require_some(model: Model, kept: np.ndarray) -> None:
    """Refuses that all variables, or none, are inactive."""
    d = len(kept)
    if kept.all():
        raise ModelError(
            f"nothing to drop: all {d} variables of {model.name} are active on these images (Var "
            f"mean above {ACTIVE_VARIANCE}); a limit of the error drops active ones too"
        )
    if not kept.any():
        raise ModelError(
            f"nothing to keep: none of the {d} variables of {model.name} is active on these images "
            f"(Var mean above {ACTIVE_VARIANCE}): give images of the kind that it was trained on"
        )


def _below(
    model: Model,
    limit: float,
    whole: float,
    meter: _Meter,
    gains: np.ndarray,
    progress: Progress | None,
) -> np.ndarray:
    """The variables (d,) that are left when those of least gain went, one after the other, until
    one more would bring the mse above the limit, or one alone is left. The mse is ``whole`` with
    all of them.
    """

    def told(mse: float) -> str:
        return f"{mse:.6g} ({mse * math.prod(model.image_shape):.4g} an image)"

    if whole > limit:
        raise ModelError(
            f"{model.name} with all its variables has an mse of {told(whole)} on these images, "
            f"above the limit of {told(limit)}: give a larger limit"
        )
    kept = np.ones(len(gains), dtype=bool)
    if len(kept) == 1:
        raise ModelError(f"nothing to drop: {model.name} has one variable, and one has to stay")
    for variable in np.argsort(gains, kind="stable")[:-1]:
        fewer = kept.copy()
        fewer[variable] = False
        mse = float(meter.errors(fewer, progress).mean())
        if mse > limit:
            if kept.all():
                raise ModelError(
                    f"nothing to drop: without variable {variable}, whose gain is the least, "
                    f"{model.name} has an mse of {told(mse)}, above the limit of {told(limit)}: "
                    "give a larger limit"
                )
            break
        kept = fewer
    return kept
