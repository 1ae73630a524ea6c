"""The recipe of VAEs with a gate a variable, which close as far as an error allows.

De Boom, Wauthier, Verbelen and Dhoedt, "Dynamic Narrowing of VAE Bottlenecks Using GECO and L0
Regularization" (2020). A gate is open with probability p = sigmoid(g), and a closed one multiplies
its variable by 0. The loss of a batch is

    KL + penalty * sum of p + lambda * (error - tau),

where the error is the sum of squared errors over the pixels of an image, a mean over the batch.
The gates have the ARM gradient (Yin & Zhou, "ARM: Augment-REINFORCE-Merge gradient for stochastic
binary networks", 2019), which takes a second pass through the decoder; lambda is GECO's multiplier
(Rezende & Viola, "Taming VAEs", 2018), which grows while the error is above tau, and falls below.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.training.vae import Penalty, VAERecipe

# Chosen on sprites of 32x32 pixels and a few seeds, see docs/smaller.md.
_OPEN = 3.0  # The logits at the start: a probability of 0.95.
_RATE = 0.01  # Of the gates' own Adam.
_PENALTY = 5.0  # In nats, of an open gate.
# In nats, of an error of tau at the start: a smaller weight would leave variables to the prior that
# tau needs.
_WEIGHT = 20.0
_LEAST, _MOST = 1e-4, 1e6  # Of the multiplier.
_PACE = 0.01  # By which it follows the excess, in the logarithm.
_MEMORY = 0.99  # Of the moving average of the excess.
# Error / tau - 1 counts up to these: while gates are open, and once they close. At the start the
# error is many times tau, and a multiplier that followed it would need as long to come down again;
# later it has to answer a gate that closes before that is too late.
_EXCESS, _EXCESS_CLOSING = 0.05, 0.2


class GatedNetwork(GaussianNetwork):
    """A network whose codes pass a gate a variable before they are decoded.

    ``gates`` ``(d,)`` are the logits g.
    """

    def __init__(self, inner: GaussianNetwork) -> None:
        super().__init__()
        self.inner = inner
        logits = torch.full((inner.latent_dim,), _OPEN, device=inner.mean.weight.device)
        self.gates = nn.Parameter(logits)

    @property
    def latent_dim(self) -> int:
        """Latent variables, behind open gates and closed ones."""
        return self.inner.latent_dim

    @property
    def reader(self) -> nn.Linear:
        """The layer that codes enter the decoder by."""
        return self.inner.reader

    @property
    def open(self) -> Tensor:
        """Which gates are open where none is drawn, bool ``(d,)``: those that are so with a
        probability of at least 1/2, and one in any case.
        """
        gates = self.gates.detach()
        found = gates >= 0
        found[gates.argmax()] = True
        return found

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance of all variables, each ``(n, d)``."""
        return self.inner.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1], of the variables behind open gates."""
        return self.inner.decode(codes * self.open)


def arm_gradient(uniform: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """An unbiased estimate ``(d,)`` of the gradient, by the logits g, of the loss over draws of the
    gates in the mean.

    ``uniform`` (n, d) was drawn from [0, 1); ``one`` (n,) is the loss of each image with the gates
    uniform < sigmoid(g), ``other`` (n,) that with the gates uniform > sigmoid(-g).
    """
    return ((other - one)[:, None] * (uniform - 0.5)).mean(0)


class GatedRecipe(VAERecipe):
    """The recipe of a VAE whose gates close while the error, summed over the pixels of an image,
    stays at ``tau``.

    Gates stay open until the error first falls below tau. Each image draws its own, because one
    draw for a batch estimates the gradient a hundred times worse.
    """

    network: GatedNetwork

    def __init__(
        self,
        network: GatedNetwork,
        *,
        tau: float,
        learning_rate: float = 1e-4,
        beta: float = 1.0,
        sampling: bool = True,
        penalty: Penalty = "full",
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            network,
            learning_rate=learning_rate,
            beta=beta,
            sampling=sampling,
            penalty=penalty,
            autocast=autocast,
        )
        self.optimizers = {
            "adam": torch.optim.Adam(network.inner.parameters(), lr=learning_rate),
            "gates": torch.optim.Adam([network.gates], lr=_RATE),
        }
        self.tau = tau
        weight = min(_WEIGHT / tau, _MOST)
        self.state["multiplier"] = torch.full((), weight, device=self.device)
        self.state["excess"] = torch.full((), _EXCESS, device=self.device)
        self.state["closing"] = torch.zeros((), dtype=torch.bool, device=self.device)

    def start_epoch(self) -> None:
        """Forgets the figures of the last epoch."""
        super().start_epoch()
        self.state["error_sum"] = torch.zeros((), device=self.device)

    def step(self, images: Tensor, index: int) -> None:
        """One step on a batch ``(n, c, h, w)`` in [0, 1]; ``index`` counts the steps from 0."""
        probability = self.network.gates.detach().sigmoid()
        super().step(images, index)
        assert self.last is not None, "a step was taken"
        multiplier = self.state["multiplier"].clone()
        self.last = self.last._replace(gates=probability, multiplier=multiplier)
        self.state["error_sum"] += self.last.mse * images.numel()

    def _decode(self, codes: Tensor) -> Tensor:
        self._drawn = codes.detach(), torch.rand_like(codes)
        return self.network.inner.decode(codes * self._gates()[0])

    def _gates(self) -> tuple[Tensor, Tensor]:
        """The two draws of the gates ``(n, d)`` that one uniform number for each makes; both open
        until they may close.
        """
        probability = self.network.gates.detach().sigmoid()
        always = ~self.state["closing"]
        uniform = self._drawn[1]
        return (uniform < probability) | always, (uniform > 1 - probability) | always

    def _balance(self, squared: Tensor) -> None:
        """GECO: the multiplier grows while the error is above tau, and falls below."""
        state = self.state
        most = torch.where(state["closing"], _EXCESS_CLOSING, _EXCESS)
        excess = (_summed(squared).mean() / self.tau - 1).clamp(max=most)
        state["excess"].mul_(_MEMORY).add_(excess, alpha=1 - _MEMORY)
        state["multiplier"].mul_((_PACE * state["excess"]).exp()).clamp_(_LEAST, _MOST)
        state["gamma2"].copy_(1 / (2 * state["multiplier"]))

    @torch.no_grad()
    def _add_gradients(self, images: Tensor, squared: Tensor) -> None:
        state, gates = self.state, self.network.gates
        codes, uniform = self._drawn
        one, other = self._gates()
        # While they are open, and when all are sure, the second pass would be the first.
        if torch.equal(one, other):
            estimate = torch.zeros_like(gates)
        else:
            with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
                decoded = self.network.inner.decode(codes * other).float()
            errors = _summed(squared), _summed((decoded - images).square())
            estimate = state["multiplier"] * arm_gradient(uniform, *errors)
        probability = gates.sigmoid()
        if bool(state["closing"]):
            gates.grad = estimate + _PENALTY * probability * (1 - probability)
        state["closing"] |= state["excess"] < 0

    def figures(self) -> dict[str, float | int]:
        """Those of a VAE; the error summed over the pixels of an image, what weighs it, and how
        many gates are open.
        """
        return {
            **super().figures(),
            "error": float(self.state["error_sum"] / self.state["count"]),
            "multiplier": float(self.state["multiplier"]),
            "open_gates": int(self.network.open.sum()),
        }


def _summed(squared: Tensor) -> Tensor:
    """Squared errors ``(n, c, h, w)`` summed over the pixels of each image ``(n,)``."""
    return squared.detach().flatten(1).sum(1)
