"""The prior of a two-stage VAE: a second VAE, which samples the codes of the first (Dai & Wipf,
ICLR 2019), and what is done to the variance that it loses.

A VAE makes the mean of what it cannot tell apart, so the codes of the second one vary too little.
Asperti, "Variance Loss in Variational Autoencoders" (arXiv 2002.09860), brings them back to the
moments that the variance law expects. Shapes: ``n`` codes, ``d`` latent variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from latentmap.encoders.building import build_network
from latentmap.encoders.nets.code_vae import CodeVAE
from latentmap.errors import ModelError
from latentmap.model import Prior

Renormalisation = Literal["law", "as-published", "none"]
RENORMALISATIONS: tuple[Renormalisation, ...] = get_args(Renormalisation)

_WORDS = {
    "law": "renormalised to the law of variance",
    "as-published": "renormalised as published",
    "none": "not renormalised",
}
# As published: codes that are made together, and the share of the error from which on they are
# scaled at all.
_BATCH = 100
_LOST = 0.25
_MOMENTS = ("law_mean", "law_spread", "mean", "spread")
_NETWORK = "network."


class TwoStagePrior(Prior):
    """Codes that a second VAE makes of normal noise.

    ``moments`` are four vectors ``(d,)``: ``law_mean`` and ``law_spread`` of the codes of images,
    the root of mean s2 + Var(mu), by which the network's codes are standardised; ``mean`` and
    ``spread`` of the codes that it makes, in the first VAE's units. ``lost`` is the variance that
    these lack, over the mean squared error of the second VAE.

    The renormalisation ``law`` brings every variable to the mean and the spread of the law.
    ``as-published`` multiplies each 100 codes by one number, the root of the mean of the law's
    variances over the mean of their spreads, without moving them, and only where ``lost`` is above
    0.25. ``none`` leaves the codes as they are.
    """

    kind = "two-stage"

    def __init__(
        self,
        network: CodeVAE,
        widths: tuple[int, ...],
        moments: Mapping[str, Tensor],
        *,
        lost: float,
        renormalise: Renormalisation = "law",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        if renormalise not in RENORMALISATIONS:
            names = ", ".join(RENORMALISATIONS)
            raise ModelError(f"codes are renormalised by one of {names}, not {renormalise!r}")
        self.network = network.cpu().eval().requires_grad_(False)
        self.widths, self.moments, self.lost = widths, dict(moments), lost
        self.renormalise = renormalise
        self.record = dict(record or {})
        for name in _MOMENTS:
            part = moments[name]
            if part.shape != (network.latent_dim,) or part.dtype != torch.float32:
                raise ModelError(f"{name} of a prior is float32, a number for each variable")
            if not part.isfinite().all() or ("spread" in name and not (part > 0).all()):
                raise ModelError(f"{name} of a prior is finite, a spread above 0")
        self.mean = moments["law_mean" if renormalise == "law" else "mean"]

    def __str__(self) -> str:
        return f"a second VAE, {_WORDS[self.renormalise]}"

    @property
    def config(self) -> dict[str, Any]:
        """Widths, renormalisation and ``lost``."""
        return {"widths": list(self.widths), "renormalise": self.renormalise, "lost": self.lost}

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` codes ``(n, d)``."""
        whole = -(-n // _BATCH) * _BATCH if self._scales else n
        codes = self.plain(whole, generator)
        moments = self.moments
        if self.renormalise == "law":
            away = (codes - moments["mean"]) / moments["spread"]
            codes = moments["law_mean"] + moments["law_spread"] * away
        elif self._scales:
            batches = codes.unflatten(0, (-1, _BATCH))
            wanted = moments["law_spread"].square().mean().sqrt()
            codes = (batches * (wanted / batches.std(1).mean(1))[:, None, None]).flatten(0, 1)
        return codes[:n]

    @property
    def _scales(self) -> bool:
        return self.renormalise == "as-published" and self.lost > _LOST

    def plain(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` codes ``(n, d)`` as the second VAE makes them."""
        noise = torch.randn(n, self.latent_dim, generator=generator)
        moments = self.moments
        return moments["law_mean"] + moments["law_spread"] * self.network.decode(noise)

    def to_tensors(self) -> dict[str, Tensor]:
        """The weights, and the moments."""
        weights = {_NETWORK + name: part for name, part in self.network.state_dict().items()}
        return weights | {name: self.moments[name] for name in _MOMENTS}

    @classmethod
    def from_tensors(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], record: Mapping[str, Any]
    ) -> TwoStagePrior:
        """The prior that ``to_tensors`` and ``config`` describe.

        Raises:
            ModelError: there is none.
        """
        weights = {
            name.removeprefix(_NETWORK): part
            for name, part in tensors.items()
            if name.startswith(_NETWORK)
        }
        d, widths = len(tensors["mean"]), tuple(config["widths"])
        network = build_network(cls.kind, lambda: CodeVAE(d, widths), weights)
        if any(not part.isfinite().all() for part in weights.values()):
            raise ModelError("the weights of a prior are finite")
        return cls(
            network,
            widths,
            {name: tensors[name] for name in _MOMENTS},
            lost=float(config["lost"]),
            renormalise=config["renormalise"],
            record=record,
        )
