"""The spectrum of a map: which factors two spaces share, how many, and what matters in them.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``k`` factors. All float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.mapping.gathering import moments_by_fold
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.solution import require_penalty
from latentmap.mapping.sparse import standard_deviations
from latentmap.pairs import Pairs
from latentmap.progress import Progress

_NOTHING = 1e-12  # Share of the target's variance below which a factor is rounding.


@dataclass(frozen=True, eq=False)
class SharedFactors:
    """Pairs of directions, one in each space, the largest share of the target's variance first.

    ``source_patterns`` ``(k, p)`` and ``target_patterns`` ``(k, q)``: how codes differ, on average,
    one standard deviation along a factor. ``share`` and ``source_share`` ``(k,)`` are the parts of
    the variance of the target and of the source that lie along them, ``correlation`` ``(k,)`` that
    of the predicted with the true target score.
    """

    source_patterns: Tensor
    target_patterns: Tensor
    share: Tensor
    source_share: Tensor
    correlation: Tensor

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
    ``Cov(x, t) / sd(t)`` and ``Cov(y, t) / sd(t)``.
    """
    predicted = weight.T @ moments.xx @ weight
    values, directions = torch.linalg.eigh((predicted + predicted.T) / 2)
    values, directions = values.flip(0), directions.flip(1)
    total = float(moments.squares_y.sum())
    kept = values > _NOTHING * total
    values, directions = values[kept], directions[:, kept]
    scores = weight @ directions / (values / moments.n).sqrt()
    x = moments.xx @ scores / moments.n
    y = moments.xy.T @ scores / moments.n
    # Along its direction a target score varies by v'Hv; the predicted one by its eigenvalue.
    own = (directions * (moments.products_y @ directions)).sum(0)
    correlation = (y * directions).sum(0) / (own / moments.n).sqrt()
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
    ``i`` is left out, so what another variable can stand in for is not counted.
    """
    require_penalty(penalty)
    spectrum = moments.source_spectrum
    live = standard_deviations(moments) > 0
    inverse = spectrum.directions / (spectrum.values + penalty)
    weight = inverse @ (spectrum.directions.T @ moments.xy)
    uncertainty = (inverse * spectrum.directions).sum(1)
    lost = weight.square().sum(1) / uncertainty.clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(live, lost, 0.0) / float(moments.squares_y.sum())


def explained_per_variable(moments: Moments, weight: Tensor, bias: Tensor) -> Tensor:
    """R2 of each target variable over the pairs, ``(q,)``; NaN where one does not vary."""
    floor = moments.n * (torch.finfo(torch.float32).eps * moments.mean_y).square()
    explained = 1 - moments.squared_error(weight, bias) / moments.squares_y
    return torch.where(moments.squares_y > floor, explained, torch.nan)


@dataclass(frozen=True, eq=False)
class SharedRank:
    """How many variables two spaces share, judged on pairs that the maps have not seen.

    ``r2`` ``(r + 1,)`` is the held-out R2 of maps of rank 0, 1, ...; ``gains`` ``(r,)`` what each
    component adds, ``p_values`` ``(r,)`` how often random pairings add as much by their best
    component. ``k`` counts the leading components above the ``level``; ``best_rank`` has the
    largest R2. ``null`` ``(permutations,)`` are the largest gains of the random pairings.
    """

    r2: Tensor
    gains: Tensor
    p_values: Tensor
    null: Tensor
    k: int
    best_rank: int
    level: float
    n_source: int

    def __str__(self) -> str:
        p = float(self.p_values[max(self.k - 1, 0)])
        return (
            f"{self.k} of {self.n_source} variables are shared, p = {p:.2g} "
            f"({len(self.null)} permutations); held-out R2 {float(self.r2[self.k]):.4f}, best "
            f"{float(self.r2.max()):.4f} at rank {self.best_rank}"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, as numbers and lists."""
        return {
            "k": self.k,
            "best_rank": self.best_rank,
            "level": self.level,
            "r2": self.r2.tolist(),
            "gains": self.gains.tolist(),
            "p_values": self.p_values.tolist(),
            "null": self.null.tolist(),
        }


def shared_rank(
    pairs: Pairs,
    *,
    seed: int,
    folds: int = 5,
    groups: np.ndarray | None = None,
    penalty: float = 0.0,
    permutations: int = 99,
    level: float = 0.05,
    progress: Progress | None = None,
) -> SharedRank:
    """The held-out curve of reduced-rank maps, and how many components random pairings do not give.

    The null pairs the codes of each fold at random within it: means and products of each space stay
    as they are, so only the products between the spaces are gathered again. A component counts
    while it and all before it gain more than all but ``level`` of the null's best. All codes are in
    memory, float32.

    Raises:
        MapError: fewer pairs, or groups, than folds, a penalty that cannot be, or codes that are
            not finite.
    """
    require_penalty(penalty)
    numbers = assign_folds(len(pairs), folds=folds, seed=seed, groups=groups)
    parts = moments_by_fold(pairs, numbers)
    trains = [
        merge_all([part for other, part in enumerate(parts) if other != held])
        for held in range(folds)
    ]
    products = [part.xy for part in parts]
    total = float(
        sum(part.squared_error(*_mean_map(t)).sum() for part, t in zip(parts, trains, strict=True))
    )
    r2 = _curve(parts, trains, products, penalty, total)
    gains = r2.diff()
    x, y = pairs.source.vectors, pairs.target.vectors
    rows = [torch.from_numpy(np.flatnonzero(numbers == number)) for number in range(folds)]
    generator = torch.Generator().manual_seed(seed)
    null = torch.empty(permutations, dtype=torch.float64)
    for done in range(permutations):
        shuffled = []
        for part, index in zip(parts, rows, strict=True):
            other = index[torch.randperm(len(index), generator=generator)]
            shuffled.append(_cross(x, y, index, other, part))
        null[done] = _curve(parts, trains, shuffled, penalty, total).diff().max()
        if progress:
            progress(done + 1, permutations)
    p_values = (1 + (null[:, None] >= gains).sum(0)) / (1 + permutations)
    below = (p_values > level).nonzero()
    k = int(below[0]) if len(below) else len(gains)
    return SharedRank(r2, gains, p_values, null, k, int(r2.argmax()), level, pairs.source.space.dim)


def _curve(
    parts: Sequence[Moments],
    trains: Sequence[Moments],
    products: Sequence[Tensor],
    penalty: float,
    total: float,
) -> Tensor:
    """Held-out R2 of the maps of all ranks, when ``products`` are those between the spaces.

    With ``W_r = W V_r V_r'`` and orthonormal ``V``, the error falls from rank to rank by ``2 v'
    C'W v - v' W'GW v``, with the held-out products about the means of the training pairs.
    """
    falls = 0.0
    for held, (part, train) in enumerate(zip(parts, trains, strict=True)):
        others = [i for i in range(len(parts)) if i != held]
        # The means of the folds stay, so merging adds to the products what it added before.
        between = train.xy + sum((products[i] - parts[i].xy for i in others), torch.zeros(()))
        spectrum = train.source_spectrum
        shrunk = (spectrum.values + penalty)[:, None]
        weight = spectrum.directions @ (spectrum.directions.T @ between / shrunk)
        fitted = between.T @ weight
        directions = torch.linalg.eigh((fitted + fitted.T) / 2).eigenvectors.flip(1)
        maps = weight @ directions
        dx, dy = part.mean_x - train.mean_x, part.mean_y - train.mean_y
        xy = products[held] + part.n * torch.outer(dx, dy)
        xx = part.xx + part.n * torch.outer(dx, dx)
        fall = 2 * (maps * (xy @ directions)).sum(0) - (maps * (xx @ maps)).sum(0)
        falls = falls + fall[: min(train.p, train.q)]
    gained = torch.as_tensor(falls).cumsum(0) / total
    return torch.cat([gained.new_zeros(1), gained])


def _mean_map(train: Moments) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(train.xy), train.mean_y


def _cross(x: Tensor, y: Tensor, index: Tensor, other: Tensor, part: Moments) -> Tensor:
    """``Xc'Yc`` of some rows of ``x`` with other rows of ``y``, both about the fold's means."""
    left = x[index].double() - part.mean_x
    return left.T @ (y[other].double() - part.mean_y)
