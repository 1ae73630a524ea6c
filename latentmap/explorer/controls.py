"""The sets of controls of a source: its variables, the factors that it shares, its directions.

Shapes: ``n`` images, ``d`` latent variables of ``c`` channels, ``k`` controls; all float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentmap.codes import Codes
from latentmap.codes.channels import word_of
from latentmap.explorer.moving import AlongChannels, AlongDirections, Moving
from latentmap.mapping import LinearMap, shared_factors
from latentmap.report.words import images_in_words, in_percent
from latentmap.support import Ordering

_MOST_DIRECTIONS = 64
# By which directions are found: so many codes of so many numbers, but so many at least.
_CODES, _NUMBERS, _FEWEST = 2048, 1 << 22, 256


@dataclass(frozen=True)
class Control:
    """What one slider moves: its ``number`` in its set, its ``name``, and a ``note`` on its weight;
    a ``dead`` one does nothing that can be seen.
    """

    number: int
    name: str
    note: str
    dead: bool = False


@dataclass(frozen=True, eq=False)
class ControlSet:
    """Controls of one kind, the most important first. ``name`` is for states, ``title`` and
    ``note``, on the notes of all controls, are for people.
    """

    name: str
    title: str
    controls: tuple[Control, ...]
    moving: Moving
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Names and notes, without how codes are moved."""
        return {
            "name": self.name,
            "title": self.title,
            "note": self.note,
            "controls": [vars(control) for control in self.controls],
        }


def variable_controls(codes: Codes, ordering: Ordering) -> ControlSet:
    """The variables (or channels) of a source in the order of their information gain."""
    dead = {*(ordering.inactive or ()), *ordering.dropped}
    if len(dead) == len(ordering.order):
        dead = set()  # Of a model that learned nothing all are looked at.
    controls = [
        Control(i, f"{ordering.what} {i}", _measured(ordering, i), i in dead)
        for i in ordering.order.tolist()
    ]
    unit = np.where(ordering.unit > 0, ordering.unit, 1.0)
    moving = AlongChannels(
        torch.from_numpy(ordering.center).double(),
        torch.from_numpy(unit).double(),
        codes.space.shape,
    )
    word = word_of(codes.space.shape)
    return ControlSet("variables", f"{word}s", tuple(controls), moving, _counted(ordering))


def _measured(ordering: Ordering, number: int) -> str:
    """What a variable is ordered by, with half of its 95 % interval: few images can tell little."""
    half = float(ordering.high[number] - ordering.low[number]) / 2
    about = f" ± {half:.2g}" if math.isfinite(half) else ""
    return f"{ordering.by} {ordering.gain[number]:.2g}{about}"


def _counted(ordering: Ordering) -> str:
    """On how many images the variables were measured."""
    least, most = int(ordering.images.min()), int(ordering.images.max())
    first = f"{least:,} to " if least < most else ""
    return f"The {ordering.by} of {ordering.what}s is that of {first}{images_in_words(most, most)}."


def factor_controls(linear_map: LinearMap, name: str) -> ControlSet | None:
    """The factors that a source shares with the target of a map, called ``name`` in states; None of
    a map that does not know them.
    """
    moments = linear_map.moments
    if moments is None or linear_map.patches is not None:
        return None
    found = shared_factors(moments, linear_map.weight)
    k = min(len(found.share), _MOST_DIRECTIONS)
    controls = [
        Control(i, f"factor {i + 1}", f"{in_percent(float(found.share[i]), 1)} of the target")
        for i in range(k)
    ]
    moving = AlongDirections(moments.mean_x, found.source_patterns[:k], found.source_weights[:k])
    title = f"factors shared with {linear_map.target.model}"
    return ControlSet(name, title, tuple(controls), moving)


def direction_controls(codes: Codes, *, seed: int) -> ControlSet:
    """The principal directions of some codes, found on random ones of many."""
    most = min(_CODES, max(_NUMBERS // codes.space.dim, _FEWEST))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
    vectors = codes.take(chosen).vectors.double()
    mean = vectors.mean(0)
    about = vectors - mean
    n, d = about.shape
    # Of more variables than codes the products between codes are fewer.
    products = about.T @ about if d <= n else about @ about.T
    values, vectors = torch.linalg.eigh(products)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = (values > 1e-9 * values[0]).nonzero()[:_MOST_DIRECTIONS, 0]
    values, vectors = values[kept], vectors[:, kept]
    directions = vectors.T if d <= n else (about.T @ vectors / values.sqrt()).T
    # A link means the same on every machine: which end is up is no matter of rounding.
    directions *= directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    deviations = (values / n).sqrt()[:, None]
    total = float(about.square().sum())
    controls = [
        Control(i, f"direction {i + 1}", f"{in_percent(float(value) / total, 1)} of the variance")
        for i, value in enumerate(values)
    ]
    moving = AlongDirections(mean, directions * deviations, directions / deviations)
    return ControlSet("directions", "principal directions", tuple(controls), moving)
