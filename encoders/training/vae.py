"""The recipe of VAEs: reconstruction balanced against the KL divergence.

Loss of a batch: sum of squared errors / (2 gamma^2) + beta * KL, a mean over its images, where
gamma^2 follows the mean squared error per pixel down (Asperti & Trentin, "Balancing reconstruction
error and Kullback-Leibler divergence in variational autoencoders", 2020): mse <- 0.99 mse + 0.01
batch mse;  gamma^2 <- min(gamma^2, mse).

Asperti, "About the Kullback-Leibler divergence in Variational Autoencoders" (2018), asks what the
parts of this objective do by leaving them out: ``Penalty`` and ``sampling``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from latentmap.diagnostics import are_active, kl_divergence
from latentmap.encoders.nets.gaussian import GaussianNetwork

_MEMORY = 0.99
# Batch norm's own momentum is for long trainings: until then its averages cover about the last
# tenth of the steps, where initial values would weigh on for thousands.
_NORM_SHARE = 10


# What is asked of a posterior: the whole divergence; of it the part mean^2 / 2 alone; or nothing.
Penalty = Literal["full", "quadratic", "none"]


class Step(NamedTuple):
    """What a step saw: the posteriors of its batch, mean and log-variance ``(n, d)``, and of it the
    loss and the mse, which are scalars. With gates, ``gates`` ``(d,)`` are the probabilities that
    they are open, and ``multiplier`` is what weighs the error.
    """

    mean: Tensor
    log_variance: Tensor
    loss: Tensor
    mse: Tensor
    gates: Tensor | None = None
    multiplier: Tensor | None = None


class VAERecipe:
    """One optimisation step of a VAE, and the figures of an epoch.

    ``beta`` weighs the ``penalty``; ``gamma`` fixes the balance instead of following the error.
    Without ``sampling`` the codes are the means of the posteriors. ``last`` is what the last step
    saw.
    """

    def __init__(
        self,
        network: GaussianNetwork,
        *,
        learning_rate: float = 1e-4,
        beta: float = 1.0,
        gamma: float | None = None,
        sampling: bool = True,
        penalty: Penalty = "full",
        autocast: torch.dtype | None = None,
    ) -> None:
        self.network = network
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.Adam(network.parameters(), lr=learning_rate)
        }
        self.beta = beta
        self.follows = gamma is None
        self.sampling, self.penalty = sampling, penalty
        self.last: Step | None = None
        self.autocast = autocast
        self.norms = [
            (module, module.momentum)
            for module in network.modules()
            if isinstance(module, nn.BatchNorm2d) and module.momentum is not None
        ]
        self.device = next(network.parameters()).device
        gamma2 = 1.0 if gamma is None else gamma**2
        # Everything that a step changes besides the network and its optimizer; tensors, so that a
        # GPU need not wait.
        self.state: dict[str, Tensor] = {
            "mse": torch.ones((), device=self.device),
            "gamma2": torch.full((), gamma2, device=self.device),
        }
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets the figures of the last epoch."""
        for name in ("count", "loss_sum", "mse_sum", "kl_sum"):
            self.state[name] = torch.zeros((), device=self.device)
        for name in ("mean_sum", "mean_square_sum"):
            self.state[name] = torch.zeros(0, device=self.device, dtype=torch.float64)

    def step(self, images: Tensor, index: int) -> None:
        """One step on a batch ``(n, c, h, w)`` in [0, 1]; ``index`` counts the steps from 0."""
        for norm, momentum in self.norms:
            norm.momentum = max(momentum, _NORM_SHARE / (_NORM_SHARE + index))
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            mean, log_variance = self.network.encode(images)
            mean, log_variance = mean.float(), log_variance.float()
            codes = mean
            if self.sampling:
                codes = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            decoded = self._decode(codes).float()
        squared = (decoded - images).square()
        kl = kl_divergence(mean, log_variance.exp(), log_variance).sum(1).mean()
        penalty = kl if self.penalty == "full" else 0.5 * mean.square().sum(1).mean()
        state = self.state
        with torch.no_grad():
            mse = squared.mean()
            self._balance(squared)
        loss = squared.flatten(1).sum(1).mean() / (2 * state["gamma2"])
        if self.penalty != "none":
            loss = loss + self.beta * penalty
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._add_gradients(images, squared)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.last = Step(mean.detach(), log_variance.detach(), loss.detach(), mse)
        with torch.no_grad():
            n = len(images)
            state["count"] += n
            state["loss_sum"] += n * loss
            state["mse_sum"] += n * mse
            state["kl_sum"] += n * kl
            wide = mean.double()
            for name, total in (
                ("mean_sum", wide.sum(0)),
                ("mean_square_sum", wide.square().sum(0)),
            ):
                state[name] = state[name] + total if len(state[name]) else total

    def measure(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """What a trace has of this recipe alone after an epoch, measured on some batches of images
        ``(n, c, h, w)``: nothing.
        """
        return {}

    def _decode(self, codes: Tensor) -> Tensor:
        """The images that a step compares with its own, of its codes ``(n, d)``."""
        return self.network.decode(codes)

    def _balance(self, squared: Tensor) -> None:
        """Sets gamma^2 for a step with these squared errors ``(n, c, h, w)``."""
        if self.follows:
            self.state["mse"].mul_(_MEMORY).add_(squared.mean(), alpha=1 - _MEMORY)
            self.state["gamma2"].copy_(torch.minimum(self.state["gamma2"], self.state["mse"]))

    def _add_gradients(self, images: Tensor, squared: Tensor) -> None:
        """Adds what the loss of a step does not give; here nothing."""

    def diverged(self) -> bool:
        """Whether the loss of this epoch is no number any more."""
        return not bool(torch.isfinite(self.state["loss_sum"]))

    def figures(self) -> dict[str, float | int]:
        """Means of this epoch: loss, mse per pixel, KL per image; gamma; active variables."""
        state = self.state
        count = state["count"]
        variance = state["mean_square_sum"] / count - (state["mean_sum"] / count).square()
        return {
            "loss": float(state["loss_sum"] / count),
            "mse": float(state["mse_sum"] / count),
            "kl": float(state["kl_sum"] / count),
            "gamma": float(state["gamma2"].sqrt()),
            "active_variables": int(are_active(variance.cpu().numpy()).sum()),
        }
