"""Selection: which penalty predicts pairs best that the map has not seen.

Leave-one-out errors need no refits: with ``Xc = U S V'`` the map without pair ``i`` misses it by
``e_i = (y_i - yhat_i) / (1 - h_i)``, where the leverage
``h_i = 1/n + sum_j u_ij^2 s_j^2 / (s_j^2 + penalty)`` has ``1/n`` as the share of the intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments
from latentmap.mapping.solvers import source_spectrum
from latentmap.pairs import Pairs
from latentmap.progress import Progress

# Fourteen decades about the mean eigenvalue of the source codes: from no penalty to no map.
_DECADES = (-10.0, 4.0)
_STEPS = 65
# Rows at a time, and residuals at a time: 4 MB, which stay in the processor's cache. Several
# penalties share one product, because many small ones wait for each other's threads (measured: 7
# times slower on a busy machine).
_BLOCK = 512
_RESIDUALS = 1 << 19
# Below this 1 - h is rounding: the pair decides its own prediction, and leaving it out is not
# defined.
_FREE = 1e-9


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Leave-one-out mean squared errors (over pairs and target variables) of some penalties.

    ``penalty`` is the one with the smallest error; among equals the largest, which is the calmest
    map.
    """

    penalties: torch.Tensor
    errors: torch.Tensor

    @property
    def penalty(self) -> float:
        """The penalty that is chosen."""
        equal = self.errors <= self.errors.min() * (1 + 1e-10)
        return float(self.penalties[equal].max())


def penalty_grid(moments: Moments) -> torch.Tensor:
    """65 penalties ``(m,)`` in equal ratios, about the mean eigenvalue of ``G``.

    One penalty, 1, when the source codes do not vary: then every penalty gives the same map.
    """
    values = source_spectrum(moments).values
    if not len(values):
        return torch.ones(1, dtype=torch.float64)
    mean = values.sum() / len(moments.xx)
    return mean * torch.logspace(*_DECADES, _STEPS, dtype=torch.float64)


def leave_one_out(
    pairs: Pairs,
    moments: Moments,
    *,
    penalties: torch.Tensor | None = None,
    progress: Progress | None = None,
) -> LeaveOneOut:
    """The exact leave-one-out errors of ridge for a grid of penalties, in one more pass over pairs.

    ``moments`` are those of the same pairs. The result is that of fitting ``n`` maps for each
    penalty. A penalty so small that a pair alone decides its own prediction has no leave-one-out
    error: it counts as infinite.

    Raises:
        MapError: there are fewer than two pairs.
    """
    if moments.n < 2:
        raise MapError(f"leaving one pair out needs at least 2 pairs, not {moments.n}")
    grid = penalty_grid(moments) if penalties is None else penalties.to(torch.float64)
    spectrum = source_spectrum(moments)
    # G v = s^2 v, so (Xc v)^2 / (s^2 + penalty) is the share of a direction in a leverage.
    shrink = 1 / (spectrum.values[:, None] + grid)
    rotated = spectrum.directions.T @ moments.xy
    q = len(moments.mean_y)
    groups = torch.arange(len(grid)).split(max(1, _RESIDUALS // (_BLOCK * q)))
    maps = [(shrink[:, group, None] * rotated[:, None]).flatten(1) for group in groups]
    total = torch.zeros(len(grid), dtype=torch.float64)
    seen = 0
    for x, y in pairs.blocks(_BLOCK):
        u = (x.double() - moments.mean_x) @ spectrum.directions
        residual = y.double() - moments.mean_y
        free = 1 - 1 / moments.n - u.square() @ shrink
        missed = [
            torch.mm(u, weight).view(len(u), -1, q).sub_(residual[:, None]).square_().sum(2)
            for weight in maps
        ]
        rows = torch.cat(missed, 1) / free.square()
        total += torch.where(free > _FREE, rows, torch.inf).sum(0)
        seen += len(x)
        if progress:
            progress(seen, moments.n)
    return LeaveOneOut(grid, total / (moments.n * q))
