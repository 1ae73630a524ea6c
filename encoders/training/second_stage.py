"""Training the second VAE of a two-stage model on the codes that the first gives images.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders.nets.code_vae import CodeVAE
from latentmap.encoders.training.batches import require_batch, seeded
from latentmap.encoders.training.loop import Length, train_by
from latentmap.encoders.training.on_images import seeded_weights
from latentmap.encoders.training.settings import check_numbers
from latentmap.encoders.training.vae import VAERecipe
from latentmap.encoders.two_stage import Renormalisation, TwoStagePrior
from latentmap.model import Posterior
from latentmap.progress import ProgressLike, reporting

# Codes that the moments of what the second VAE makes are measured on.
_MEASURED = 50_000
_EPOCH = 500  # Steps of which the figures are means.
_LEAST_SPREAD = 1e-6
# Where the balance begins: an error of a tenth of the codes' variance. At all of it, no variable is
# worth its KL divergence, and nothing is learnt for long.
_BEGIN = 0.1
# Streams of random numbers beside those of the loop.
_CODES, _MOMENTS = 2, 3


@dataclass(frozen=True)
class SecondStage:
    """How the second VAE is trained: its ``widths``, and the course. The defaults take a few
    minutes on a processor; published are 3 x 1024 and as many hours.
    """

    widths: tuple[int, ...] = (256, 256)
    steps: int = 4000
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(
            self, positive=("steps", "batch_size", "learning_rate"), not_negative=("seed",)
        )


class _PosteriorBatches:
    """Codes drawn from the posteriors of some images, other ones at every step, standardised."""

    def __init__(
        self, posterior: Posterior, moments: Mapping[str, Tensor], *, size: int, seed: int
    ) -> None:
        require_batch(len(posterior.mean), size)
        self.size, self.per_epoch = size, _EPOCH
        self.identity: Mapping[str, Any] = {"batch_size": size, "images": len(posterior.mean)}
        self._posterior, self._moments, self._seed = posterior, moments, seed

    def batch(self, step: int) -> Tensor:
        """The codes of a step, ``(size, d)``."""
        codes = draw_from(self._posterior, self.size, _generator(self._seed, _CODES, step))
        return _standardised(codes, self._moments)


def draw_from(posterior: Posterior, n: int, generator: torch.Generator) -> Tensor:
    """``n`` codes ``(n, d)`` of the aggregate posterior: of random images, each at a random place
    in its posterior.
    """
    chosen = torch.randint(len(posterior.mean), (n,), generator=generator)
    noise = torch.randn(n, posterior.mean.shape[1], generator=generator)
    return posterior.mean[chosen] + posterior.variance[chosen].sqrt() * noise


def _standardised(codes: Tensor, moments: Mapping[str, Tensor]) -> Tensor:
    return (codes - moments["law_mean"]) / moments["law_spread"]


def train_second_stage(
    posterior: Posterior,
    settings: SecondStage,
    *,
    renormalise: Renormalisation = "law",
    progress: ProgressLike = None,
) -> TwoStagePrior:
    """The prior that a second VAE makes of the posteriors of images, ``(n, d)`` on the CPU; with
    the moments that a renormalisation needs, measured once.

    Raises:
        ModelError: there are fewer images than a batch, the training diverged, or no such
            renormalisation.
    """
    moments = _law(posterior)
    with seeded_weights(settings.seed):
        network = CodeVAE(posterior.mean.shape[1], settings.widths)
    recipe = VAERecipe(network, learning_rate=settings.learning_rate)
    for name in ("mse", "gamma2"):
        recipe.state[name].fill_(_BEGIN)
    batches = _PosteriorBatches(posterior, moments, size=settings.batch_size, seed=settings.seed)
    shown = reporting(progress, "fitting two-stage", "codes seen")
    with TemporaryDirectory() as folder, shown as told:
        figures = train_by(
            recipe,
            batches,
            Length(1, settings.seed, settings.steps, checkpoint_seconds=math.inf),
            folder=Path(folder),
            settings=asdict(settings),
            progress=told,
        )
    generator = _generator(settings.seed, _MOMENTS, 0)
    codes = _standardised(draw_from(posterior, _MEASURED, generator), moments)
    lost = _lost(network, codes, generator)
    untouched = moments | {"mean": moments["law_mean"], "spread": moments["law_spread"]}
    plain = TwoStagePrior(network, settings.widths, untouched, lost=lost, renormalise="none")
    made = plain.plain(_MEASURED, generator).double()
    measured = {
        "mean": made.mean(0).float(),
        "spread": made.std(0).clamp(min=_LEAST_SPREAD).float(),
    }
    return TwoStagePrior(
        network,
        settings.widths,
        moments | measured,
        lost=lost,
        renormalise=renormalise,
        record={**asdict(settings), "widths": list(settings.widths), "figures": figures},
    )


def _law(posterior: Posterior) -> dict[str, Tensor]:
    """The mean of the codes of images, and the root of mean s2 + Var(mu)."""
    mean, variance = posterior.mean.double(), posterior.variance.double()
    spread = (variance.mean(0) + mean.var(0, correction=0)).sqrt()
    return {
        "law_mean": mean.mean(0).float(),
        "law_spread": spread.clamp(min=_LEAST_SPREAD).float(),
    }


@torch.no_grad()
def _lost(network: CodeVAE, codes: Tensor, generator: torch.Generator) -> float:
    """The variance that reconstructions of codes ``(n, d)`` lack, over their mean squared error."""
    mean, log_variance = network.eval().encode(codes)
    noise = torch.randn(mean.shape, generator=generator)
    rebuilt = network.decode(mean + (0.5 * log_variance).exp() * noise)
    missing = codes.double().var(0).mean() - rebuilt.double().var(0).mean()
    return float(missing / (rebuilt - codes).double().square().mean())


def _generator(seed: int, stream: int, index: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(seeded(seed, stream, index).integers(2**63)))
