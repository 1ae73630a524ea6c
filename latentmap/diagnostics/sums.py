"""One pass over images: the sums by blocks that the figures of a VAE are made of.

Shapes: ``n`` images, ``u`` blocks, ``d`` latent variables, ``p`` pixels (times channels).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.diagnostics.divergence import kl_divergence, log_of_variance
from latentmap.images import ImageSource, OnError
from latentmap.images.views import Batch
from latentmap.model import Model, Precision
from latentmap.model.late_check import LateCheck, LateFinite
from latentmap.progress import Progress
from latentmap.transfers import Arriving, a_batch_late, upload

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the images of each block, float64, without blocks that have no image.

    ``sizes`` ``(u,)`` are the images. With t the posterior mean of a variable less ``shift``
    ``(d,)``, so that nothing cancels, ``powers`` ``(4, u, d)`` are of t to t^4;
    ``posterior_variance`` and ``kl`` ``(u, d)`` are of s2 and of the divergence from the prior. Of
    the images and of their reconstructions ``pixels`` ``(2, u, p)`` are sums and
    ``squares`` ``(2, u)`` sums of the mean square of an image; ``errors`` ``(u,)`` are of its mse.
    ``skipped`` are the positions of images that could not be read.
    """

    sizes: np.ndarray
    shift: np.ndarray
    powers: np.ndarray
    posterior_variance: np.ndarray
    kl: np.ndarray
    pixels: np.ndarray
    squares: np.ndarray
    errors: np.ndarray
    skipped: np.ndarray


def sum_by_blocks(
    model: Model,
    images: ImageSource,
    blocks: np.ndarray,
    *,
    sampled: np.random.Generator | None,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    progress: Progress | None,
) -> Sums:
    """The sums over all images, which are of ``blocks`` ``(n,)``; with ``sampled`` the images are
    reconstructed from codes that it draws from their posteriors.

    Raises:
        ModelError: the model has no posterior.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    u, d = int(blocks.max()) + 1, model.latent_dim
    p = int(np.prod(model.image_shape))
    # Of each variable t to t^4, s2 and KL; of each image 1, two mean squares and its mse.
    latent = torch.zeros(u, 6 * d, dtype=torch.float64)
    pixels = torch.zeros(2, u, p, dtype=torch.float64)
    whole = torch.zeros(u, 4, dtype=torch.float64)
    shift: Tensor | None = None
    skipped: list[int] = []

    def launched() -> Iterator[_Launched]:
        size = batch_size or _BATCH
        for batch in images.batches([model.view], batch_size=size, on_error=on_error):
            skipped.extend(position for position, _ in batch.failed)
            if progress is not None:
                progress(batch.stop, len(images))
            if len(batch.positions):
                yield _launch(model, batch, images.ids[batch.positions], sampled, precision)

    for one in a_batch_late(launched()):
        block = torch.from_numpy(blocks[one.positions])
        mean, variance, shown, x = one.wait()
        shift = mean.mean(0) if shift is None else shift
        kl = kl_divergence(mean, variance, log_of_variance(variance))
        t = mean - shift
        latent.index_add_(0, block, torch.cat([t, t**2, t**3, t**4, variance, kl], dim=1))
        pixels[0].index_add_(0, block, x)
        pixels[1].index_add_(0, block, shown)
        parts = [x.square().mean(1), shown.square().mean(1), (x - shown).square().mean(1)]
        whole.index_add_(0, block, torch.stack([torch.ones(len(x)).double(), *parts], dim=1))
    there = whole[:, 0] > 0
    of_images, moments = whole[there].numpy(), latent[there].view(-1, 6, d).movedim(1, 0).numpy()
    return Sums(
        sizes=of_images[:, 0],
        shift=np.zeros(d) if shift is None else shift.numpy(),
        powers=moments[:4],
        posterior_variance=moments[4],
        kl=moments[5],
        pixels=pixels[:, there].numpy(),
        squares=of_images[:, 1:3].T,
        errors=of_images[:, 3],
        skipped=np.array(skipped, dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class _Launched:
    """What a batch of ``k`` images gives, some of it on its way: the posterior's mean and variance
    ``(k, d)``, the images that were seen and shown ``(k, c, h, w)``, and the checks of both.
    """

    ids: np.ndarray
    positions: np.ndarray
    posterior: tuple[Arriving, Arriving]
    seen: Tensor
    shown: Arriving
    checks: tuple[LateFinite, LateCheck]

    def wait(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, variance, what was shown and what was seen ``(k, p)``, float64."""
        of_codes, of_images = self.checks
        of_codes.require()
        of_images.require(self.ids)
        mean, variance = (one.wait().double() for one in self.posterior)
        return mean, variance, self.shown.wait().flatten(1).double(), self.seen


def _launch(
    model: Model,
    batch: Batch,
    ids: np.ndarray,
    sampled: np.random.Generator | None,
    precision: Precision,
) -> _Launched:
    """What a batch gives, reconstructed from the means, or from codes that are ``sampled``."""
    posterior, finite = model.launch_posterior(batch.images[0], precision=precision)
    codes = posterior.mean
    if sampled is not None:
        noise = upload(torch.from_numpy(sampled.standard_normal(tuple(codes.shape))), codes.device)
        codes = (codes.double() + posterior.variance.double().sqrt() * noise).float()
    shown, check = model.launch(codes)
    return _Launched(
        ids,
        batch.positions,
        (Arriving(posterior.mean), Arriving(posterior.variance)),
        batch.floats(0).flatten(1).double(),
        Arriving(shown),
        (finite, check),
    )
