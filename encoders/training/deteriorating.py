"""The recipe that deteriorates a variable of a trained VAE until it collapses, and lets it recover.

Asperti, "Sparsity in Variational Autoencoders" (2018), figure 3: Gaussian noise is added to one
active variable, more after each epoch, until the reconstruction gain of the variable is below its
KL divergence; then no more is added, and the divergence drives the variable to the prior. Without
the noise it comes back, in part and after some epochs. Variables that were inactive are kept so,
since the network would make up for the loss with one of them.

Shapes: ``n`` images, ``d`` latent variables, ``e`` epochs, and the moment before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.diagnostics import kl_divergence
from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.training.vae import VAERecipe

_DRAWS = 0  # The seed of what is drawn to measure: the same at every epoch.


@dataclass(frozen=True)
class Plan:
    """How long the phases are: noise grows by ``step`` an epoch for ``growing`` epochs at most,
    stays as it is for ``after`` epochs, and is away for ``recovery`` epochs.
    """

    step: float
    growing: int
    after: int
    recovery: int

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.growing + self.after + self.recovery

    def next_noise(self, course: Tensor) -> float | None:
        """The noise of the next epoch, None where there is none.

        ``course`` ``(e, 3)`` has noise, gain and cost of every epoch, and first what was before.
        """
        done = len(course) - 1
        noise, gain, cost = course.unbind(1)
        below = torch.nonzero((gain < cost) & (noise > 0)).flatten().tolist()
        crossing = min([*below, self.growing])
        if done < crossing:
            return self.step * (done + 1)
        if done < crossing + self.after:
            return float(noise[crossing])
        return 0.0 if done < crossing + self.after + self.recovery else None


class DeterioratingRecipe(VAERecipe):
    """The steps of a VAE one of whose variables gets noise, by a plan.

    ``gamma`` is fixed, so that gain and divergence are weighed as they were when the VAE had been
    trained. The variables ``inactive`` are cut off: their posteriors are the prior, the decoder
    does not read them, and neither gets a gradient.

    The noise changes where ``measure`` is called: after each epoch, and before the first.
    """

    def __init__(
        self,
        network: GaussianNetwork,
        plan: Plan,
        *,
        variable: int,
        inactive: Sequence[int],
        learning_rate: float,
        beta: float,
        gamma: float,
    ) -> None:
        super().__init__(network, learning_rate=learning_rate, beta=beta, gamma=gamma)
        self.norms = []  # Their averages are those of a long training already.
        self.plan, self.variable = plan, variable
        self._read = torch.ones(network.latent_dim, device=self.device)
        self._read[list(inactive)] = 0
        cut_off(network, inactive)
        self.state["noise"] = torch.zeros((), device=self.device)
        self.state["course"] = torch.zeros((0, 3), device=self.device, dtype=torch.float64)

    def _decode(self, codes: Tensor) -> Tensor:
        return super()._decode(self.sent(codes))

    def sent(self, codes: Tensor) -> Tensor:
        """What the decoder gets of the codes ``(n, d)`` of a step."""
        noise = torch.zeros_like(codes)
        noise[:, self.variable] = self.state["noise"] * torch.randn_like(codes[:, 0])
        return codes * self._read + noise

    @torch.no_grad()
    def measure(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """The noise of the epoch, and gain and cost of the variable under it, all scalars."""
        noise = self.state["noise"]
        gain, cost = self._weighed(images)
        row = torch.stack([noise.double(), gain, cost])[None]
        self.state["course"] = torch.cat([self.state["course"], row])
        following = self.plan.next_noise(self.state["course"].cpu()) or 0.0
        self.state["noise"] = torch.full_like(noise, following)
        return {"noise": noise, "gain_nats": gain, "cost_nats": cost}

    def _weighed(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the variable is worth and what it costs in the loss, in nats an image, float64."""
        variable = self.variable
        parts = [self.network.encode(part) for part in images]
        mean, log_variance = (torch.cat(part) for part in zip(*parts, strict=True))
        generator = torch.Generator().manual_seed(_DRAWS)
        own, added = torch.randn(2, *mean.shape, generator=generator).to(self.device)
        codes = (mean + torch.exp(0.5 * log_variance) * own) * self._read
        without = codes.clone()
        without[:, variable] = mean[:, variable].mean()
        codes[:, variable] += self.state["noise"] * added[:, variable]
        lost = torch.zeros((), device=self.device, dtype=torch.float64)
        start = 0
        for part in images:
            chosen = slice(start, start + len(part))
            for rows, sign in ((without[chosen], 1), (codes[chosen], -1)):
                lost += sign * (self.network.decode(rows) - part).square().sum(dtype=torch.float64)
            start += len(part)
        gain = lost / start / (2 * self.state["gamma2"].double())
        own_mean, own_log = mean[:, variable].double(), log_variance[:, variable].double()
        return gain, self.beta * kl_divergence(own_mean, own_log.exp(), own_log).mean()

    def ended(self) -> bool:
        """Whether the last epoch of the plan is over."""
        course = self.state["course"].cpu()
        return len(course) > 0 and self.plan.next_noise(course) is None

    def figures(self) -> dict[str, float | int]:
        """As those of the VAE, with noise, gain and cost of the variable after the last epoch."""
        last = self.state["course"][-1].tolist()
        named = zip(("noise", "gain_nats", "cost_nats"), last, strict=True)
        return {**super().figures(), **dict(named)}


@torch.no_grad()
def cut_off(network: GaussianNetwork, inactive: Sequence[int]) -> None:
    """Gives some variables the prior as their posteriors, and lets the decoder read 0 of them."""
    chosen = list(inactive)
    for layer in (network.mean, network.log_variance):
        layer.weight[chosen] = 0
        layer.bias[chosen] = 0
    network.reader.weight[:, chosen] = 0
