"""Which latent variables of a VAE are active, and whether it keeps the two laws of variance.

Asperti, "Sparsity in Variational Autoencoders" (arXiv 1812.07238) and "Variance Loss in Variational
Autoencoders" (2020). Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0,
1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.diagnostics.activity import are_active
from latentmap.diagnostics.divergence import kl_divergence, log_of_variance
from latentmap.errors import ImageError
from latentmap.images import ImageSource, OnError
from latentmap.model import Model, Precision
from latentmap.progress import Progress
from latentmap.report import Cell, Column, Row, Shown, Table

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Diagnosis(Shown):
    """Figures of a VAE over some images.

    ``mean_variance`` is Var over the data of each posterior mean, ``posterior_variance`` the mean
    over the data of each posterior variance s2, ``kl`` the mean divergence of each variable, all
    ``(d,)``. ``mse`` is the error of the reconstruction from the means, ``variance_loss`` = mean
    Var(x) - mean Var(x_hat) over pixels. ``n`` images were read; ``skipped`` are the ids of those
    that could not be.
    """

    n: int
    mse: float
    variance_loss: float
    mean_variance: Tensor
    posterior_variance: Tensor
    kl: Tensor
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        active = f"{self.active} of {len(self.kl)} variables are active"
        return f"<Diagnosis on {self.n} images: {active}, mse {self.mse:.5f}>"

    def tables(self) -> list[Table]:
        parts = (self.mean_variance, self.posterior_variance, self.kl)
        columns = [
            Column("variable"),
            Column("Var mean", "variance of the posterior means", decimals=4),
            Column("mean s2", "mean of the posterior variances", decimals=4),
            Column("KL", "divergence from the prior", decimals=4),
        ]
        rows = [
            Row([number, *values])
            for number, values in enumerate(zip(*(part.tolist() for part in parts), strict=True))
        ]
        deviation = self.law_deviation
        cells: dict[str | Column, Cell] = {
            "images": self.n,
            "active variables": f"{self.active} of {len(self.kl)}",
            Column("|mean s2 + Var - 1|", decimals=4): float(deviation.mean()),
            Column("largest of these", decimals=4): float(deviation.max()),
            Column("mse", decimals=5): self.mse,
            Column("variance loss", decimals=5): self.variance_loss,
            Column("KL", decimals=3): float(self.kl.sum()),
        }
        return [Table("Variables", columns, rows), Table.of_one("All variables", cells)]

    @property
    def active(self) -> int:
        """How many variables are active, see ``latentmap.diagnostics.activity``."""
        return int(are_active(self.mean_variance.numpy()).sum())

    @property
    def law_deviation(self) -> Tensor:
        """``|mean s2 + Var - 1|`` of every variable; near 0 on the images that a VAE was
        normalised on, and on others of their kind.
        """
        return (self.posterior_variance + self.mean_variance - 1).abs()

    def to_json(self) -> dict[str, object]:
        """All figures, ready for ``json.dumps``."""
        return {
            "n": self.n,
            "skipped": list(self.skipped),
            "mse": self.mse,
            "variance_loss": self.variance_loss,
            "active_variables": self.active,
            "law_deviation_mean": float(self.law_deviation.mean()),
            "law_deviation_max": float(self.law_deviation.max()),
            "kl": float(self.kl.sum()),
            "variables": [
                {"mean_variance": a, "posterior_variance": b, "kl": c}
                for a, b, c in zip(
                    self.mean_variance.tolist(),
                    self.posterior_variance.tolist(),
                    self.kl.tolist(),
                    strict=True,
                )
            ],
        }


def diagnose(
    model: Model,
    images: ImageSource,
    *,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> Diagnosis:
    """The figures of a VAE over all of some images; sums in float64.

    ``precision`` is the arithmetic of the encoder, ``batch_size`` chosen where it is None.

    The divergence of a posterior whose variance underflowed is finite, see ``log_of_variance``.

    Raises:
        ModelError: the model has no posterior.
        ImageError: an image cannot be read, and ``on_error`` is ``stop`` or none can; or there is
            only one.
    """
    _require_two(len(images))
    latent = torch.zeros(4, model.latent_dim, dtype=torch.float64)
    pixels = torch.zeros(4, *model.image_shape, dtype=torch.float64)
    squared = 0.0
    skipped: list[str] = []
    for batch in images.batches([model.view], batch_size=batch_size or _BATCH, on_error=on_error):
        skipped += [str(images.ids[position]) for position, _ in batch.failed]
        if progress is not None:
            progress(batch.stop, len(images))
        if not len(batch.positions):
            continue
        x = batch.floats(0)
        posterior = model.posterior(x, precision=precision)
        decoded = model.decode(posterior.mean).cpu().double()
        x = x.double()
        mean, variance = posterior.mean.cpu().double(), posterior.variance.cpu().double()
        kl = kl_divergence(mean, variance, log_of_variance(variance))
        latent += torch.stack([part.sum(0) for part in (mean, mean.square(), variance, kl)])
        pixels += torch.stack([part.sum(0) for part in (x, x.square(), decoded, decoded.square())])
        squared += float((x - decoded).square().sum())
    n = len(images) - len(skipped)
    if not n:
        raise ImageError(
            f"none of the {len(images)} images of {images.path} can be read ({skipped[0]} is the "
            "first): repair them, or give others"
        )
    _require_two(n)
    latent, pixels = latent / n, pixels / n
    data_variance = pixels[1] - pixels[0].square()
    decoded_variance = pixels[3] - pixels[2].square()
    return Diagnosis(
        n=n,
        mse=squared / n / data_variance.numel(),
        variance_loss=float(data_variance.mean() - decoded_variance.mean()),
        mean_variance=latent[1] - latent[0].square(),
        posterior_variance=latent[2],
        kl=latent[3],
        skipped=tuple(skipped),
    )


def _require_two(n: int) -> None:
    if n < 2:
        raise ImageError(
            f"what variables do is told by how they vary, which needs at least 2 images, not {n}: "
            "give more images"
        )
