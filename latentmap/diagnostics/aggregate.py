"""The aggregate posterior of a VAE: the mixture of its posteriors over some images, by its moments,
and how far it is from the prior that the VAE samples from.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.diagnostics.divergence import kl_divergence, log_of_variance
from latentmap.errors import ImageError
from latentmap.model import Model


@dataclass(frozen=True, eq=False)
class Aggregate:
    """Moments of the aggregate posterior over ``n`` images: ``mean`` (d,), ``covariance`` (d, d),
    which is Cov(mu) + diag(mean s2); ``kl`` is the mean divergence of a posterior from the prior.
    """

    n: int
    mean: Tensor
    covariance: Tensor
    kl: float

    @property
    def variance(self) -> Tensor:
        """mean s2 + Var(mu) of every variable ``(d,)``; 1 where the law of variance holds."""
        return self.covariance.diagonal()

    @property
    def law_deviation(self) -> Tensor:
        """``|mean s2 + Var - 1|`` of every variable."""
        return (self.variance - 1).abs()

    @property
    def divergence(self) -> float:
        """KL(N(mean, covariance) || N(0, 1)) in nats. That of the aggregate posterior itself is
        this and its negentropy, so at least as large.
        """
        spread = torch.linalg.eigvalsh(self.covariance)
        return _divergence(self.mean, spread)

    @property
    def removable(self) -> float:
        """Of the divergence what a shift and a scale of every variable remove: (m^2 + V - 1 - log
        V) / 2, summed. By as much they lower ``kl``, and no others lower it by more.
        """
        return _divergence(self.mean, self.variance)

    def to_json(self) -> dict[str, float | int]:
        """The figures, ready for ``json.dumps``."""
        deviation = self.law_deviation
        return {
            "n": self.n,
            "kl": self.kl,
            "law_deviation_mean": float(deviation.mean()),
            "law_deviation_max": float(deviation.max()),
            "mean_max": float(self.mean.abs().max()),
            "divergence": self.divergence,
            "removable": self.removable,
        }


def aggregate_posterior(model: Model, batches: Iterable[Tensor]) -> Aggregate:
    """The moments over all images of ``batches``, each ``(k, c, h, w)`` in [0, 1]; sums in float64.

    Raises:
        ModelError: the model has no posterior.
        ImageError: there is no image.
    """
    d, n = model.latent_dim, 0
    sums = torch.zeros(3, d, dtype=torch.float64)
    products = torch.zeros(d, d, dtype=torch.float64)
    for images in batches:
        posterior = model.posterior(images)
        mean, variance = posterior.mean.cpu().double(), posterior.variance.cpu().double()
        kl = kl_divergence(mean, variance, log_of_variance(variance))
        sums += torch.stack([part.sum(0) for part in (mean, variance, kl)])
        products += mean.T @ mean
        n += len(images)
    if not n:
        raise ImageError(f"the codes of {model.name} have moments over images: give at least one")
    mean, posterior_variance, kl = sums / n
    covariance = products / n - torch.outer(mean, mean) + posterior_variance.diag()
    return Aggregate(n, mean, covariance, float(kl.sum()))


def _divergence(mean: Tensor, spread: Tensor) -> float:
    """Of a normal distribution with these eigenvalues, or variances, from the standard one."""
    return float(kl_divergence(mean, spread, log_of_variance(spread)).sum())
