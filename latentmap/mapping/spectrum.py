"""The spectrum of a map: which factors two spaces share.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``k`` factors. All float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentmap.mapping.moments import Moments

_NOTHING = 1e-12  # Share of the target's variance below which a factor is rounding.


@dataclass(frozen=True, eq=False)
class SharedFactors:
    """Pairs of directions, one in each space, the largest share of the target's variance first.

    ``source_patterns`` ``(k, p)`` and ``target_patterns`` ``(k, q)``: how codes differ, on average,
    one standard deviation along a factor. ``source_weights`` ``(k, p)`` read the scores of codes
    ``x``, in standard deviations: ``(x - mean) w'``. ``share`` and ``source_share`` ``(k,)`` are
    the parts of the variance of the target and of the source that the factor's score explains, the
    squared length of its pattern over the variance of all variables; ``correlation`` ``(k,)`` is
    that of the predicted with the true target score.
    """

    source_patterns: Tensor
    target_patterns: Tensor
    source_weights: Tensor
    share: Tensor
    source_share: Tensor
    correlation: Tensor

    def __repr__(self) -> str:
        return f"<SharedFactors: {len(self.share)}, the first of {float(self.share[0]):.3f}>"

    def traversal(self, k: int, steps: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        """Codes ``(s, p)`` and ``(s, q)`` that walk along factor ``k`` from the means; ``steps``
        ``(s,)`` are in standard deviations.
        """
        walk = steps.to(moments.mean_x)[:, None]
        return (
            moments.mean_x + walk * self.source_patterns[k],
            moments.mean_y + walk * self.target_patterns[k],
        )

    def to_json(self) -> dict[str, Any]:
        """Shares and correlations, as lists."""
        names = ("share", "source_share", "correlation")
        return {name: getattr(self, name).tolist() for name in names}


def shared_factors(moments: Moments, weight: Tensor) -> SharedFactors:
    """The factors of a map ``(p, q)``: the principal directions of what it predicts (redundancy
    analysis, van den Wollenberg 1977).

    A factor's score is ``t = Xc W v`` with ``v`` an eigenvector of ``W'GW``; its patterns are
    ``Cov(x, t) / sd(t)`` and ``Cov(y, t) / sd(t)``. Scores do not correlate with each other, so
    shares add up; for least squares they are the eigenvalues over the target's variance. A target
    that does not vary has no factors. Where the moments' products of the target are ``sampled``, so
    is what of ``correlation`` least squares does not explain; all else is of all pairs.
    """
    predicted = moments.inner(weight)
    values, directions = torch.linalg.eigh((predicted + predicted.T) / 2)
    values, directions = values.flip(0), directions.flip(1)
    total = float(moments.squares_y.sum())
    kept = (values > _NOTHING * total) & (total > 0)
    values, directions = values[kept], directions[:, kept]
    scores = weight @ directions / (values / moments.n).sqrt()
    x = moments.spread(scores) / moments.n
    y = moments.xy.T @ scores / moments.n
    # Along its direction a target score varies by v'Hv; the predicted one by its eigenvalue.
    own = (directions * (moments.judged_products_y @ directions)).sum(0)
    correlation = torch.where(
        own > _NOTHING * total, (y * directions).sum(0) / (own / moments.n).sqrt(), 0.0
    )
    share = y.square().sum(0) * moments.n / total
    source_share = x.square().sum(0) * moments.n / float(moments.squares_x.sum())
    order = share.argsort(descending=True)
    return SharedFactors(
        x.T[order],
        y.T[order],
        scores.T[order],
        share[order],
        source_share[order],
        correlation[order],
    )
