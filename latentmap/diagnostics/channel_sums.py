"""One pass over images: the sums by blocks that the figures of channels are made of.

Shapes: ``n`` images, ``u`` blocks, ``p`` positions, ``c`` channels (``latentmap.codes.channels``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.codes.channels import by_position, channels_of
from latentmap.diagnostics.divergence import kl_divergence, log_of_variance
from latentmap.images import ImageSource, OnError
from latentmap.images.views import Batch
from latentmap.model import Model, Precision
from latentmap.model.late_check import LateCheck, LateFinite
from latentmap.progress import Progress
from latentmap.transfers import Arriving, a_batch_late, upload

# Of more channels the products would fill the memory: 50 blocks of 1024^2 are 420 MB.
MOST_CHANNELS = 1024
_BATCH = 256
_NUMBERS = 2**20  # Of the pixels of a batch, since networks without a fixed size take large images.


@dataclass(frozen=True, eq=False)
class ChannelSums:
    """Sums over the images of each block, float64, without blocks that have no image.

    ``sizes`` ``(u,)`` are the images. With t the code of a channel at a position less ``shift``
    ``(c,)``, so that nothing cancels, and means taken over the positions of an image, ``totals``
    ``(u, c)`` are of t, ``squares`` ``(u, c)`` of t^2, and ``products`` ``(u, c, c)`` of t t' (None
    of more than ``MOST_CHANNELS``). ``noise`` and ``kl`` ``(u, c)`` are of the posterior variance
    and of the divergence from the prior, None without a posterior; ``errors`` ``(u,)`` of the mse
    of an image, None without a decoder. ``skipped`` are the positions of images that could not be
    read.
    """

    sizes: np.ndarray
    shift: np.ndarray
    totals: np.ndarray
    squares: np.ndarray
    products: np.ndarray | None
    noise: np.ndarray | None
    kl: np.ndarray | None
    errors: np.ndarray | None
    skipped: np.ndarray


class _Gathered:
    """The sums while they grow, see ``ChannelSums``."""

    def __init__(self, u: int, c: int, *, posterior: bool, decodes: bool) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64)

        self.shift: Tensor | None = None
        self.sizes, self.totals, self.squares = zeros(u), zeros(u, c), zeros(u, c)
        self.products = zeros(u, c, c) if c <= MOST_CHANNELS else None
        self.noise = zeros(u, c) if posterior else None
        self.kl = zeros(u, c) if posterior else None
        self.errors = zeros(u) if decodes else None

    def add(self, block: Tensor, codes: Tensor) -> None:
        """Adds images of some ``block`` ``(n,)`` with their ``codes`` ``(n, p, c)``."""
        if self.shift is None:
            self.shift = codes.mean((0, 1))
        t = codes - self.shift
        self.sizes.index_add_(0, block, torch.ones(len(t), dtype=torch.float64))
        self.totals.index_add_(0, block, t.mean(1))
        self.squares.index_add_(0, block, t.square().mean(1))
        if self.products is not None:
            for number in block.unique().tolist():
                rows = t[block == number].flatten(0, 1)
                self.products[number].addmm_(rows.T, rows, alpha=1 / t.shape[1])

    def add_posterior(self, block: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Adds what the posteriors of these images have, ``(n, p, c)``."""
        if self.noise is not None and self.kl is not None:
            kl = kl_divergence(mean, variance, log_of_variance(variance))
            self.noise.index_add_(0, block, variance.mean(1))
            self.kl.index_add_(0, block, kl.mean(1))

    def finish(self, skipped: list[int]) -> ChannelSums:
        there = self.sizes > 0

        def kept(sums: Tensor | None) -> np.ndarray | None:
            return None if sums is None else sums[there].numpy()

        shift = torch.zeros(self.totals.shape[1]) if self.shift is None else self.shift
        return ChannelSums(
            sizes=self.sizes[there].numpy(),
            shift=shift.double().numpy(),
            totals=self.totals[there].numpy(),
            squares=self.squares[there].numpy(),
            products=kept(self.products),
            noise=kept(self.noise),
            kl=kept(self.kl),
            errors=kept(self.errors),
            skipped=np.array(skipped, dtype=np.int64),
        )


def sum_channels(
    model: Model,
    images: ImageSource,
    blocks: np.ndarray,
    *,
    sampled: np.random.Generator | None,
    precision: Precision,
    batch_size: int | None,
    on_error: OnError,
    progress: Progress | None,
) -> ChannelSums:
    """The sums over all images, which are of ``blocks`` ``(n,)``; with ``sampled`` the images are
    reconstructed from codes that it draws from their posteriors.

    Raises:
        ModelError: the model has no encoder, or gives codes that are not finite.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    shape = model.latent_shape
    gathered = _Gathered(
        int(blocks.max()) + 1,
        channels_of(shape)[0],
        posterior=model.has_posterior,
        decodes=model.can_decode,
    )
    size = batch_size or max(1, min(_BATCH, _NUMBERS // int(np.prod(model.image_shape))))
    skipped: list[int] = []

    def launched() -> Iterator[_Launched]:
        for batch in images.batches([model.view], batch_size=size, on_error=on_error):
            skipped.extend(position for position, _ in batch.failed)
            if progress is not None:
                progress(batch.stop, len(images))
            if len(batch.positions):
                yield _Launched(model, batch, images.ids[batch.positions], sampled, precision)

    for one in a_batch_late(launched()):
        one.require()
        block = torch.from_numpy(blocks[one.positions])
        codes, *variance = (by_position(part.wait().double(), shape) for part in one.moments)
        gathered.add(block, codes)
        for spread in variance:
            gathered.add_posterior(block, codes, spread)
        if gathered.errors is not None and one.shown is not None:
            missed = one.seen - one.shown.wait().flatten(1)
            gathered.errors.index_add_(0, block, missed.double().square().mean(1))
    return gathered.finish(skipped)


class _Launched:
    """What a batch of ``k`` images gives, on its way: the ``moments`` of their codes ``(k, d)``,
    which are the codes, or mean and variance of posteriors; the images ``seen`` ``(k, pixels)``,
    and those ``shown``, None without a decoder.
    """

    def __init__(
        self,
        model: Model,
        batch: Batch,
        ids: np.ndarray,
        sampled: np.random.Generator | None,
        precision: Precision,
    ) -> None:
        self._ids, self.positions = ids, batch.positions
        if model.has_posterior:
            posterior, self._finite = model.launch_posterior(batch.images[0], precision=precision)
            moments = [posterior.mean, posterior.variance]
        else:
            moments = [model.encode_pixels(batch.images[0], precision=precision)]
            self._finite = LateFinite(moments, model=model.name)
        self.moments = [Arriving(one) for one in moments]
        self.seen = batch.floats(0).flatten(1)
        self.shown: Arriving | None = None
        self._check: LateCheck | None = None
        if model.can_decode:
            codes = moments[0] if sampled is None else _drawn(moments[0], moments[1], sampled)
            shown, self._check = model.launch(codes)
            self.shown = Arriving(shown)

    def require(self) -> None:
        """Waits for the device, and passes where codes and images are sound.

        Raises:
            ModelError: they are not.
        """
        self._finite.require()
        if self._check is not None:
            self._check.require(self._ids)


def _drawn(mean: Tensor, variance: Tensor, generator: np.random.Generator) -> Tensor:
    """Codes ``(k, d)`` of posteriors."""
    noise = upload(torch.from_numpy(generator.standard_normal(tuple(mean.shape))), mean.device)
    return (mean.double() + variance.double().sqrt() * noise).float()
