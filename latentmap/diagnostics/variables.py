"""What the latent variables of a VAE do, and whether it keeps the two laws of variance.

Asperti, "Sparsity in Variational Autoencoders" (arXiv 1812.07238) and "Variance Loss in Variational
Autoencoders" (arXiv 2002.09860). Shapes: ``n`` images, ``d`` latent variables, ``w`` weightings of
blocks, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import units_of
from latentmap.diagnostics.activity import DEFINITIONS, Definition, are_active
from latentmap.diagnostics.blocks import Blocks, blocks_of
from latentmap.diagnostics.sums import Sums, sum_by_blocks
from latentmap.diagnostics.worth import Worth, measure_worth
from latentmap.errors import ImageError
from latentmap.images import ImageSource, OnError
from latentmap.intervals import Estimate, defined, shares
from latentmap.model import Model, Precision
from latentmap.progress import Stage, silent, stage_of
from latentmap.report import Shown, Table

# Of the mean of a variable, by itself: a smaller deviation is that of float32 alone.
_ROUNDING = 16 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Variable:
    """One latent variable over some images.

    ``mean_variance`` is Var, the variance of its posterior mean; ``posterior_variance`` the mean of
    its posterior variance s2; ``law_sum`` their sum, which is 1 where the law of variance holds;
    ``kl`` its mean divergence from the prior; ``gain`` its information gain, see ``Worth``. Of its
    posterior mean ``mean`` is the mean, ``skewness`` m3 / m2^1.5 and ``excess_kurtosis`` m4 / m2^2
    - 3, with the central moments over the images as they are (0 of a normal distribution); NaN
    where it is the same for all images.
    """

    mean_variance: Estimate
    posterior_variance: Estimate
    law_sum: Estimate
    kl: Estimate
    gain: Estimate
    mean: float
    skewness: float
    excess_kurtosis: float

    @property
    def active(self) -> bool:
        """Whether it is active, see ``latentmap.diagnostics.activity``."""
        return bool(are_active(np.array(self.mean_variance.value)))

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        names = ("mean_variance", "posterior_variance", "law_sum", "kl", "gain")
        figures: dict[str, Any] = {"active": self.active}
        for name in names:
            figures |= getattr(self, name).to_json(name)
        for name in ("mean", "skewness", "excess_kurtosis"):
            figures[name] = defined(getattr(self, name))
        return figures


@dataclass(frozen=True, eq=False)
class Diagnosis(Shown):
    """Figures of the VAE ``model`` over ``n`` images of ``n_units`` units (images of one group, and
    copies, are one), with 95 % intervals over these.

    ``mse`` is the error of the reconstruction from the means, or with ``sampled`` from codes drawn
    from the posteriors; ``variance_loss`` = mean Var(x) -
    mean Var(x_hat) over pixels, ``data_variance`` the first of the two; ``loss_ratio`` is the loss
    by the mse. ``loss_excess`` is the loss less the mse, which is 2 mean Cov(x - x_hat, x_hat) -
    ``squared_residual``, the mean over pixels of the square of the mean of x - x_hat: both are 0
    where x_hat is the conditional mean of x, so the excess tells how far the decoder is from that.
    ``kl`` is the sum over the variables. ``worth`` says what the inactive variables are worth;
    ``skipped`` are the ids of images that could not be read.
    """

    model: str
    n: int
    n_units: int
    variables: tuple[Variable, ...]
    mse: Estimate
    variance_loss: Estimate
    loss_ratio: Estimate
    loss_excess: Estimate
    data_variance: float
    squared_residual: float
    kl: Estimate
    worth: Worth
    sampled: bool = False
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        active = f"{self.active} of {len(self.variables)} variables are active"
        return f"<Diagnosis on {self.n} images: {active}, mse {self.mse.value:.5f}>"

    def tables(self) -> list[Table]:
        from latentmap.diagnostics.diagnosis_tables import diagnosis_tables

        return diagnosis_tables(self)

    def values(self, name: str) -> np.ndarray:
        """A figure of all variables by the name of a field of ``Variable``, ``(d,)``."""
        found = [getattr(one, name) for one in self.variables]
        return np.array([one.value if isinstance(one, Estimate) else one for one in found])

    @property
    def active(self) -> int:
        """How many variables are active, see ``latentmap.diagnostics.activity``."""
        return sum(one.active for one in self.variables)

    def active_by(self, definition: Definition) -> int:
        """How many variables are active by another definition."""
        return int(definition.holds(self.values(definition.figure)).sum())

    def undecided_by(self, definition: Definition) -> int | None:
        """On how many variables these images do not decide: the threshold lies in the interval of
        their figure; None of one unit, which has no intervals.
        """
        if self.n_units < 2:
            return None
        found = [getattr(one, definition.figure) for one in self.variables]
        return sum(bool(one.low <= definition.threshold <= one.high) for one in found)

    @property
    def law_deviation(self) -> np.ndarray:
        """``|mean s2 + Var - 1|`` of every variable; near 0 on the images that a VAE was
        normalised on, and on others of their kind.
        """
        return np.asarray(np.abs(self.values("law_sum") - 1))

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        return {
            "n": self.n,
            "n_units": self.n_units,
            "skipped": list(self.skipped),
            "sampled": self.sampled,
            **self.mse.to_json("mse"),
            **self.variance_loss.to_json("variance_loss"),
            **self.loss_ratio.to_json("loss_ratio"),
            **self.loss_excess.to_json("loss_excess"),
            "data_variance": self.data_variance,
            "squared_residual": self.squared_residual,
            "active_variables": self.active,
            "definitions": [
                {
                    "definition": one.name,
                    "figure": one.figure,
                    "threshold": one.threshold,
                    "source": one.source,
                    "active": self.active_by(one),
                    "undecided": self.undecided_by(one),
                }
                for one in DEFINITIONS
            ],
            "law_deviation_mean": float(self.law_deviation.mean()),
            "law_deviation_max": float(self.law_deviation.max()),
            **self.kl.to_json("kl"),
            "gain_images": self.worth.gain_images,
            "without_inactive": self.worth.to_json(),
            "variables": [one.to_json() for one in self.variables],
        }


def diagnose(
    model: Model,
    images: ImageSource,
    *,
    gain_images: int | None = None,
    sampled: bool = False,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    seed: int = 0,
    stage: Stage = silent,
    progress: bool = False,
) -> Diagnosis:
    """The figures of a VAE over all of some images; sums in float64.

    ``gain_images`` is on how many random ones information gains are measured, see ``Worth``. mse
    and variance loss are those of the means, or, ``sampled``, of codes drawn from the posteriors,
    which are what the decoder was trained on: it is of these that both are equal.
    ``precision`` is the arithmetic of the encoder, ``batch_size`` chosen where it is None. Memory
    does not grow with the number of images, see ``latentmap.diagnostics.blocks``.

    The divergence of a posterior whose variance underflowed is finite, see ``log_of_variance``.
    ``progress=True`` shows how far it is.

    Raises:
        ModelError: the model has no posterior.
        ImageError: an image cannot be read, and ``on_error`` is ``stop`` or none can; or there is
            only one.
    """
    stage = stage_of(progress, stage)
    model.require_posterior()
    _require_two(len(images))
    with stage("reading images") as told:
        images.examine(told)
    units = units_of(images.digests, images.groups)
    blocks = blocks_of(units, pixels=int(np.prod(model.image_shape)), seed=seed)
    with stage(f"measuring {model.name}") as told:
        sums = sum_by_blocks(
            model,
            images,
            blocks,
            sampled=np.random.default_rng((seed, 1)) if sampled else None,
            precision=precision,
            batch_size=batch_size,
            on_error=on_error,
            progress=told,
        )
    readable = _readable(images, sums.skipped)
    weighted = Blocks(sums.sizes, seed=seed)
    center = sums.shift + weighted.means(sums.powers[0])[0]
    variance = _variances(weighted, sums)
    with stage(f"measuring gains of {model.name}", "decodes") as told:
        worth = measure_worth(
            model,
            images.subset(readable),
            units[readable],
            center=center,
            inactive=~are_active(variance[0]),
            gain_images=gain_images,
            precision=precision,
            seed=seed,
            progress=told,
        )
    return Diagnosis(
        model=model.name,
        n=len(readable),
        n_units=len(np.unique(units[readable])),
        variables=_variables(weighted, sums, variance, center, worth),
        kl=weighted.estimate(weighted.means(sums.kl).sum(1)),
        worth=worth,
        sampled=sampled,
        skipped=tuple(map(str, images.ids[sums.skipped])),
        **_losses(weighted, sums),
    )


def _readable(images: ImageSource, skipped: np.ndarray) -> np.ndarray:
    """The positions of the images but for those ``skipped``, of which two are needed."""
    readable = np.setdiff1d(np.arange(len(images)), skipped)
    if not len(readable):
        raise ImageError(
            f"none of the {len(images)} images of {images.path} can be read ({images.ids[0]} is "
            "the first): repair them, or give others"
        )
    _require_two(len(readable))
    return readable


def _variances(weighted: Blocks, sums: Sums) -> np.ndarray:
    """Var of every posterior mean, ``(w, d)``."""
    first, second = weighted.means(sums.powers[0]), weighted.means(sums.powers[1])
    return np.asarray(np.maximum(second - first**2, 0))


def _variables(
    weighted: Blocks, sums: Sums, variance: np.ndarray, center: np.ndarray, worth: Worth
) -> tuple[Variable, ...]:
    s2 = weighted.means(sums.posterior_variance)
    skewness, kurtosis = _shape(weighted, sums, center)
    return tuple(
        Variable(*figures)
        for figures in zip(
            weighted.estimates(variance),
            weighted.estimates(s2),
            weighted.estimates(s2 + variance),
            weighted.estimates(weighted.means(sums.kl)),
            worth.gain,
            center.tolist(),
            skewness.tolist(),
            kurtosis.tolist(),
            strict=True,
        )
    )


def _shape(weighted: Blocks, sums: Sums, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skewness and excess kurtosis of every posterior mean, ``(d,)``, from the moments of t."""
    m1, m2, m3, m4 = (weighted.means(power)[0] for power in sums.powers)
    variance = np.maximum(m2 - m1**2, 0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    varies = np.sqrt(variance) > _ROUNDING * np.abs(center)
    scale = np.where(varies, variance, np.nan)
    return third / scale**1.5, fourth / scale**2 - 3


def _losses(weighted: Blocks, sums: Sums) -> dict[str, Any]:
    """The mse, the variance loss and how they are to each other, by the names of ``Diagnosis``."""
    mse = weighted.means(sums.errors[:, None])[:, 0]
    data, shown = (
        weighted.means(squares[:, None])[:, 0] - weighted.squared_means(pixels)
        for squares, pixels in zip(sums.squares, sums.pixels, strict=True)
    )
    loss = data - shown
    return {
        "mse": weighted.estimate(mse),
        "variance_loss": weighted.estimate(loss),
        "loss_ratio": weighted.estimate(shares(loss, mse)),
        "loss_excess": weighted.estimate(loss - mse),
        "data_variance": float(data[0]),
        "squared_residual": float(weighted.squared_means(sums.pixels[0] - sums.pixels[1])[0]),
    }


def _require_two(n: int) -> None:
    if n < 2:
        raise ImageError(
            f"what variables do is told by how they vary, which needs at least 2 images, not {n}: "
            "give more images"
        )
