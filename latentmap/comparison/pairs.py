"""What leads from each model to each other: the pairs of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)

from latentmap.codes import pair
from latentmap.comparison.context import Context
from latentmap.comparison.journeys import CodeFigures
from latentmap.comparison.kinds import are_twins, kind_of_relocation
from latentmap.comparison.material import Material
from latentmap.comparison.methods import compare_methods_of_pair
from latentmap.comparison.pictures import ImageFigures, Maps, walk
from latentmap.comparison.result import ModelPair
from latentmap.intervals import UNDEFINED
from latentmap.mapping import Method, shared_factors
from latentmap.model import Model
from latentmap.progress import Stage
from latentmap.relocation import TrainingPairs
from latentmap.relocation.scored_figures import Figures

_FACTORS = 3  # That are walked along.


@dataclass(frozen=True, eq=False)
class Found:
    """What is known of all models before each pair of them is looked at."""

    models: Sequence[Model]
    material: Material
    maps: Maps
    ways: CodeFigures
    pictures: ImageFigures
    contexts: Mapping[tuple[int, int], Context]


def pairs_of(
    found: Found, methods: Sequence[str | Method], seed: int, stage: Stage
) -> dict[tuple[int, int], ModelPair]:
    """All that is known of every ordered pair of models."""
    pairs = {}
    with stage("following shared factors", "maps") as progress:
        for done, place in enumerate(found.maps):
            pairs[place] = _pair(found, place, methods=methods, seed=seed)
            if progress:
                progress(done + 1, len(found.maps))
    return pairs


def _pair(
    found: Found, place: tuple[int, int], *, methods: Sequence[str | Method], seed: int
) -> ModelPair:
    """All that is known of the way from one model to another."""
    i, j = place
    models, material = found.models, found.material
    ways, pictures, linear_map = found.ways, found.pictures, found.maps[place]
    with threadpool_limits(1):
        factors = shared_factors(linear_map.require_moments("shared factors"), linear_map.weight)
    pairs = pair(material.train[i], material.train[j])
    source_walk, target_walk = walk(
        (models[i], models[j]), linear_map, factors, pairs=pairs, count=_FACTORS
    )
    training = TrainingPairs(
        pairs,
        models[i],
        models[j],
        material.images,
        material.train_groups,
        {},
    )
    others, failed = compare_methods_of_pair(
        training,
        test=(material.test[i], material.test[j]),
        units=material.units,
        methods=methods,
        seed=seed,
    )
    return ModelPair(
        source=i,
        target=j,
        kind=kind_of_relocation(models[i], models[j]),
        twins=are_twins(models[i], models[j]),
        linear_map=linear_map,
        figures=Figures(
            r_mse=pictures.reconstruction[i],
            l_mse=ways.l_mse[place],
            r2=ways.r2[place],
            r2_cells=UNDEFINED,
            m_mse=pictures.relocated[place],
            floor_mse=pictures.reconstruction[j],
            baseline_mse=pictures.baseline[j],
            efficiency=pictures.efficiency[place],
        ),
        context=found.contexts[place],
        cycle=ways.cycle[place],
        factors=factors,
        source_walk=source_walk,
        target_walk=target_walk,
        methods=others,
        failed=failed,
    )
