"""Maps of all sizes from one decomposition: leading columns times leading rows.

Shapes: ``p`` source variables, ``q`` target variables, ``k`` columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from latentmap.mapping.moments import Moments
from latentmap.mapping.solution import Solution, affine, require_size

# Errors below this share of the target's variance are rounding, whose order is chance.
EXACT = 1e-13


@dataclass(frozen=True, eq=False)
class NestedMaps:
    """The maps ``W_k = left[:, :k] right[:k]`` of ``moments``; called with a size it gives the
    solution.

    ``factors(size)`` gives ``left`` ``(p, k)`` and ``right`` ``(k, q)`` up to that size; there are
    fewer columns where no more change the map. Sizes go up to ``limit``, and ``what`` they are is
    said of one that cannot be. ``condition`` and ``figures`` are those of every solution.
    """

    moments: Moments
    factors: Callable[[int], tuple[Tensor, Tensor]]
    limit: int
    what: str
    condition: float = 1.0
    figures: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, size: int) -> Solution:
        require_size(size, self.limit, self.what)
        left, right = self.factors(size)
        k = min(size, left.shape[1])
        weight = left[:, :k] @ right[:k]
        return affine(self.moments, weight, rank=k, condition=self.condition, **self.figures)

    def squared_errors(self, held: Moments, sizes: Sequence[int]) -> Tensor:
        """The squared errors ``(m,)`` of the maps of some sizes, over all pairs of other moments
        and all target variables.

        They add up column by column: with the products ``G`` and ``C`` of the held-out pairs about
        the means of the training pairs, the maps of ``k`` columns miss ``sum |y|^2 - 2 sum_j l_j'C
        r_j + sum_ij (l_i'G l_j)(r_i'r_j)``, whose sums go to ``k``.

        Raises:
            MapError: a size cannot be.
        """
        for size in sizes:
            require_size(size, self.limit, self.what)
        left, right = self.factors(max(sizes))
        dx, dy = held.mean_x - self.moments.mean_x, held.mean_y - self.moments.mean_y
        along = left.T @ dx
        spread = held.inner(left) + held.n * torch.outer(along, along)
        shared = ((left.T @ held.xy + held.n * torch.outer(along, dy)) * right).sum(1)
        terms = spread * (right @ right.T)
        # Column by column: what a column has with itself, and twice with those before it.
        own = terms.diagonal() + 2 * terms.tril(-1).sum(1)
        total = (held.squares_y + held.n * dy.square()).sum()
        errors = torch.cat([total[None], total + (own - 2 * shared).cumsum(0)])
        kept = torch.tensor([min(size, left.shape[1]) for size in sizes])
        return errors[kept.to(errors.device)].clamp(min=EXACT * float(total))
