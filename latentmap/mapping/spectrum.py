"""The spectrum of a map: which factors two spaces share, and what matters in them.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``k`` factors. All float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentmap.mapping.moments import Moments, rounding_of
from latentmap.mapping.solution import require_penalty
from latentmap.mapping.sparse import standard_deviations

_NOTHING = 1e-12  # Share of the target's variance below which a factor is rounding.
_OUTSIDE = 1e-10  # Squared length below which a variable lies along directions that vary.


@dataclass(frozen=True, eq=False)
class SharedFactors:
    """Pairs of directions, one in each space, the largest share of the target's variance first.

    ``source_patterns`` ``(k, p)`` and ``target_patterns`` ``(k, q)``: how codes differ, on average,
    one standard deviation along a factor. ``share`` and ``source_share`` ``(k,)`` are the parts of
    the variance of the target and of the source that the factor's score explains, the squared
    length of its pattern over the variance of all variables; ``correlation`` ``(k,)`` is that of
    the predicted with the true target score.
    """

    source_patterns: Tensor
    target_patterns: Tensor
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
    predicted = weight.T @ moments.xx @ weight
    values, directions = torch.linalg.eigh((predicted + predicted.T) / 2)
    values, directions = values.flip(0), directions.flip(1)
    total = float(moments.squares_y.sum())
    kept = (values > _NOTHING * total) & (total > 0)
    values, directions = values[kept], directions[:, kept]
    scores = weight @ directions / (values / moments.n).sqrt()
    x = moments.xx @ scores / moments.n
    y = moments.xy.T @ scores / moments.n
    # Along its direction a target score varies by v'Hv; the predicted one by its eigenvalue.
    own = (directions * (moments.judged_products_y @ directions)).sum(0)
    correlation = torch.where(
        own > _NOTHING * total, (y * directions).sum(0) / (own / moments.n).sqrt(), 0.0
    )
    share = y.square().sum(0) * moments.n / total
    source_share = x.square().sum(0) * moments.n / float(moments.xx.trace())
    order = share.argsort(descending=True)
    return SharedFactors(
        x.T[order], y.T[order], share[order], source_share[order], correlation[order]
    )


def effective_rank(values: Tensor) -> float:
    """The effective rank of non-negative values: the exponential of the entropy of their shares
    (Roy and Vetterli 2007); 0 when all are zero.
    """
    shares = values[values > 0] / values[values > 0].sum()
    return float(torch.exp(-(shares * shares.log()).sum())) if len(shares) else 0.0


def relevance(moments: Moments, penalty: float = 0.0) -> Tensor:
    """How much each source variable matters, ``(p,)``: the share of the target's variance that a
    ridge map loses without it.

    ``|W_i|^2 / [(G + penalty I)^-1]_ii`` is the increase of the penalised objective when variable
    ``i`` is left out, so what another variable can stand in for is not counted: of two that are
    the same, without penalty, neither is missed.
    """
    require_penalty(penalty)
    spectrum = moments.source_spectrum
    total = float(moments.squares_y.sum())
    live = (standard_deviations(moments) > 0) & (total > 0)
    inverse = spectrum.directions / (spectrum.values + penalty)
    weight = inverse @ (spectrum.directions.T @ moments.xy)
    # Where codes do not vary the inverse is 1 / penalty: a variable that reaches into there is a
    # combination of others, and without a penalty nothing is lost with it.
    outside = 1 - spectrum.directions.square().sum(1)
    diagonal = (inverse * spectrum.directions).sum(1)
    diagonal += torch.where(outside > _OUTSIDE, outside / penalty if penalty else torch.inf, 0.0)
    return torch.where(live, weight.square().sum(1) / diagonal / total if total else 0.0, 0.0)


def explained_per_variable(moments: Moments, weight: Tensor, bias: Tensor) -> Tensor:
    """R2 of each target variable over the pairs, ``(q,)``; NaN where one does not vary."""
    floor = rounding_of(moments.squares_y, moments.n, moments.mean_y)
    explained = 1 - moments.squared_error(weight, bias) / moments.squares_y
    return torch.where(moments.squares_y > floor, explained, torch.nan)
