"""What the channels of codes do: their means, deviations and correlations, and the scale and shift
by which a network that makes codes is given them.

A diffusion model is trained on ``(code - shift_factor) * scaling_factor``, or on ``(code -
latents_mean) / latents_std`` with numbers for each channel, so that what it sees has mean 0 and
deviation 1. Shapes: ``n`` images, ``p`` positions, ``c`` channels (``latentmap.codes.channels``),
``w`` weightings of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import units_of
from latentmap.codes.channels import channels_of
from latentmap.diagnostics.blocks import Blocks, blocks_of
from latentmap.diagnostics.channel_covariance import ROUNDING, Covariance, covariance_of
from latentmap.diagnostics.channel_sums import MOST_CHANNELS, ChannelSums, sum_channels
from latentmap.errors import ImageError
from latentmap.images import ImageSource, OnError
from latentmap.intervals import Estimate, defined, shares
from latentmap.model import Model, Precision
from latentmap.progress import Stage, silent, stage_of
from latentmap.report import Shown, Table

_DIGITS = 6  # Of what is pasted into a configuration.


@dataclass(frozen=True)
class Channel:
    """One channel over some images and all positions.

    ``mean`` and ``std`` are of its codes. ``noise`` is the root of its mean posterior variance and
    ``kl`` its mean divergence from the prior, in nats a position; None without a posterior.
    """

    mean: Estimate
    std: Estimate
    noise: Estimate | None = None
    kl: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``; what there is none of is left out."""
        figures: dict[str, Any] = {}
        for name in ("mean", "std", "noise", "kl"):
            one = getattr(self, name)
            if one is not None:
                figures |= one.to_json(name)
        return figures


@dataclass(frozen=True, eq=False)
class ChannelDiagnosis(Shown):
    """Figures of the codes of ``model``, of ``shape``, over ``n`` images of ``n_units`` units
    (images of one group, and copies, are one), with 95 % intervals over these: positions of one
    image are no images.

    ``mean`` and ``std`` are over all numbers of all codes; ``scaling_factor`` is 1 / ``std``,
    ``shift_factor`` is ``mean``. ``kl`` is the divergence of all numbers of an image from the
    prior, None without a posterior; ``mse`` the error of the reconstruction, None without a
    decoder; ``covariance`` how channels vary together, None of more than ``MOST_CHANNELS``.
    With ``sampled`` all but the means is of codes drawn from the posteriors, whose variance is
    known without drawing them, and otherwise of the posterior means. ``latent_scaling`` is that of
    the model, which is in its codes. ``skipped`` are the ids of images that could not be read.
    """

    model: str
    shape: tuple[int, ...]
    n: int
    n_units: int
    channels: tuple[Channel, ...]
    mean: Estimate
    std: Estimate
    scaling_factor: Estimate
    kl: Estimate | None
    mse: Estimate | None
    covariance: Covariance | None
    sampled: bool = False
    latent_scaling: tuple[Sequence[float], Sequence[float]] | None = None
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"<ChannelDiagnosis of {shape} on {self.n} images: std {self.std.value:.4g}>"

    def tables(self) -> list[Table]:
        from latentmap.diagnostics.channel_tables import channel_tables

        return channel_tables(self)

    @property
    def shift_factor(self) -> Estimate:
        """What is taken from a code before it is scaled by ``scaling_factor``."""
        return self.mean

    def config(self, *, by_channel: bool = False) -> dict[str, Any]:
        """What a file of diffusers (``config.json``) says of it: one scale and shift, or
        ``by_channel`` a mean and a deviation of each. Some pipelines use both, so the other is
        given as nothing.

        It is of what the network itself gives: what the model's ``latent_scaling`` did is undone.
        """
        means, stds = (
            np.array([getattr(one, name).value for one in self.channels])
            for name in ("mean", "std")
        )
        if self.latent_scaling is not None:
            shift, scale = (np.array(numbers) for numbers in self.latent_scaling)
            means, stds = means * scale + shift, stds * scale
        if by_channel:
            return {
                "scaling_factor": 1.0,
                "shift_factor": None,
                "latents_mean": [_rounded(one) for one in means],
                "latents_std": [_rounded(one) for one in stds],
            }
        std = float(_overall(means, np.square(stds)))
        return {
            "scaling_factor": _rounded(1 / std if std > 0 else math.nan),
            "shift_factor": _rounded(means.mean()),
            "latents_mean": None,
            "latents_std": None,
        }

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``; those that there are none of are left out."""
        return {
            "n": self.n,
            "n_units": self.n_units,
            "skipped": list(self.skipped),
            "sampled": self.sampled,
            "shape": list(self.shape),
            **self.mean.to_json("mean"),
            **self.std.to_json("std"),
            **self.scaling_factor.to_json("scaling_factor"),
            **self.shift_factor.to_json("shift_factor"),
            **({} if self.kl is None else self.kl.to_json("kl")),
            **({} if self.mse is None else self.mse.to_json("mse")),
            "latent_scaling": _as_json(self.latent_scaling),
            "config": self.config(),
            "config_by_channel": self.config(by_channel=True),
            "channels": [one.to_json() for one in self.channels],
            **({} if self.covariance is None else self.covariance.to_json()),
        }


def diagnose_channels(
    model: Model,
    images: ImageSource,
    *,
    sampled: bool = False,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    seed: int = 0,
    stage: Stage = silent,
    progress: bool = False,
) -> ChannelDiagnosis:
    """The figures of the channels of any model that encodes, over all of some images; sums in
    float64.

    ``sampled`` is of codes drawn from the posteriors, as most diffusion models are trained on.
    ``precision`` is the arithmetic of the encoder, ``batch_size`` chosen where it is None. Memory
    does not grow with the number of images, see ``latentmap.diagnostics.blocks``. ``progress=True``
    shows how far it is.

    Raises:
        ModelError: the model has no encoder, or is ``sampled`` without a posterior.
        ImageError: an image cannot be read, and ``on_error`` is ``stop`` or none can; or there is
            only one.
    """
    stage = stage_of(progress, stage)
    model.require_encoder()
    if sampled:
        model.require_posterior()
    _require_two(len(images))
    with stage("reading images") as told:
        images.examine(told)
    units = units_of(images.digests, images.groups)
    c, positions = channels_of(model.latent_shape)
    blocks = blocks_of(units, pixels=min(c, MOST_CHANNELS) ** 2, seed=seed)
    with stage(f"measuring {model.name}") as told:
        sums = sum_channels(
            model,
            images,
            blocks,
            sampled=np.random.default_rng((seed, 1)) if sampled else None,
            precision=precision,
            batch_size=batch_size,
            on_error=on_error,
            progress=told,
        )
    readable = np.setdiff1d(np.arange(len(images)), sums.skipped)
    _require_two(len(readable))
    return ChannelDiagnosis(
        model=model.name,
        shape=model.latent_shape,
        n=len(readable),
        n_units=len(np.unique(units[readable])),
        sampled=sampled,
        latent_scaling=model.latent_scaling,
        skipped=tuple(map(str, images.ids[sums.skipped])),
        **_figures(sums, c * positions, sampled=sampled, seed=seed),
    )


def _figures(sums: ChannelSums, d: int, *, sampled: bool, seed: int) -> dict[str, Any]:
    """The figures of codes of ``d`` numbers, by the names of ``ChannelDiagnosis``."""
    weighted = Blocks(sums.sizes, seed=seed)
    away = weighted.means(sums.totals)
    center = sums.shift + away[0]
    noise = None if sums.noise is None else weighted.means(sums.noise)
    variance = np.maximum(weighted.means(sums.squares) - away**2, 0)
    # Of codes that are all equal rounding is left, which is no scale.
    variance[:, variance[0] <= ROUNDING * center**2] = 0
    if sampled and noise is not None:
        variance = variance + noise
    means = sums.shift + away
    std = _overall(means, variance)
    kl = None if sums.kl is None else weighted.means(sums.kl)
    return {
        "channels": _channels(weighted, means, variance, noise, kl),
        "mean": weighted.estimate(means.mean(1)),
        "std": weighted.estimate(std),
        "scaling_factor": weighted.estimate(shares(np.ones_like(std), std)),
        "kl": None if kl is None else weighted.estimate(d * kl.mean(1)),
        "mse": None
        if sums.errors is None
        else weighted.estimate(weighted.means(sums.errors[:, None])[:, 0]),
        "covariance": _covariance(weighted, sums, center, sampled=sampled),
    }


def _overall(means: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The deviation of all numbers, from means and variances of channels ``(..., c)``."""
    found = variance.mean(-1) + means.var(-1)
    return np.sqrt(np.where(found > ROUNDING * np.square(means).mean(-1), found, 0))


def _channels(
    weighted: Blocks,
    means: np.ndarray,
    variance: np.ndarray,
    noise: np.ndarray | None,
    kl: np.ndarray | None,
) -> tuple[Channel, ...]:
    """The channels, from what each has in every weighting, ``(w, c)``."""
    figures: list[tuple[Estimate | None, ...]] = [
        weighted.estimates(means),
        weighted.estimates(np.sqrt(variance)),
    ]
    nothing = (None,) * means.shape[1]
    figures.append(nothing if noise is None else weighted.estimates(np.sqrt(noise)))
    figures.append(nothing if kl is None else weighted.estimates(kl))
    found: Any = zip(*figures, strict=True)
    return tuple(Channel(*one) for one in found)


def _covariance(
    weighted: Blocks, sums: ChannelSums, center: np.ndarray, *, sampled: bool
) -> Covariance | None:
    if sums.products is None:
        return None
    products = sums.products
    if sampled and sums.noise is not None:
        products = products + sums.noise[:, :, None] * np.eye(products.shape[1])
    return covariance_of(weighted, sums.sizes, sums.totals, products, center)


def _rounded(number: float) -> float | None:
    known = defined(number)
    return None if known is None else float(f"{known:.{_DIGITS}g}")


def _as_json(scaling: tuple[Sequence[float], Sequence[float]] | None) -> Any:
    return None if scaling is None else {"mean": list(scaling[0]), "std": list(scaling[1])}


def _require_two(n: int) -> None:
    if n < 2:
        raise ImageError(
            f"what channels do is told by how images differ, which needs at least 2 images that "
            f"can be read, not {n}: give more images"
        )
