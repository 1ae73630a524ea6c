"""The shared rank: how many factors two spaces share, judged on pairs that maps have not seen.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables, ``f`` folds. All float64. Of
patches the variables are those of a patch and of a cell.
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
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.observed import Observed
from latentmap.mapping.patches import Patches
from latentmap.mapping.random_pairings import about_positions, products_at_random
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.solution import require_penalty
from latentmap.progress import Progress

_HELD = 1 << 26  # Numbers of spatial codes in memory, of each space.
_ROOM = 1 << 32  # Bytes.


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
    patches: Patches | None = None,
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

    With ``patches`` maps are one for all cells, and whole images are paired at random. What images
    have in common at a place is the same in any pairing, so codes are taken about their mean at
    each position: shared is how images differ. Of more than fit into memory a random part is taken.

    Raises:
        MapError: fewer pairs, or groups, than folds, no permutation, a penalty that cannot be,
            codes that are not finite, or more variables than memory holds products of.
    """
    require_penalty(penalty)
    if permutations < 1:
        raise MapError(f"a null needs at least 1 permutation, not {permutations}: give 99 or more")
    # Random pairings part images of one unit, which the pairs do not: the null takes one of each.
    kept = one_of_each(units_of(pairs.digests, groups), seed=seed)
    if patches is not None:
        most = max(folds, _HELD // max(pairs.source.space.dim, pairs.target.space.dim))
        kept = kept[np.sort(np.random.default_rng(seed).permutation(len(kept))[:most])]
    penalty *= len(kept) / len(pairs)
    pairs = pairs.take(kept)
    if patches is not None:
        pairs = about_positions(pairs)
    observed = Observed(pairs, None, patches)
    n_source = _require_room(observed, folds)
    numbers = assign_folds(len(pairs), folds=folds, seed=seed)
    parts = observed.moments_by_fold(numbers, targets="squares", precision="exact")
    # Two threads wait for each other in products and decompositions this small (measured, 99
    # permutations of 12,000 pairs from 150 to 64 variables, two busy processors: 24 to 55 s with
    # two, 2.4 s with one).
    with threadpool_limits(1):
        judged = _Folds.of(parts, penalty)
        r2 = judged.curve(torch.stack([part.xy for part in parts]))
        null = torch.empty(permutations, dtype=torch.float64)
        pairings = products_at_random(observed, parts, numbers, permutations, seed=seed)
        for done, products in enumerate(pairings):
            null[done] = judged.curve(products).diff().max()
            if progress:
                progress(done + 1, permutations)
    gains = r2.diff()
    p_values = (1 + (null[:, None] >= gains).sum(0)) / (1 + permutations)
    below = (p_values > level).nonzero()
    k = int(below[0]) if len(below) else len(gains)
    best = int(r2.argmax())
    return SharedRank(r2, gains, p_values, null, k, best, level, n_source, len(pairs))


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


def _require_room(observed: Observed, folds: int) -> int:
    """How many source variables there are, if memory holds their products in each fold.

    Raises:
        MapError: it does not.
    """
    spaces = observed.pairs.source.space, observed.pairs.target.space
    patches = observed.patches
    p, q = (patches.p, patches.q) if patches else (spaces[0].dim, spaces[1].dim)
    needed = 8 * folds * p * (2 * p + 4 * q)
    if needed > _ROOM:
        raise MapError(
            f"the factors of maps from {p:,} to {q:,} variables take {needed / 2**30:.0f} GB of "
            f"memory, and {_ROOM / 2**30:.0f} are allowed: fit a map of patches, such as with the "
            "patch 3"
        )
    return p
