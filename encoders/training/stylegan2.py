"""The recipe of StyleGAN 2 (Karras et al., arXiv 1912.04958; augmentation: arXiv 2006.06676).

The discriminator lowers softplus(D(fake)) + softplus(-D(real)), the generator softplus(-D(fake)).
Every 16 steps the discriminator lowers 16 gamma / 2 |dD/dx|^2 of real images in an update of its
own; every 4 steps, where it is asked for, the generator its path length penalty. What comes out is
the moving average of the generator.

Shapes: ``n`` images ``(n, c, r, r)``, ws ``(n, num_ws, w_dim)``, logits ``(n,)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan2_discriminator import Discriminator
from latentmap.encoders.nets.stylegan_codes import broadcast_w
from latentmap.encoders.training.augmentation import adapt, augment

R1_INTERVAL = 16
PATH_INTERVAL = 4
ADAPT_INTERVAL = 4
_BETA2 = 0.99
_W_MEMORY = 0.995
_PATH_MEMORY = 0.99
# The average begins with the last twentieth of the images.
_AVERAGE_SHARE = 0.05
_TINY = 1e-12


@dataclass(frozen=True)
class Balance:
    """The weights of the recipe.

    ``r1`` is gamma. ``path`` weighs the path length penalty, 0 leaves it out. Two codes are mixed
    in a share ``mixing`` of the images. ``average`` is the number of images after which a weight
    counts half in the average. ``augment`` is the probability of each of ``augmentations``, None
    adapts it to how sure the discriminator is.
    """

    r1: float
    path: float = 0.0
    mixing: float = 0.0
    average: float = 10_000.0
    augment: float | None = None
    augmentations: tuple[str, ...] = ()


class Networks(nn.Module):
    """All that is trained: ``generator``, its moving ``average``, and ``discriminator``."""

    def __init__(
        self, generator: StyleGAN2, average: StyleGAN2, discriminator: Discriminator
    ) -> None:
        super().__init__()
        self.generator = generator.requires_grad_(True)
        self.average = average.requires_grad_(False)
        self.average.load_state_dict(generator.state_dict())
        self.discriminator = discriminator


class StyleGAN2Recipe:
    """One step of both networks, and the figures of an epoch."""

    def __init__(
        self,
        network: Networks,
        balance: Balance,
        *,
        learning_rate: float = 0.0025,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = network
        self.balance = balance
        self.dtype = dtype
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": _adam(
                network.generator, learning_rate, PATH_INTERVAL if balance.path else None
            ),
            "discriminator": _adam(
                network.discriminator, learning_rate, R1_INTERVAL if balance.r1 else None
            ),
        }
        self.device = next(network.parameters()).device
        self.z_dim = network.generator.mapping.get_parameter("fc0.weight").shape[1]
        self.adapts = balance.augment is None and bool(balance.augmentations)
        # Everything that a step changes besides the networks and their optimizers; tensors, so that
        # a GPU need not wait.
        self.state: dict[str, Tensor] = {
            "path_mean": torch.zeros((), device=self.device),
            "probability": torch.full((), balance.augment or 0.0, device=self.device),
            "signs": torch.zeros((), device=self.device),
        }
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets the figures of the last epoch."""
        for name in _FIGURES:
            # Sum and number.
            self.state[name] = torch.zeros(2, device=self.device)

    def step(self, images: Tensor, index: int) -> None:
        """One step on a batch ``(n, c, r, r)`` in [0, 1]; ``index`` counts the steps from 0."""
        real = images * 2 - 1
        z = self._draw_z(len(real))
        ws = self._ws(z)
        # Made once: the discriminator learns from them before it judges them for the generator.
        fake = self._synthesize(ws)
        self._train_discriminator(real, fake.detach())
        if self.balance.r1 and index % R1_INTERVAL == 0:
            self._penalize_gradient(real)
        self._train_generator(fake)
        if self.balance.path and index % PATH_INTERVAL == 0:
            self._penalize_path(z[: max(1, len(z) // 2)])
        self._follow(ws.detach(), len(real), index)
        if self.adapts and (index + 1) % ADAPT_INTERVAL == 0:
            self._adapt(len(real))

    def figures(self) -> dict[str, float | int]:
        """Means of this epoch: both losses; the probability of being real that the discriminator
        gives to images (``d_real``) and to generated ones (``d_fake``); |dD/dx|^2 and path length,
        where they are penalised; the mean squared difference of two generated images over that of
        two images (``diversity``); and how probable an augmentation is now.

        A diversity far below 1 tells of a collapse: the generator makes few images that differ.
        """
        means: dict[str, float | int] = {}
        for name in _FIGURES:
            total, count = self.state[name].tolist()
            if count:
                means[name] = total / count
        figures = {name: mean for name, mean in means.items() if name not in _SPREADS}
        figures["diversity"] = means["fake_spread"] / max(means["real_spread"], _TINY)
        if self.balance.augmentations:
            figures["augment"] = float(self.state["probability"])
        return figures

    def diverged(self) -> bool:
        """Whether a loss of this epoch is no number any more."""
        losses = torch.stack([self.state[name] for name in _FIGURES])
        return not bool(torch.isfinite(losses).all())

    def _draw_z(self, n: int) -> Tensor:
        return torch.randn(n, self.z_dim, device=self.device)

    def _ws(self, z: Tensor) -> Tensor:
        """ws of z; in some, all layers from one on are those of another sample."""
        generator = self.network.generator
        n, layers = len(z), generator.num_ws
        ws = broadcast_w(generator.mapping(z), layers)
        if not self.balance.mixing:
            return ws
        second = broadcast_w(generator.mapping(self._draw_z(n)), layers)
        first = torch.randint(1, layers, (n, 1), device=self.device)
        mixed = torch.rand(n, 1, device=self.device) < self.balance.mixing
        taken = mixed & (torch.arange(layers, device=self.device) >= first)
        return torch.where(taken[:, :, None], second, ws)

    def _synthesize(self, ws: Tensor) -> Tensor:
        return self.network.generator.synthesis(  # type: ignore[no-any-return]
            ws, noise="random", dtype=self.dtype
        )

    def _judge(self, images: Tensor) -> Tensor:
        return self.network.discriminator(images, self.dtype)  # type: ignore[no-any-return]

    def _augment(self, images: Tensor) -> Tensor:
        return augment(images, self.state["probability"], self.balance.augmentations)

    def _train_discriminator(self, real: Tensor, fake: Tensor) -> None:
        on_real = self._judge(self._augment(real))
        on_fake = self._judge(self._augment(fake))
        loss = (functional.softplus(on_fake) + functional.softplus(-on_real)).mean()
        self._update("discriminator", loss)
        if self.adapts:
            self.state["signs"] += on_real.detach().sign().mean() / ADAPT_INTERVAL
        self._count(d_loss=loss, d_real=on_real.sigmoid().mean(), d_fake=on_fake.sigmoid().mean())
        self._count(real_spread=_spread(real), fake_spread=_spread(fake))

    def _penalize_gradient(self, real: Tensor) -> None:
        penalty = gradient_penalty(self._judge, self._augment(real))
        self._update("discriminator", self.balance.r1 / 2 * R1_INTERVAL * penalty)
        self._count(r1=penalty)

    def _train_generator(self, fake: Tensor) -> None:
        self.network.discriminator.requires_grad_(False)
        loss = functional.softplus(-self._judge(self._augment(fake))).mean()
        self._update("generator", loss)
        self.network.discriminator.requires_grad_(True)
        self._count(g_loss=loss)

    def _penalize_path(self, z: Tensor) -> None:
        lengths = path_lengths(self._synthesize, self._ws(z))
        mean = self.state["path_mean"].lerp(lengths.detach().mean(), 1 - _PATH_MEMORY)
        self.state["path_mean"].copy_(mean)
        penalty = (lengths - mean).square().mean()
        self._update("generator", self.balance.path * PATH_INTERVAL * penalty)
        self._count(path_length=lengths.mean())

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def _follow(self, ws: Tensor, n: int, index: int) -> None:
        """Moves the averages: of w, and of the generator."""
        trained, average = self.network.generator, self.network.average
        trained.mapping.w_avg.lerp_(ws[:, 0].mean(dim=0), 1 - _W_MEMORY)
        half_life = min(self.balance.average, _AVERAGE_SHARE * n * (index + 1))
        share = 1 - 2.0 ** (-n / half_life)
        for kept, weight in zip(average.parameters(), trained.parameters(), strict=True):
            kept.lerp_(weight, share)
        for copied, buffer in zip(average.buffers(), trained.buffers(), strict=True):
            copied.copy_(buffer)

    def _adapt(self, n: int) -> None:
        state = self.state
        state["probability"] = adapt(state["probability"], state["signs"], ADAPT_INTERVAL * n)
        state["signs"] = torch.zeros_like(state["signs"])

    @torch.no_grad()
    def _count(self, **values: Tensor) -> None:
        for name, value in values.items():
            self.state[name] += torch.stack([value.detach(), torch.ones_like(value)])


_SPREADS = ("real_spread", "fake_spread")
_FIGURES = ("d_loss", "g_loss", "d_real", "d_fake", "r1", "path_length", *_SPREADS)


def _spread(images: Tensor) -> Tensor:
    """The mean squared difference of two of the images."""
    return (images - images.roll(1, 0)).square().mean()


def gradient_penalty(judge: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """R1: |dD/dx|^2, summed over an image and a mean over images (Mescheder et al., arXiv
    1801.04406).
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(synthesize: Callable[[Tensor], Tensor], ws: Tensor) -> Tensor:
    """How far images move with w, one number an image (arXiv 1912.04958, section 3.2).

    The root of |J|^2, a mean over layers, of J = d/dw sum(G(w) * noise / side).
    """
    images = synthesize(ws)
    noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def _adam(network: nn.Module, learning_rate: float, interval: int | None) -> torch.optim.Adam:
    """Adam, corrected where a network gets one update more every ``interval`` steps."""
    share = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(
        network.parameters(), lr=learning_rate * share, betas=(0.0, _BETA2**share)
    )
