"""Adam for many searches side by side, each with its own state, rate and end.

Shapes: ``s`` searches, ``d`` latent variables.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# A squared error below that of rounding to 8 bits, 1 / 255**2 / 12, is none.
_ENOUGH = 1e-6
# With Adam's usual 0.999 for the second, a search remembers its steep beginning for too long.
_BETAS = (0.9, 0.95)
_EPSILON = 1e-12
# A search that became better by no more than this share in so many steps goes on at a lower rate,
# down to a share of the first.
_BETTER, _PATIENCE, _LOWER, _LEAST = 0.01, 20, 0.4, 0.02


class Searches(NamedTuple):
    """The state of ``s`` searches.

    ``codes`` ``(s, d)`` are where they are, ``first`` and ``second`` Adam's moments there, ``best``
    the code of the smallest loss, which is ``loss`` ``(s,)``. A search slows down when it has been
    no better than ``mark`` in ``since`` steps, and ends when its ``rate`` comes down to ``least``.
    """

    codes: Tensor
    first: Tensor
    second: Tensor
    best: Tensor
    loss: Tensor
    mark: Tensor
    since: Tensor
    rate: Tensor
    least: Tensor
    steps: Tensor

    def take(self, rows: Tensor) -> Searches:
        """Some of the searches, as copies."""
        index = rows.to(self.codes.device)
        return Searches(*(field[index] for field in self))

    def put(self, rows: Tensor, part: Searches) -> None:
        """Keeps what became of some of the searches."""
        index = rows.to(self.codes.device)
        for field, value in zip(self, part, strict=True):
            field[index] = value

    def going(self, limit: int) -> Tensor:
        """Which searches are not at their end, ``(s,)``; after ``limit`` steps all are."""
        return (self.steps < limit) & (self.rate > self.least) & (self.loss > _ENOUGH)


def new_searches(codes: Tensor, rate: float) -> Searches:
    """Searches that start at ``codes`` ``(s, d)`` with steps of size ``rate``."""
    zeros, numbers = torch.zeros_like(codes), torch.zeros_like(codes[:, 0])
    return Searches(
        codes=codes,
        first=zeros,
        second=zeros.clone(),
        best=codes.clone(),
        loss=numbers + math.inf,
        mark=numbers + math.inf,
        since=numbers.long(),
        rate=numbers + rate,
        least=numbers + rate * _LEAST,
        steps=numbers.long(),
    )


def step_searches(part: Searches, loss: Tensor, gradient: Tensor, *, limit: int) -> Searches:
    """The searches one step later; the codes of those that are at their end stay.

    ``loss`` ``(s,)`` and its ``gradient`` ``(s, d)`` are those at the codes.
    """
    going = part.going(limit)
    is_best = going & (loss < part.loss)
    is_better = loss < (1 - _BETTER) * part.mark
    since = torch.where(is_better, 0, part.since + 1)
    slower = going & (since >= _PATIENCE)
    steps = part.steps + going
    rate = torch.where(slower, part.rate * _LOWER, part.rate)
    first = torch.lerp(gradient, part.first, _BETAS[0])
    second = torch.lerp(gradient.square(), part.second, _BETAS[1])
    # Each by its own number of steps, since some have begun later than others.
    unbias = (1 - _BETAS[1] ** steps).sqrt() / (1 - _BETAS[0] ** steps)
    change = (rate * unbias)[:, None] * first / (second.sqrt() + _EPSILON)
    return Searches(
        codes=torch.where(going[:, None], part.codes - change, part.codes),
        first=first,
        second=second,
        best=torch.where(is_best[:, None], part.codes, part.best),
        loss=torch.where(is_best, loss, part.loss),
        mark=torch.where(is_better, loss, part.mark),
        since=torch.where(slower, 0, since),
        rate=rate,
        least=part.least,
        steps=steps,
    )
