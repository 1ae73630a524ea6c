"""Whether generated images are nearer to those that a model was trained on than to others.

A generator that has learned the distribution, and not the images, is as near to images that it was
not trained on. Shapes: ``a`` images of each kind, ``m`` generated ones, ``d`` variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.expressiveness.neighbours import distances_of
from latentmap.intervals import Estimate, student_quantile

FEWEST = 20  # Images of each kind.
_PERMUTATIONS = 999
_TINY = 1e-300  # In place of a distance of 0.


@dataclass(frozen=True, eq=False)
class Memorisation:
    """The ``share`` of generated images that are nearer to one of ``n`` training images than to
    any of ``n`` held-out ones: 1/2 where nothing is memorised. ``p_value`` is how often it would be
    larger if it were chance which of them were trained on.

    Of each generated image, ``trained`` and ``held_out`` ``(m,)`` are the rows of the nearest
    images of both kinds, and ``ratio`` ``(m,)`` is the distance of the first over that of the
    other: the smaller, the more suspicious.
    """

    share: Estimate
    p_value: float
    n: int
    trained: np.ndarray
    held_out: np.ndarray
    ratio: np.ndarray

    def suspicious(self, n: int) -> np.ndarray:
        """The positions of the at most ``n`` most suspicious images, the most suspicious first;
        only such as are nearer to a training image.
        """
        order = np.argsort(self.ratio, kind="stable")[:n]
        return order[self.ratio[order] < 1]

    def to_json(self) -> dict[str, Any]:
        """The share, with ``_low`` and ``_high``, and what belongs to it."""
        return {
            "n_trained": self.n,
            "n_held_out": self.n,
            **self.share.to_json("nearer_to_trained"),
            "expected": 0.5,
            "p_value": self.p_value,
        }


def memorisation(
    generated: Tensor, trained: Tensor, held_out: Tensor, *, seed: int = 0
) -> Memorisation:
    """How much nearer codes ``(m, d)`` of generated images are to ``(a, d)`` of training images
    than to ``(a, d)`` of others, each of a unit of its own.

    Many generated images may be near to one image, so what varies is for how many of them each of
    the images is the nearest: the interval is of the difference between the mean of this number for
    training and for held-out images (Welch), the test exchanges these (999 permutations).

    Raises:
        ModelError: the codes have different sizes, there are not as many of both, or too few.
    """
    sizes = [tuple(one.shape) for one in (generated, trained, held_out)]
    if {len(size) for size in sizes} != {2} or len({size[1] for size in sizes}) > 1:
        raise ModelError(
            f"memorisation compares codes (m, d), (a, d) and (a, d) of one encoder, not {sizes}"
        )
    if len(trained) != len(held_out) or len(trained) < FEWEST or len(generated) < 2:
        raise ModelError(
            f"memorisation takes 2 generated images, and as many training as held-out images, at "
            f"least {FEWEST}, not {len(generated)}, {len(trained)} and {len(held_out)}"
        )
    near, where = zip(
        *(_nearest(generated.double(), one.double()) for one in (trained, held_out)), strict=True
    )
    nearer, n = near[0] < near[1], len(trained)
    nearest = np.where(nearer, where[0], n + where[1])
    counts = np.bincount(nearest, minlength=2 * n)
    return Memorisation(
        share=_share(counts, n),
        p_value=_p_value(counts, n, seed),
        n=n,
        trained=where[0],
        held_out=where[1],
        ratio=near[0] / np.maximum(near[1], _TINY),
    )


def _nearest(rows: Tensor, others: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each row from the nearest of ``others``, and which that is."""
    found = [distances.min(1) for _, distances in distances_of(rows, others)]
    values = torch.cat([one.values for one in found]).numpy()
    return values, torch.cat([one.indices for one in found]).numpy()


def _share(counts: np.ndarray, n: int) -> Estimate:
    """The share of the first ``n`` of all counts ``(2n,)``, with its interval."""
    m = counts.sum()
    share = float(counts[:n].sum() / m)
    variance = n * (counts[:n].var(ddof=1) + counts[n:].var(ddof=1)) / (2 * m) ** 2
    reach = student_quantile(0.975, n - 1) * float(np.sqrt(variance))
    return Estimate(share, max(share - reach, 0.0), min(share + reach, 1.0))


def _p_value(counts: np.ndarray, n: int, seed: int) -> float:
    """How often more generated images are nearer to a training image where these and the held-out
    ones are exchanged; of as many, the case at hand included, half (Lancaster 1961).
    """
    chance = np.random.default_rng(seed)
    found = np.array([counts[chance.permutation(2 * n)[:n]].sum() for _ in range(_PERMUTATIONS)])
    many = counts[:n].sum()
    more, as_many = int((found > many).sum()), int((found == many).sum())
    return (more + (as_many + 1) / 2) / (1 + _PERMUTATIONS)
