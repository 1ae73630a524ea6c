"""Leave-one-out errors of ridge that a sample of many pairs says, and how surely.

With residuals ``r_i`` and leverages ``h_i`` the sum of squared leave-one-out errors is ``c RSS +
sum_i r_i^2 (w_i - c)``, where ``w_i = 1 / (1 - h_i)^2`` and ``c`` is that of the mean leverage.
Moments give the first term and the mean leverage; the second is small, and a sample says it.

Shapes: ``n`` pairs, ``k`` of a sample, ``m`` penalties.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes, Pairs
from latentmap.mapping.deleted import residuals_and_leverages
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import EQUAL, FREE
from latentmap.transfers import Arriving, a_batch_late, upload

_SURE = 6.0  # Standard errors.
# Share of the target's sum of squares that is rounding in moments.
_ROUNDING = 1e-14
# Pairs with so many times the mean leverage are in every sample.
_OUTLYING = 5.0
# Leverages of more pairs than _EXACTLY are known by the squares of so many random combinations of
# scores, to a third: one in a thousand is taken for less than a quarter.
_COMBINATIONS = 16
_EXACTLY = 4096
_READ = 2048


class Sample:
    """Errors of penalties of a ``grid`` by their places in it, ``errors``; ``extend`` adds some.

    The sample holds those pairs with outlying ``leverages`` ``(n,)``, as ``leverages_of`` has them,
    and ``size`` of the others, drawn by chance: evenly spread ones would be alike where codes come
    in turns.
    """

    def __init__(
        self,
        pairs: Pairs,
        moments: Moments,
        grid: Tensor,
        *,
        size: int,
        leverages: np.ndarray,
        device: torch.device | str = "cpu",
    ) -> None:
        self.errors: dict[int, float] = {}
        self._moments, self._grid, self._device = moments, grid, device
        n = len(pairs)
        outlying = np.flatnonzero(leverages > _OUTLYING * leverages.mean())
        if len(outlying) > size:
            outlying = np.sort(np.argpartition(leverages, n - size)[n - size :])
        others = np.setdiff1d(np.arange(n), outlying, assume_unique=True)
        drawn = np.sort(np.random.default_rng(0).choice(others, size, replace=False))
        self._pairs = pairs.take(np.concatenate([outlying, drawn]))
        self._certain, self._others = len(outlying), n - len(outlying)
        self._terms: dict[int, Tensor] = {}
        self._fits = True

    def extend(self, places: Sequence[int]) -> None:
        """Adds the errors of the penalties at these places of the grid."""
        moments, penalties = self._moments, self._grid[list(places)]
        parts = list(residuals_and_leverages(self._pairs, moments, penalties, device=self._device))
        squares, leverage = (torch.cat(some) for some in zip(*parts, strict=True))
        spectrum = moments.source_spectrum
        shrink = 1 / (spectrum.values[:, None] + penalties)
        along = (spectrum.directions.T @ moments.xy).square().sum(1)
        removed = along @ (2 * shrink - spectrum.values[:, None] * shrink.square())
        residual = moments.squares_y.sum() - removed
        free = 1 - (float(moments.centred) + spectrum.values @ shrink) / moments.n
        terms = squares * ((1 - leverage) ** -2 - free**-2)
        # Differences from the mean leverage add up to nothing over all pairs. Without them the
        # terms vary less.
        terms -= 2 * free**-3 * (residual / moments.n) * (leverage - (1 - free))
        totals = (residual * free**-2 + self._sum(terms)) / (moments.n * moments.q)
        for column, place in enumerate(places):
            self.errors[place] = float(totals[column])
            self._terms[place] = terms[:, column]
            # Residuals of all pairs are known, so a sample that lacks large ones is found out.
            off = abs(float(self._sum(squares[:, column]) - residual[column]))
            within = off <= _SURE * self._standard_error(squares[:, column]) + self._rounding
            self._fits &= within and bool((1 - leverage[:, column] > FREE).all())

    @property
    def unsure(self) -> list[int]:
        """The places that may be the best, where the sample does not decide between several; all
        where it is not like all pairs.
        """
        if not self._fits:
            return sorted(self.errors)
        best = min(self.errors, key=lambda place: self.errors[place])
        scale = self._moments.n * self._moments.q
        unsure = []
        for place, error in self.errors.items():
            away = scale * abs(error - self.errors[best] * (1 + EQUAL))
            spread = self._standard_error(self._terms[place] - self._terms[best])
            if place != best and away <= _SURE * spread + self._rounding:
                unsure.append(place)
        return sorted([best, *unsure]) if unsure else []

    @property
    def _rounding(self) -> float:
        return _ROUNDING * float(self._moments.squares_y.sum())

    def _sum(self, terms: Tensor) -> Tensor:
        """The sum over all pairs, from those of the sample in the first dimension."""
        certain, drawn = terms[: self._certain], terms[self._certain :]
        return certain.sum(0) + self._others * drawn.mean(0)

    def _standard_error(self, terms: Tensor) -> float:
        """Of that sum."""
        drawn = terms[self._certain :]
        share = (1 - len(drawn) / self._others) / len(drawn)
        return self._others * float(drawn.std()) * math.sqrt(share)


def leverages_of(
    source: Codes, moments: Moments, *, device: torch.device | str = "cpu"
) -> np.ndarray:
    """The leverages ``(n,)`` of source codes without a penalty, computed on ``device``; of many
    codes about these.
    """
    place = torch.device(device)
    spectrum = moments.source_spectrum
    scaled = spectrum.directions / spectrum.values.sqrt()
    if len(source) > _EXACTLY and scaled.shape[1] > _COMBINATIONS:
        generator = torch.Generator().manual_seed(0)
        shape = (scaled.shape[1], _COMBINATIONS)
        mixed = torch.randn(shape, generator=generator, dtype=torch.float64)
        scaled = scaled @ mixed / _COMBINATIONS**0.5
    shift, scaled = (moments.mean_x @ scaled).to(place), scaled.to(place)

    def launched() -> Iterator[Arriving]:
        for codes in source.blocks(_READ):
            away = torch.addmm(shift, upload(codes, place).double(), scaled, beta=-1)
            yield Arriving(away.square().sum(1))

    return np.concatenate([one.wait().numpy() for one in a_batch_late(launched())])
