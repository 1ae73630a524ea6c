"""A small perceptron beside a linear map: what the linear one leaves, by two hidden layers.

It begins as the linear map, whose part stays; training stops where the error on pairs that were
kept back grows. Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from latentmap.codes import Pairs
from latentmap.mapping.linear_map import LinearMap
from latentmap.progress import Progress

_HIDDEN = 512
_BATCH = 256
_LEARNING_RATE = 1e-3
_DECAY = 1e-2
_DROPPED = 0.2
_EPOCHS = 40
_EPOCH = 20_000  # Pairs of an epoch, at most.
_PATIENCE = 6  # Epochs without a smaller error.


@dataclass(frozen=True, eq=False)
class Perceptron:
    """The linear map plus what a network finds in addition; ``epochs`` it was trained."""

    network: nn.Module
    linear: LinearMap
    mean: Tensor
    scale: float
    unit: float
    epochs: int

    @torch.no_grad()
    def apply(self, codes: Tensor) -> Tensor:
        """The codes ``(n, q)`` in the target space, float32."""
        found: Tensor = self.network((codes - self.mean) * self.scale)
        return self.linear.apply(codes) + self.unit * found

    @property
    def settings(self) -> dict[str, int]:
        """What it is, as JSON."""
        return {"hidden": _HIDDEN, "layers": 2, "epochs": self.epochs}


class Stop(NamedTuple):
    """The pairs ``(k,)`` to train on, and those whose error says when to stop, by position."""

    train: np.ndarray
    held: np.ndarray


def fit_perceptron(
    pairs: Pairs,
    linear: LinearMap,
    stop: Stop,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Perceptron:
    """A perceptron beside ``linear``, which should be of the pairs to train on alone."""
    moments = linear.require_moments("a perceptron")
    mean = moments.mean_x.float()
    spread = float((moments.squares_x.max() / moments.n).sqrt()) or 1.0
    unit = float((moments.squares_y.sum() / moments.n / moments.q).sqrt()) or 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(len(mean), moments.q)
        found = Perceptron(network, linear, mean, 1 / spread, unit, 0)
        return _train(found, pairs, stop, seed, progress)


def _network(p: int, q: int) -> nn.Sequential:
    last = nn.Linear(_HIDDEN, q)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        *(nn.Linear(p, _HIDDEN), nn.GELU(), nn.Dropout(_DROPPED)),
        *(nn.Linear(_HIDDEN, _HIDDEN), nn.GELU(), nn.Dropout(_DROPPED), last),
    )


def _train(
    one: Perceptron, pairs: Pairs, stop: Stop, seed: int, progress: Progress | None
) -> Perceptron:
    network, order = one.network, np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_DECAY)
    held = [_prepared(one, part) for part in _blocks(pairs, stop.held)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS)
    best, waited, epochs = _error(network, held), 0, 0
    kept = copy.deepcopy(network.state_dict())
    for epoch in range(1, _EPOCHS + 1):
        network.train()
        drawn = order.permutation(stop.train)[:_EPOCH]
        for x, y in (_prepared(one, part) for part in _blocks(pairs, drawn)):
            loss = (network(x) - y).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        schedule.step()
        error = _error(network, held)
        waited += 1
        if error < best:
            best, waited, epochs = error, 0, epoch
            kept = copy.deepcopy(network.state_dict())
        if progress:
            progress(epoch, _EPOCHS)
        if waited == _PATIENCE:
            break
    network.load_state_dict(kept)
    network.eval()
    if progress:
        progress(_EPOCHS, _EPOCHS)
    return Perceptron(network, one.linear, one.mean, one.scale, one.unit, epochs)


def _blocks(pairs: Pairs, index: np.ndarray) -> list[Pairs]:
    return [pairs.take(index[start : start + _BATCH]) for start in range(0, len(index), _BATCH)]


def _prepared(one: Perceptron, part: Pairs) -> tuple[Tensor, Tensor]:
    """Scaled source codes, and what the linear map leaves of the target codes, in units."""
    x, y = part.source.vectors, part.target.vectors
    return (x - one.mean) * one.scale, (y - one.linear.apply(x)) / one.unit


@torch.no_grad()
def _error(network: nn.Module, held: list[tuple[Tensor, Tensor]]) -> float:
    network.eval()
    missed = sum(float((network(x) - y).square().sum()) for x, y in held)
    return missed / sum(y.numel() for _, y in held)
