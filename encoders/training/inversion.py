"""The recipe of inversion networks: an endless stream of generated images, and their codes.

Loss of a batch: the mean squared error of the codes in units of their mean variance, plus
``image_weight`` times that of the images generated again, where it is above 0 (Asperti & Tonelli,
arXiv 2207.06812, take the codes alone), plus ``real_weight`` times that of real images made again,
where there are some (Zhu et al., "In-domain GAN inversion for real image editing", arXiv
2004.00049, whose losses of features and of a discriminator are left out). The codes of generated
images keep those of real ones where the generator has learnt to make images.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], codes ``(n, d)``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from latentmap.encoders.inverted import InvertedModel
from latentmap.encoders.nets.inversion import InversionNetwork
from latentmap.encoders.stylegan import StyleGANModel
from latentmap.encoders.training.batches import Batches, seeded
from latentmap.model import Model, Precision

Schedule = Literal["one-cycle", "constant"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
Noise = Literal["random", "const"]
NOISES: tuple[Noise, ...] = get_args(Noise)

_WARM_UP = 0.1
_CLIP = 1.0
_MOMENTS_OF = 10_000
# Streams of random numbers beside those of the loop.
_CODES, _MOMENTS = 2, 3


class CodeBatches:
    """Codes drawn from a generator's prior, other ones at every step: nothing can be learnt by
    heart.
    """

    def __init__(self, generator: Model, *, size: int, per_epoch: int, seed: int) -> None:
        self.size = size
        self.per_epoch = per_epoch
        self.identity: Mapping[str, Any] = {
            "batch_size": size,
            "generator": generator.fingerprint,
            "generator_settings": generator.rendering,
        }
        if generator.prior is not None:
            self.identity = {**self.identity, "generator_prior": generator.prior.fingerprint}
        self._generator = generator
        self._seed = seed

    def batch(self, step: int) -> Tensor:
        """The codes of a step, ``(size, d)``."""
        return self._generator.sample(self.size, seed=_draw(self._seed, _CODES, step))


def fit_moments(network: InversionNetwork, generator: Model, *, seed: int) -> None:
    """Gives a network the mean of the generator's codes, and the root of their mean variance."""
    codes = generator.sample(_MOMENTS_OF, seed=_draw(seed, _MOMENTS, 0)).double()
    network.mean.copy_(codes.mean(0))
    network.scale.copy_(codes.var(0).mean().sqrt())


class InversionRecipe:
    """One optimisation step of the inversion network of ``pair``, and the figures of an epoch.

    ``real`` are the batches of real images that it learns from with ``real_weight``, one a step.
    A StyleGAN shows its codes with ``noise`` of its own each, which the network learns to overlook,
    or always with its stored maps, which tell more of the codes.
    The schedule ``one-cycle`` is AdamW
    with a learning rate that rises to ``learning_rate`` over the first tenth of ``steps`` and falls
    to 0 as a cosine, and with gradients of at most length 1; ``constant`` is Adam.
    ``average`` is the network whose weights are the moving averages, by the factor ``memory`` a
    step; it is the result.
    """

    def __init__(
        self,
        pair: InvertedModel,
        *,
        steps: int,
        learning_rate: float,
        schedule: Schedule = "one-cycle",
        image_weight: float = 0.0,
        real: Batches | None = None,
        real_weight: float = 0.0,
        noise: Noise = "random",
        memory: float = 0.999,
        precision: Precision = "float32",
    ) -> None:
        network = pair.inversion.requires_grad_(True)
        self.inversion = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.network = nn.ModuleDict({"inversion": self.inversion, "average": self.average})
        self.generator, self.crop = pair.generator, pair.crop
        self.steps, self.learning_rate, self.schedule = steps, learning_rate, schedule
        self.image_weight, self.real, self.real_weight = image_weight, real, real_weight
        self.noise: Noise = noise
        self.memory, self.precision = memory, precision
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.AdamW(
                network.parameters(),
                lr=learning_rate,
                weight_decay=0.01 if schedule == "one-cycle" else 0.0,
            )
        }
        self.device = network.mean.device
        self.state: dict[str, Tensor] = {}
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets the figures of the last epoch."""
        for name in ("count", "code_sum", "image_sum", "real_count", "real_sum"):
            self.state[name] = torch.zeros((), device=self.device)

    def step(self, codes: Tensor, index: int) -> None:
        """One step on the images of codes ``(n, d)``; ``index`` counts the steps from 0."""
        network, optimizer, n = self.inversion, self.optimizers["adam"], len(codes)
        images = self._render(codes)
        seen = images if self.real is None else torch.cat([images, self.real.batch(index)])
        with torch.autocast(
            self.device.type,
            getattr(torch, self.precision),
            enabled=self.precision != "float32",
        ):
            found = network.normalized(seen).float()
        code_mse = (found[:n] - (codes - network.mean) / network.scale).square().mean()
        loss = code_mse
        if self.image_weight:
            image_mse = self._image_mse(found[:n], images)
            loss = loss + self.image_weight * image_mse
            self.state["image_sum"] += n * image_mse.detach()
        if self.real is not None:
            real_mse = self._image_mse(found[n:], seen[n:])
            loss = loss + self.real_weight * real_mse
            self.state["real_count"] += len(seen) - n
            self.state["real_sum"] += (len(seen) - n) * real_mse.detach()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.schedule == "one-cycle":
            nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * one_cycle(index, self.steps)
        optimizer.step()
        self._follow(index)
        self.state["count"] += n
        self.state["code_sum"] += n * code_mse.detach()

    def diverged(self) -> bool:
        """Whether the loss of this epoch is no number any more."""
        sums = [self.state[name] for name in ("code_sum", "image_sum", "real_sum")]
        return not bool(torch.isfinite(torch.stack(sums)).all())

    def figures(self) -> dict[str, float | int]:
        """Means of this epoch, of the network as it was at each step: R2 of the codes, and the mse
        of the images, and of the real ones, where they count.
        """
        count = self.state["count"]
        figures = {"code_r2": 1 - float(self.state["code_sum"] / count)}
        if self.image_weight:
            figures["image_mse"] = float(self.state["image_sum"] / count)
        if self.real is not None:
            figures["real_mse"] = float(self.state["real_sum"] / self.state["real_count"])
        return figures

    def _image_mse(self, found: Tensor, images: Tensor) -> Tensor:
        """The mse of images against those of the codes found of them, as the body gives these."""
        # Not decode, which stops gradients.
        pictures = self.generator._decode(self.inversion.mean + self.inversion.scale * found)
        return (self.crop(pictures) - images).square().mean()

    def _render(self, codes: Tensor) -> Tensor:
        generator = self.generator
        if isinstance(generator, StyleGANModel):
            generator = generator.variant(
                noise=self.noise if generator.has_noise else None,
                noise_seed=int(torch.randint(2**62, ())),
                precision=self.precision,
            )
        return self.crop(generator.decode(codes))

    @torch.no_grad()
    def _follow(self, index: int) -> None:
        # Early averages are short, or the first weights would weigh on.
        memory = min(self.memory, (1 + index) / (10 + index))
        for mean, now in zip(self.average.parameters(), self.inversion.parameters(), strict=True):
            mean.lerp_(now, 1 - memory)


def one_cycle(index: int, steps: int) -> float:
    """The part of the highest learning rate that step ``index`` of ``steps`` has.

    >>> [round(one_cycle(i, 20), 2) for i in (0, 1, 2, 10, 19)]
    [0.5, 1.0, 1.0, 0.59, 0.01]
    """
    warm = max(1.0, _WARM_UP * steps)
    if index < warm:
        return (index + 1) / math.ceil(warm)
    return (1 + math.cos(math.pi * (index - warm) / (steps - warm))) / 2


def _draw(seed: int, stream: int, index: int) -> int:
    return int(seeded(seed, stream, index).integers(2**63))
