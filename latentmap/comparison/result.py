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

from latentmap.comparison.beyond import AllBeyond
from latentmap.comparison.context import Context
from latentmap.comparison.groups import WaysByGroup
from latentmap.comparison.kinds import KINDS, Kind
from latentmap.comparison.layout import Layout
from latentmap.comparison.methods import MethodFigures
from latentmap.comparison.pictures import Examples
from latentmap.comparison.sameness import Sameness
from latentmap.comparison.similarity import Similarities
from latentmap.intervals import Estimate
from latentmap.mapping import LinearMap, SharedFactors
from latentmap.relocation.beside import context_json
from latentmap.relocation.scored_figures import Figures, figures_in_words
from latentmap.report import Shown, Table


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
    space_fingerprint: str
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
            "space_fingerprint": self.space_fingerprint,
            "latent_dim": self.latent_dim,
            "image_shape": list(self.image_shape),
            "frame": dict(self.frame),
            **self.reconstruction_mse.to_json("reconstruction_mse"),
            **self.baseline_mse.to_json("baseline_mse"),
        }


@dataclass(frozen=True, eq=False)
class ModelPair:
    """What leads from model ``source`` to model ``target``, by their numbers.

    ``twins`` are retrainings of one recipe. ``context`` is what stands beside the map. ``cycle`` is
    the share of the source's variance that is lost on the way there and back. ``source_walk`` and
    ``target_walk`` ``(k, s, c, h, w)`` are images along the leading ``factors``; ``methods`` are
    other maps, where they were asked for, and ``failed`` says of the others why they have none.
    """

    source: int
    target: int
    kind: Kind
    twins: bool
    linear_map: LinearMap
    figures: Figures
    context: Context
    cycle: Estimate
    factors: SharedFactors
    source_walk: torch.Tensor
    target_walk: torch.Tensor
    methods: Sequence[MethodFigures]
    failed: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<ModelPair {self.source} to {self.target}: {figures_in_words(self.figures)}>"

    def to_json(self) -> dict[str, Any]:
        """All but tensors: each figure with ``_low`` and ``_high``, None where not defined."""
        one = self.linear_map
        return {
            "source": self.source,
            "target": self.target,
            "kind": self.kind,
            **self.figures.to_json(),
            "twins": self.twins,
            **context_json(
                self.figures, self.context.baselines, self.context.gain, self.context.ceiling
            ),
            **self.cycle.to_json("cycle"),
            "map": {
                "method": one.method,
                "settings": dict(one.settings),
                "rank": one.rank,
                "condition": one.condition,
            },
            "factors": self.factors.to_json(),
            "methods": [method.to_json() for method in self.methods],
            "failed": dict(self.failed),
        }


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
        return {**head, **self.r2.to_json("r2"), **self.lost_r2.to_json("lost_r2")}


@dataclass(frozen=True, eq=False)
class ModelComparison(Shown):
    """How the spaces of several models relate.

    ``pairs`` holds all ordered pairs of models, by their numbers; ``same`` tells of every two
    spaces of one shape whether they are the same; ``compositions`` are all ways by a third. Maps
    were fitted on ``n_fit`` images and judged on others: codes and ways on ``n_test``, of
    ``n_units`` units (see ``units_of``), images on ``n_scored`` random ones of these, similarity
    indexes on ``similarities.n``; ``beyond`` is what these are beyond baselines. ``by_group`` is
    what the maps lose on groups of images, where these were asked for.
    ``record`` says what made it.
    """

    models: Sequence[ComparedModel]
    pairs: Mapping[tuple[int, int], ModelPair]
    same: Sequence[Sameness]
    compositions: Sequence[Composition]
    similarities: Similarities
    beyond: AllBeyond
    by_group: Sequence[WaysByGroup]
    layout: Layout
    examples: Examples
    n_fit: int
    n_test: int
    n_units: int
    n_scored: int
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        names = ", ".join(model.label for model in self.models)
        return f"<ModelComparison of {names}: {len(self.pairs)} maps from {self.n_fit} images>"

    def tables(self) -> list[Table]:
        from latentmap.comparison.tables import comparison_tables

        return comparison_tables(self)

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

    @property
    def failed_in_words(self) -> list[str]:
        """The same, a line each, and why nonlinear maps that were asked for are not there."""
        n = len(self.pairs)
        return [
            *(
                f"{name} has no map{'' if count == n else f' for {count} of {n} pairs'}: {reason}"
                for (name, reason), count in self.failures.items()
            ),
            *(f"no ceiling stands beside a map: {one}" for one in self.record["without_ceiling"]),
        ]

    def to_json(self) -> dict[str, Any]:
        """All but images.

        - ``models``: a list; everywhere else models stand by their numbers in it.
        - ``pairs``, ``compositions``: lists of figures, each with ``_low`` and ``_high``.
        - ``same_spaces``: a list, of every two spaces of one shape; ``same_up_to`` is the simplest
          change by which they are the same, None where they are not, ``left`` the share of the
          variance that each leaves.
        - ``similarities``: by name of the index, with ``value``, ``low``, ``high``, ``null_mean``,
          ``p_value``, ``p_holm``, ``threshold``, ``calibrated`` (with ``_low`` and ``_high``),
          ``spectra_mean``, ``spectra_threshold`` and ``spectra_p`` as lists of rows, and what the
          index is; see ``SimilarityMatrix``.
        - ``nearer``: by name of the index, a list: how much more alike ``space`` is to ``first``
          than to ``second``, and ``p_value`` and ``p_holm`` of that.
        - ``beyond_baselines``: by name of the index, for every two models how much more alike they
          are than the best baseline of either.
        - ``shared_variates``: held-out canonical correlations of each two spaces.
        - ``by_group``: a list of cuts, each with its ``ways``: what a map loses on a group.
        - ``layout``: ``distances``, ``positions`` in a plane and how much it shows.
        - ``kinds``: what the kinds of relocation are.
        - ``n_fit``, ``n_test``, ``n_units``, ``n_scored``, ``n_compared``, ``permutations``,
          ``alpha``, ``examples`` (ids).
        - ``record``: what made it.

        A number that is not defined is None.
        """
        return {
            "models": [model.to_json() for model in self.models],
            "pairs": [pair.to_json() for pair in self.pairs.values()],
            "compositions": [way.to_json() for way in self.compositions],
            "same_spaces": [one.to_json() for one in self.same],
            "similarities": {
                name: matrix.to_json() for name, matrix in self.similarities.matrices.items()
            },
            "nearer": {
                name: [one.to_json() for one in tests]
                for name, tests in self.similarities.nearer.items()
            },
            "beyond_baselines": {
                name: [{"first": i, "second": j, **one.to_json()} for (i, j), one in found.items()]
                for name, found in self.beyond.items()
            },
            "shared_variates": [one.to_json() for one in self.similarities.variates],
            "by_group": [one.to_json() for one in self.by_group],
            "layout": self.layout.to_json(),
            "kinds": {str(kind): meaning for kind, meaning in KINDS.items()},
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "n_units": self.n_units,
            "n_scored": self.n_scored,
            "n_compared": self.similarities.n,
            "permutations": self.similarities.permutations,
            "alpha": self.similarities.alpha,
            "examples": self.examples.ids.tolist(),
            "record": dict(self.record),
        }
