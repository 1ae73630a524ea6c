"""The recipe of GANs: a discriminator tells images from generated ones, a generator deceives it.

Loss of the discriminator D, with u uniform in [0, ``label_noise``) for every image:
bce(D(x), 1 - u) + bce(D(G(z)), u); of the generator G, non-saturating: bce(D(G(z)), 1) (Goodfellow
et al., "Generative adversarial nets", 2014; the noise of the labels after Asperti & Tonelli, arXiv
2207.06812).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from latentmap.encoders.nets.dcgan import Discriminator, Generator

# Until the average of the generator has its length, it covers about the last tenth of the steps.
_AVERAGE_SHARE = 10

# A diversity below this is taken for a collapse; trainings that go well are above 0.8.
COLLAPSED = 0.25


class GANRecipe:
    """One step of both networks of a GAN, and the figures of an epoch.

    The result is ``average``: the generator whose weights, and the moments of its norms, are
    running means over the steps; ``average_decay`` is what stays of them in a step, and 0 takes the
    last weights.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        latent_dim: int,
        learning_rate: float = 2e-4,
        momentum: float = 0.5,
        label_noise: float = 0.05,
        average_decay: float = 0.999,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.network = nn.ModuleDict(
            {"generator": generator, "discriminator": discriminator, "average": self.average}
        )
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(momentum, 0.999))
            for name, network in (("generator", generator), ("discriminator", discriminator))
        }
        self.latent_dim = latent_dim
        self.label_noise = label_noise
        self.average_decay = average_decay
        self.autocast = autocast
        self.device = next(generator.parameters()).device
        self.state: dict[str, Tensor] = {}
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets the figures of the last epoch."""
        names = ("steps", "d_loss", "g_loss", "d_real", "d_fake", "real_variance", "fake_variance")
        for name in names:
            self.state[name] = torch.zeros((), device=self.device)

    def step(self, images: Tensor, index: int) -> None:
        """One step on a batch ``(n, c, h, w)`` in [0, 1]; ``index`` counts the steps from 0."""
        n = len(images)
        codes = torch.randn(n, self.latent_dim, device=self.device)
        with self._precision():
            fakes = self.generator(codes)
        fakes = fakes.float()

        # Two passes: a norm over images and generated ones together would not tell them apart.
        with self._precision():
            real = self.discriminator(images).float()
            fake = self.discriminator(fakes.detach()).float()
        noise = self.label_noise * torch.rand(2, n, device=self.device)
        d_loss = binary_cross_entropy_with_logits(real, 1 - noise[0])
        d_loss = d_loss + binary_cross_entropy_with_logits(fake, noise[1])
        self._descend("discriminator", d_loss)

        # The same images again: another batch of them would cost one more pass of the generator.
        self.discriminator.requires_grad_(False)
        with self._precision():
            deceived = self.discriminator(fakes).float()
        g_loss = binary_cross_entropy_with_logits(deceived, torch.ones_like(deceived))
        self._descend("generator", g_loss)
        self.discriminator.requires_grad_(True)

        self._follow(index)
        figures = {
            "steps": 1,
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_real": real.detach().sigmoid().mean(),
            "d_fake": fake.detach().sigmoid().mean(),
            "real_variance": images.var(0, correction=0).mean(),
            "fake_variance": fakes.detach().var(0, correction=0).mean(),
        }
        for name, value in figures.items():
            self.state[name] += value

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def _follow(self, index: int) -> None:
        decay = min(self.average_decay, index / (_AVERAGE_SHARE + index))
        latest = self.generator.state_dict()
        for name, tensor in self.average.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(latest[name], 1 - decay)
            else:
                tensor.copy_(latest[name])

    def diverged(self) -> bool:
        """Whether a loss of this epoch is no number any more."""
        return not bool(torch.isfinite(self.state["d_loss"] + self.state["g_loss"]))

    def figures(self) -> dict[str, float | int]:
        """Means of this epoch: the losses, the probability of being real that the discriminator
        gives to images (``d_real``) and to generated ones (``d_fake``), and ``diversity``: the mean
        squared difference of two generated images, over that of two images.

        A diversity far below 1 (``COLLAPSED``) tells of a collapse: the generator makes few images
        that differ.
        """
        state = self.state
        means = {
            name: float(state[name] / state["steps"])
            for name in ("d_loss", "g_loss", "d_real", "d_fake")
        }
        # Twice the variance is the mean squared difference. Images that are all alike have none.
        data = state["real_variance"].clamp_min(1e-12)
        return means | {"diversity": float(state["fake_variance"] / data)}
