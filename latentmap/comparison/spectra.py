"""A null of spaces with the same spectra: Gaussian codes with the covariances of the spaces, which
share nothing. So alike make sizes and spectra alone.

What an index fits is fitted on drawn moments, as many images as the moments are of; the products of
normal codes are Wishart, so that a factor of them is drawn, and not the codes (Bartlett 1933; of
fewer images than variables the factor has a row for each). Images that were drawn are exchangeable,
so every draw stands for as many values as it is paired with itself at random.

Shapes: ``m`` spaces of ``d`` variables, ``D`` together, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentmap.comparison.measuring import measure, n_steps
from latentmap.comparison.resampled import Resampling
from latentmap.comparison.steps import Steps
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.solution import root
from latentmap.mapping.thin_moments import ThinJointMoments

_MOST = 200  # Values.
_OF_ONE_DRAW = 40
# Of more variables together every draw takes as long as all else that is compared.
_LARGE = 2048
_FEW_DRAWS = 2


@dataclass(frozen=True)
class SpectraPlan:
    """How many times ``spaces`` are drawn, and paired with themselves at random each time."""

    spaces: int
    draws: int
    pairings: int

    @classmethod
    def of(cls, dims: Sequence[int], permutations: int) -> SpectraPlan:
        """As many values as random pairings of the images, and 200 at most."""
        values = min(permutations + 1, _MOST)
        draws = -(-values // _OF_ONE_DRAW)
        if sum(dims) > _LARGE:
            draws = min(draws, _FEW_DRAWS)
        return cls(len(dims), draws, -(-values // draws) - 1)

    @property
    def steps(self) -> int:
        """How many steps ``spectra_null`` counts."""
        return self.draws * n_steps(self.spaces, self.pairings)


@dataclass(frozen=True, eq=False)
class GaussianSpaces:
    """Normal codes with the means and covariances that spaces have by the moments ``fitted``, each
    ``F'F`` of one of the ``factors`` ``(r, d)``; they share nothing.
    """

    fitted: JointMoments | ThinJointMoments
    factors: Sequence[Tensor]

    @classmethod
    def of(cls, fitted: JointMoments | ThinJointMoments, spaces: int) -> GaussianSpaces:
        """Those of as many ``spaces`` as the moments have."""
        spectra = [fitted.between(number, number).source_spectrum for number in range(spaces)]
        return cls(fitted, [root(one) / (fitted.n - 1) ** 0.5 for one in spectra])

    def codes(self, n: int, generator: np.random.Generator) -> list[Tensor]:
        """Codes of ``n`` images in every space, about 0: no index sees a mean."""
        ranks = [len(factor) for factor in self.factors]
        drawn = [torch.from_numpy(generator.standard_normal((n, rank))) for rank in ranks]
        return [part @ factor for part, factor in zip(drawn, self.factors, strict=True)]

    def moments(self, generator: np.random.Generator) -> JointMoments | ThinJointMoments:
        """The moments of as many images as ``fitted`` is of."""
        ranks = [len(factor) for factor in self.factors]
        drawn = _root(int(self.fitted.n) - 1, sum(ranks), generator).split(ranks, dim=1)
        roots = [part @ factor for part, factor in zip(drawn, self.factors, strict=True)]
        if isinstance(self.fitted, ThinJointMoments):
            return replace(self.fitted, roots=tuple(roots))
        joined = torch.cat(roots, 1)
        products = joined.T @ joined
        return replace(self.fitted, products=products, squares=products.diagonal(), fast=False)


def spectra_null(
    fitted: JointMoments | ThinJointMoments,
    plan: SpectraPlan,
    n: int,
    *,
    seed: int,
    steps: Steps,
) -> dict[str, np.ndarray]:
    """All indexes between drawn spaces with the spectra of ``fitted``, ``(values, m, m)`` each, of
    ``n`` images compared.
    """
    generator = np.random.default_rng(seed)
    spaces = GaussianSpaces.of(fitted, plan.spaces)
    found: dict[str, list[np.ndarray]] = {}
    for _ in range(plan.draws):
        moments, codes = spaces.moments(generator), spaces.codes(n, generator)
        orders = [torch.from_numpy(generator.permutation(n)) for _ in range(plan.pairings)]
        measured, _ = measure(codes, moments, Resampling([], orders), steps)
        for name, one in measured.items():
            found.setdefault(name, []).extend([one.value[None], one.null])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _root(rows: int, columns: int, generator: np.random.Generator) -> Tensor:
    """A factor ``F`` ``(k, columns)`` whose products ``F'F`` are those of so many ``rows`` of
    normal numbers.
    """
    k = min(rows, columns)
    drawn = np.triu(generator.standard_normal((k, columns)), 1)
    drawn[np.diag_indices(k)] = np.sqrt(generator.chisquare(rows - np.arange(k)))
    return torch.from_numpy(drawn)
