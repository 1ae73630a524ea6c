"""The spectrum of a map: which factors two spaces share, how many, and what matters in them.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``k`` factors. All float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)
from torch import Tensor

from latentmap.codes import Pairs, one_of_each, units_of
from latentmap.errors import MapError
from latentmap.mapping.gathering import moments_by_fold
from latentmap.mapping.moments import Moments, merge_all, rounding_of
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.solution import require_penalty
from latentmap.mapping.sparse import standard_deviations
from latentmap.progress import Progress

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
    that does not vary has no factors.
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
    own = (directions * (moments.products_y @ directions)).sum(0)
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


@dataclass(frozen=True, eq=False)
class SharedRank:
    """How many variables two spaces share, judged on pairs that the maps have not seen.

    ``r2`` ``(r + 1,)`` is the held-out R2 of maps of rank 0, 1, ...; ``gains`` ``(r,)`` what each
    component adds, ``p_values`` ``(r,)`` how often random pairings of the ``n_pairs`` add as much
    by their best component. ``k`` counts the leading components whose p-value is at most ``level``;
    ``best_rank`` has the largest R2. ``null`` ``(permutations,)`` are the largest gains of the
    random pairings.
    """

    r2: Tensor
    gains: Tensor
    p_values: Tensor
    null: Tensor
    k: int
    best_rank: int
    level: float
    n_source: int
    n_pairs: int

    def __str__(self) -> str:
        p = float(self.p_values[max(self.k - 1, 0)])
        return (
            f"{self.k} of {self.n_source} variables are shared, p = {p:.2g} "
            f"({len(self.null)} permutations of {self.n_pairs:,} pairs); held-out R2 "
            f"{float(self.r2[self.k]):.4f}, best {float(self.r2.max()):.4f} at rank "
            f"{self.best_rank}"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, as numbers and lists."""
        return {
            "k": self.k,
            "best_rank": self.best_rank,
            "level": self.level,
            "n_pairs": self.n_pairs,
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
    while it and all before it gain more than all but ``level`` of the null's best, which needs at
    least ``1 / level - 1`` permutations. Comparing each with the best of all keeps the chance of
    finding anything in unrelated spaces at ``level``. All codes are in memory, float32.

    Of images of one of the ``groups`` ``(n,)``, and of copies, one random pair is taken, with as
    much less of the ``penalty``.

    Raises:
        MapError: fewer pairs, or groups, than folds, no permutation, a penalty that cannot be, or
            codes that are not finite.
    """
    require_penalty(penalty)
    if permutations < 1:
        raise MapError(f"a null needs at least 1 permutation, not {permutations}: give 99 or more")
    # Random pairings part images of one unit, which the pairs do not: the null takes one of each.
    kept = one_of_each(units_of(pairs.digests, groups), seed=seed)
    penalty *= len(kept) / len(pairs)
    pairs = pairs.take(kept)
    numbers = assign_folds(len(pairs), folds=folds, seed=seed)
    parts = moments_by_fold(pairs, numbers)
    x, y = pairs.source.vectors, pairs.target.vectors
    rows = [torch.from_numpy(np.flatnonzero(numbers == number)) for number in range(folds)]
    generator = torch.Generator().manual_seed(seed)
    null = torch.empty(permutations, dtype=torch.float64)
    # Two threads wait for each other in products and decompositions this small (measured, 99
    # permutations of 12,000 pairs from 150 to 64 variables, two busy processors: 24 to 55 s with
    # two, 2.4 s with one).
    with threadpool_limits(1):
        judged = _Folds.of(parts, penalty)
        r2 = judged.curve(torch.stack([part.xy for part in parts]))
        for done in range(permutations):
            shuffled = []
            for part, index in zip(parts, rows, strict=True):
                other = index[torch.randperm(len(index), generator=generator)]
                shuffled.append(_cross(x, y, index, other, part))
            null[done] = judged.curve(torch.stack(shuffled)).diff().max()
            if progress:
                progress(done + 1, permutations)
    gains = r2.diff()
    p_values = (1 + (null[:, None] >= gains).sum(0)) / (1 + permutations)
    below = (p_values > level).nonzero()
    k = int(below[0]) if len(below) else len(gains)
    return SharedRank(
        r2,
        gains,
        p_values,
        null,
        k,
        int(r2.argmax()),
        level,
        pairs.source.space.dim,
        len(pairs),
    )


@dataclass(frozen=True, eq=False)
class _Folds:
    """What no pairing within the ``f`` folds changes.

    ``inverse`` ``(f, p, p)`` is ``(G + penalty I)^+`` of the training pairs of each fold, ``held``
    ``(f, p, p)`` the products of its held-out pairs about the means of the training pairs;
    ``between_train`` and ``between_held`` ``(f, p, q)`` are what the means of the folds add to the
    products between the spaces; ``total`` is the error of the means.
    """

    inverse: Tensor
    held: Tensor
    between_train: Tensor
    between_held: Tensor
    total: float

    @classmethod
    def of(cls, parts: Sequence[Moments], penalty: float) -> _Folds:
        inverses, held, between_train, between_held, total = [], [], [], [], 0.0
        every = torch.stack([part.xy for part in parts]).sum(0)
        for number, part in enumerate(parts):
            train = merge_all([other for i, other in enumerate(parts) if i != number])
            spectrum = train.source_spectrum
            shrunk = spectrum.directions / (spectrum.values + penalty)
            inverses.append(shrunk @ spectrum.directions.T)
            dx, dy = part.mean_x - train.mean_x, part.mean_y - train.mean_y
            held.append(part.xx + part.n * torch.outer(dx, dx))
            between_train.append(train.xy - (every - part.xy))
            between_held.append(part.n * torch.outer(dx, dy))
            total += float((part.squares_y + part.n * dy.square()).sum())
        return cls(
            torch.stack(inverses),
            torch.stack(held),
            torch.stack(between_train),
            torch.stack(between_held),
            total,
        )

    def curve(self, products: Tensor) -> Tensor:
        """Held-out R2 ``(r + 1,)`` of the maps of all ranks, when ``products`` ``(f, p, q)`` are
        those between the spaces in each fold.

        With ``W_r = W V_r V_r'`` and orthonormal ``V``, the error falls from rank to rank by ``2 v'
        C'W v - v' W'GW v``, with the held-out products about the means of the training pairs.
        """
        between = self.between_train + (products.sum(0) - products)
        weight = self.inverse @ between
        fitted = between.mT @ weight
        vectors = torch.linalg.eigh((fitted + fitted.mT) / 2).eigenvectors
        directions = vectors.flip(2)[..., : min(products.shape[1:])]
        maps = weight @ directions
        crossed = (products + self.between_held) @ directions
        falls = (2 * maps * crossed - maps * (self.held @ maps)).sum((0, 1))
        # Of a target that does not vary nothing is explained.
        gained = falls.cumsum(0) / self.total if self.total > 0 else torch.zeros_like(falls)
        return torch.cat([gained.new_zeros(1), gained])


def _cross(x: Tensor, y: Tensor, index: Tensor, other: Tensor, part: Moments) -> Tensor:
    """``Xc'Yc`` of some rows of ``x`` with other rows of ``y``, both about the fold's means."""
    left = x[index].double() - part.mean_x
    return left.T @ (y[other].double() - part.mean_y)
