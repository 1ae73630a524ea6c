"""What the comparison of several models gives back.

Shapes: ``m`` models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from latentmap.comparison.estimates import estimate_to_json
from latentmap.comparison.kinds import KINDS, Kind
from latentmap.comparison.layout import Layout
from latentmap.comparison.methods import MethodFigures
from latentmap.comparison.pictures import Examples
from latentmap.comparison.similarity import Similarities
from latentmap.intervals import Estimate
from latentmap.mapping import LinearMap, SharedFactors

PAIR_FIGURES = (
    "r_mse",
    "l_mse",
    "r2",
    "m_mse",
    "floor_mse",
    "baseline_mse",
    "efficiency",
    "cycle",
)


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One of the models: ``label`` is its name, with some of its fingerprint where two have one.

    ``reconstruction_mse`` is its own error on the scored images, ``baseline_mse`` that of the mean
    of the test images.
    """

    label: str
    reference: str
    family: str
    fingerprint: str
    space: str
    latent_dim: int
    image_shape: tuple[int, int, int]
    frame: Mapping[str, str]
    reconstruction_mse: Estimate
    baseline_mse: Estimate

    def to_json(self) -> dict[str, Any]:
        """All of it; estimates with ``_low`` and ``_high``."""
        return {
            "label": self.label,
            "reference": self.reference,
            "family": self.family,
            "fingerprint": self.fingerprint,
            "space": self.space,
            "latent_dim": self.latent_dim,
            "image_shape": list(self.image_shape),
            "frame": dict(self.frame),
            **estimate_to_json("reconstruction_mse", self.reconstruction_mse),
            **estimate_to_json("baseline_mse", self.baseline_mse),
        }


@dataclass(frozen=True, eq=False)
class ModelPair:
    """What leads from model ``source`` to model ``target``, by their numbers.

    The figures are those of ``Scores``; ``cycle`` is the share of the source's variance that is
    lost on the way there and back. ``source_walk`` and ``target_walk`` ``(k, s, c, h, w)`` are
    images along the leading ``factors``; ``methods`` are other maps, where they were asked for, and
    ``failed`` says of the others why they have none.
    """

    source: int
    target: int
    kind: Kind
    linear_map: LinearMap
    r_mse: Estimate
    l_mse: Estimate
    r2: Estimate
    m_mse: Estimate
    floor_mse: Estimate
    baseline_mse: Estimate
    efficiency: Estimate
    cycle: Estimate
    factors: SharedFactors
    source_walk: torch.Tensor
    target_walk: torch.Tensor
    methods: Sequence[MethodFigures]
    failed: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """All but tensors: each figure with ``_low`` and ``_high``, None where not defined."""
        result: dict[str, Any] = {"source": self.source, "target": self.target, "kind": self.kind}
        for name in PAIR_FIGURES:
            result |= estimate_to_json(name, getattr(self, name))
        one = self.linear_map
        result["map"] = {
            "method": one.method,
            "settings": dict(one.settings),
            "rank": one.rank,
            "condition": one.condition,
        }
        result["factors"] = self.factors.to_json()
        result["methods"] = [method.to_json() for method in self.methods]
        result["failed"] = dict(self.failed)
        return result


@dataclass(frozen=True)
class Composition:
    """The way from ``source`` to ``target`` by a third model: its R2, and how much more the direct
    map has.
    """

    source: int
    by: int
    target: int
    r2: Estimate
    lost_r2: Estimate

    def to_json(self) -> dict[str, Any]:
        """Numbers of the models; estimates with ``_low`` and ``_high``."""
        head = {"source": self.source, "by": self.by, "target": self.target}
        return head | estimate_to_json("r2", self.r2) | estimate_to_json("lost_r2", self.lost_r2)


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """How the spaces of several models relate.

    ``pairs`` holds all ordered pairs of models, by their numbers; ``compositions`` all ways by a
    third. Maps were fitted on ``n_fit`` images and judged on others: codes and ways on ``n_test``,
    images on ``n_scored`` random ones of these, similarity indexes on
    ``similarities.n``. ``record`` says what made it.
    """

    models: Sequence[ComparedModel]
    pairs: Mapping[tuple[int, int], ModelPair]
    compositions: Sequence[Composition]
    similarities: Similarities
    layout: Layout
    examples: Examples
    n_fit: int
    n_test: int
    n_scored: int
    record: Mapping[str, Any]

    @property
    def methods(self) -> list[str]:
        """The methods that were asked for besides the maps by ridge."""
        found = (
            (*(one.method for one in pair.methods), *pair.failed) for pair in self.pairs.values()
        )
        return list(dict.fromkeys(chain.from_iterable(found)))

    @property
    def failures(self) -> Counter[tuple[str, str]]:
        """Of how many pairs a method has no map for some reason, by method and reason."""
        return Counter(failure for pair in self.pairs.values() for failure in pair.failed.items())

    def to_json(self) -> dict[str, Any]:
        """All but images.

        - ``models``: a list; everywhere else models stand by their numbers in it.
        - ``pairs``, ``compositions``: lists of figures, each with ``_low`` and ``_high``.
        - ``similarities``: by name of the index, with ``value``, ``low``, ``high``, ``null_mean``
          and ``p_value`` as lists of rows, and what the index is.
        - ``shared_variates``: held-out canonical correlations of each two spaces.
        - ``layout``: ``distances``, ``positions`` in a plane and how much it shows.
        - ``kinds``: what the kinds of relocation are.
        - ``n_fit``, ``n_test``, ``n_scored``, ``n_compared``, ``permutations``, ``examples`` (ids).
        - ``record``: what made it.

        A number that is not defined is None.
        """
        return {
            "models": [model.to_json() for model in self.models],
            "pairs": [pair.to_json() for pair in self.pairs.values()],
            "compositions": [way.to_json() for way in self.compositions],
            "similarities": {
                name: matrix.to_json() for name, matrix in self.similarities.matrices.items()
            },
            "shared_variates": [one.to_json() for one in self.similarities.variates],
            "layout": self.layout.to_json(),
            "kinds": {str(kind): meaning for kind, meaning in KINDS.items()},
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "n_scored": self.n_scored,
            "n_compared": self.similarities.n,
            "permutations": self.similarities.permutations,
            "examples": self.examples.ids.tolist(),
            "record": dict(self.record),
        }
