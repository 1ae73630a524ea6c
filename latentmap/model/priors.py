"""Priors: what a model draws its codes from, in place of the standard normal distribution.

They are drawn from on the CPU, so that one seed gives the same codes whatever device the model is
on. Shapes: ``n`` codes, ``d`` latent variables, ``k`` components.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.progress import ProgressLike, reporting

# Rounds of EM at most, how many between two looks at it, and the gain of a round (nats a code)
# below which it ends.
_ROUNDS, _AT_ONCE, _GAIN = 40, 5, 1e-3
# Of a unit variance: what keeps the covariance of a few equal codes from being singular.
_LEAST_VARIANCE = 1e-6
_DAMAGED = "the file is damaged, get it again"


class Prior(ABC):
    """A distribution of codes that was fitted to those of images.

    ``mean`` ``(d,)`` is where truncation draws codes to; ``record`` (JSON) says how it was fitted.
    """

    kind: ClassVar[str]
    mean: Tensor
    record: Mapping[str, Any]

    @property
    def latent_dim(self) -> int:
        """Latent variables."""
        return len(self.mean)

    @property
    def fingerprint(self) -> str:
        """The sha256 (hex) of what decides the codes that are drawn."""
        digest = hashlib.sha256(json.dumps([self.kind, self.config], sort_keys=True).encode())
        for name, tensor in sorted(self.to_tensors().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def config(self) -> dict[str, Any]:
        """What makes it again, beside its tensors (JSON)."""
        return {}

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` codes ``(n, d)``, float32 on the CPU."""

    @abstractmethod
    def to_tensors(self) -> dict[str, Tensor]:
        """What a file keeps of it, beside ``config`` and ``record``."""

    @abstractmethod
    def __str__(self) -> str:
        """What it is, in a few words."""


class Mixture(Prior):
    """A mixture of normal distributions: ``weights`` (k,), ``means`` (k, d), and ``roots`` (k, d,
    d), the lower triangular matrices whose products with their transposes are the covariances.
    With one component it is a normal distribution.

    Example:
        >>> normal = Mixture.normal(torch.zeros(2), torch.eye(2))
        >>> normal.draw(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])

    Raises:
        ModelError: these are no such numbers.
    """

    kind = "mixture"

    def __init__(
        self,
        weights: Tensor,
        means: Tensor,
        roots: Tensor,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.weights, self.means, self.roots = weights, means, roots
        self.record = dict(record or {})
        self._check()
        self.mean = weights @ means

    def _check(self) -> None:
        k, d = len(self.weights.reshape(-1)), self.means.shape[-1] if self.means.ndim else 0
        shapes = [tuple(part.shape) for part in (self.weights, self.means, self.roots)]
        parts = (self.weights, self.means, self.roots)
        if not k or not d or shapes != [(k,), (k, d), (k, d, d)]:
            raise ModelError(
                f"a mixture has weights (k,), means (k, d) and roots (k, d, d), not {shapes}"
            )
        if any(part.dtype != torch.float32 or not part.isfinite().all() for part in parts):
            raise ModelError("the numbers of a mixture are finite and float32")
        if bool((self.weights < 0).any()) or abs(float(self.weights.sum()) - 1) > 1e-3:
            raise ModelError("the weights of a mixture are not below 0, and have the sum 1")

    @classmethod
    def normal(cls, mean: Tensor, covariance: Tensor) -> Mixture:
        """The normal distribution of this ``mean`` (d,) and ``covariance`` (d, d)."""
        least = _LEAST_VARIANCE * torch.eye(len(mean), dtype=torch.float64)
        root = torch.linalg.cholesky(covariance.double() + least)
        return cls(torch.ones(1), mean.float()[None], root.float()[None])

    def __str__(self) -> str:
        k = len(self.weights)
        if k == 1:
            return "a normal distribution"
        return f"a mixture of {k} normal distributions"

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` codes ``(n, d)``: of each its component, then its place in that."""
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.latent_dim, generator=generator)
        codes = torch.empty_like(noise)
        for number in chosen.unique().tolist():
            of_it = chosen == number
            codes[of_it] = self.means[number] + noise[of_it] @ self.roots[number].T
        return codes

    def to_tensors(self) -> dict[str, Tensor]:
        """Weights, means and roots."""
        return {"weights": self.weights, "means": self.means, "roots": self.roots}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Mixture:
        """The mixture that ``to_tensors`` gave.

        Raises:
            ModelError: it is none.
        """
        try:
            return cls(tensors["weights"], tensors["means"], tensors["roots"], record)
        except KeyError as error:
            raise ModelError(f"its prior has no {error}: {_DAMAGED}") from None


def fit_mixture(codes: Tensor, k: int, *, seed: int = 0, progress: ProgressLike = None) -> Mixture:
    """The mixture of ``k`` normal distributions, each with a covariance of its own, that makes the
    ``codes`` (n, d) likely: by EM from k-means, which ends at a gain below 0.001 nats a code, or
    after 40 rounds.

    Raises:
        ModelError: there are fewer than 2 codes a component.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if k < 1 or len(codes) < 2 * k:
        raise ModelError(
            f"a mixture of {k} takes at least 2 codes for each of at least 1 component, not "
            f"{len(codes)}: take fewer components, or more images"
        )
    model = GaussianMixture(
        k,
        reg_covar=_LEAST_VARIANCE,
        tol=_GAIN,
        max_iter=_AT_ONCE,
        warm_start=True,
        random_state=seed % 2**32,
    )
    rows = codes.double().numpy()
    with warnings.catch_warnings(), reporting(progress, "fitting mixture", "rounds") as told:
        warnings.simplefilter("ignore", ConvergenceWarning)  # Of every part of the way.
        for rounds in range(_AT_ONCE, _ROUNDS + 1, _AT_ONCE):
            if told is not None:
                told(rounds - _AT_ONCE, _ROUNDS)
            model.fit(rows)
            if model.converged_:
                break
    roots = torch.linalg.cholesky(torch.from_numpy(model.covariances_))
    weights, means = torch.from_numpy(model.weights_), torch.from_numpy(model.means_)
    record = {
        "codes": len(codes),
        "converged": bool(model.converged_),
        "log_likelihood": float(model.lower_bound_),
    }
    return Mixture(weights.float(), means.float(), roots.float(), record)
