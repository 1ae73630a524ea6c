"""What an image loses without a variable: the gain of each, and what all inactive ones are worth.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from latentmap.codes.units import draw_of_units
from latentmap.diagnostics.gain import at_center, image_errors, information_gains
from latentmap.images import ImageSource
from latentmap.intervals import Estimate, resample, shares
from latentmap.model import Model, Precision
from latentmap.progress import Progress

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
    middle, out = torch.from_numpy(center), torch.from_numpy(inactive)
    errors, gains = np.empty((2, len(drawn))), np.empty((d, int(gained.sum())))
    total, done, filled = len(drawn) + gains.size, 0, 0
    chosen = images.subset(drawn)
    for batch in chosen.batches([model.view], batch_size=_BATCH):
        x = batch.floats(0, model.device)
        mean = model.posterior(x, precision=precision).mean.cpu().float()
        rows = slice(batch.start, batch.stop)
        whole = image_errors(model.decode, x, mean)
        errors[0, rows] = whole.cpu()
        errors[1, rows] = image_errors(model.decode, x, at_center(mean, out, middle)).cpu()
        here = np.flatnonzero(gained[rows])
        if len(here):
            found = information_gains(model.decode, x[here], mean[here], middle, errors=whole[here])
            gains[:, filled : filled + len(here)] = found.T.cpu()
        done, filled = done + len(x) + d * len(here), filled + len(here)
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
