"""What an image loses without a variable: the gain of each, and what all inactive ones are worth.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from latentmap.codes.units import draw_of_units
from latentmap.diagnostics.gain import image_errors, information_gains
from latentmap.images import ImageSource
from latentmap.images.views import Batch
from latentmap.intervals import Estimate, resample, shares
from latentmap.model import Model, Precision
from latentmap.model.late_check import LateCheck, LateFinite
from latentmap.progress import Progress
from latentmap.transfers import Arriving, a_batch_late, floats_on, upload

_BATCH = 64
_DECODES = 8192  # For the gains, about.
_FEWEST, _MOST = 32, 1000  # Images for the gains, where there are as many.
_PAIRED = 2000  # Images that are decoded with and without the inactive variables, at most.


@dataclass(frozen=True, eq=False)
class Worth:
    """Losses of random images of those that were diagnosed.

    ``gain`` has for each variable the mean of its information gain over ``gain_images`` images, see
    ``latentmap.diagnostics.gain``. On ``n`` images ``mse`` is the error with all variables,
    ``mse_without`` that with every inactive one at its mean, and ``change`` (without - with) /
    with.
    """

    n: int
    gain_images: int
    gain: tuple[Estimate, ...]
    mse: Estimate
    mse_without: Estimate
    change: Estimate

    def to_json(self) -> dict[str, object]:
        """What the inactive variables are worth, ready for ``json.dumps``."""
        return {
            "n": self.n,
            **self.mse.to_json("mse"),
            **self.mse_without.to_json("mse_without"),
            **self.change.to_json("change"),
        }


def measure_worth(
    model: Model,
    images: ImageSource,
    units: np.ndarray,
    *,
    center: np.ndarray,
    inactive: np.ndarray,
    gain_images: int | None,
    precision: Precision,
    seed: int,
    progress: Progress | None,
) -> Worth:
    """The worth of the variables on random ones of readable images, of some ``units`` ``(n,)``.

    A variable is left out by setting it to its ``center`` ``(d,)``; ``inactive`` ``(d,)`` says
    which are left out together. Gains are measured on ``gain_images``, by default on 32 to 1,000,
    as many as 8,192 decodes allow; the intervals are over units.
    """
    d = model.latent_dim
    k = gain_images or min(max(_DECODES // (d + 1), _FEWEST), _MOST)
    # One seed, one order: what gains are measured on is among the others, which only inactive
    # variables need.
    drawn = draw_of_units(units, max(_PAIRED, k) if inactive.any() else k, seed=seed)
    gained = np.isin(drawn, draw_of_units(units, k, seed=seed))
    middle, out = (torch.from_numpy(one).to(model.device) for one in (center, inactive))
    scene = _Scene(model, middle, out, precision)
    errors, gains = np.empty((2, len(drawn))), np.empty((d, int(gained.sum())))
    total, done, filled = len(drawn) + gains.size, 0, 0
    chosen = images.subset(drawn)

    def launched() -> Iterator[_Launched]:
        for batch in chosen.batches([model.view], batch_size=_BATCH):
            here = np.flatnonzero(gained[batch.start : batch.stop])
            yield scene.launch(batch, chosen.ids[batch.start : batch.stop], here)

    for one in a_batch_late(launched()):
        losses, found = one.wait()
        errors[:, one.rows] = losses
        gains[:, filled : filled + len(found)] = found.T
        done, filled = done + losses.shape[1] + found.numel(), filled + len(found)
        if progress is not None:
            progress(done, total)
    of_gains = resample(gains, units[drawn[gained]], seed=seed)
    paired = resample(errors, units[drawn], seed=seed)
    before, after = paired.means.T
    return Worth(
        n=len(drawn),
        gain_images=gains.shape[1],
        gain=tuple(map(of_gains.estimate, of_gains.means.T)),
        mse=paired.estimate(before),
        mse_without=paired.estimate(after),
        change=paired.estimate(shares(after - before, before)),
    )


@dataclass(frozen=True, eq=False)
class _Launched:
    """What a batch of ``k`` images, the ``rows`` of all, gives, on its way: errors with all
    variables and without the inactive ones ``(2, k)``, gains ``(g, d)`` on ``g`` of the images,
    and the checks, those of decoded images with their ids.
    """

    rows: slice
    errors: Arriving
    gains: Arriving
    finite: LateFinite
    checks: list[tuple[LateCheck, np.ndarray]]

    def wait(self) -> tuple[Tensor, Tensor]:
        """The errors and the gains, on the processor."""
        self.finite.require()
        for check, ids in self.checks:
            check.require(ids)
        return self.errors.wait(), self.gains.wait()


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all batches are measured by: the ``center`` ``(d,)``, and which variables are left
    ``out`` together ``(d,)``, both on the model's device.
    """

    model: Model
    center: Tensor
    out: Tensor
    precision: Precision

    def launch(self, batch: Batch, ids: np.ndarray, gained: np.ndarray) -> _Launched:
        """The errors of a batch with images ``ids`` ``(k,)``, and gains on those ``gained``."""
        model, checks = self.model, []

        def decode(codes: Tensor, names: np.ndarray) -> Tensor:
            shown, check = model.launch(codes)
            checks.append((check, names))
            return shown

        pixels = upload(batch.images[0], model.device)
        posterior, finite = model.launch_posterior(pixels, precision=self.precision)
        x, codes = floats_on(pixels, model.device), posterior.mean
        without = torch.where(self.out, self.center.to(codes.dtype), codes)
        errors = [image_errors(partial(decode, names=ids), x, z) for z in (codes, without)]
        gains = codes.new_empty(0, codes.shape[1], dtype=torch.float64)
        if len(gained):
            some = upload(torch.from_numpy(gained), model.device)
            gains = information_gains(
                partial(decode, names=ids[gained]),
                x[some],
                codes[some],
                self.center,
                errors=errors[0][some],
            )
        rows = slice(batch.start, batch.stop)
        return _Launched(rows, Arriving(torch.stack(errors)), Arriving(gains), finite, checks)
