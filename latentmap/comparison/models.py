"""compare_models: how the spaces of several models relate, in one call.

Shapes: ``m`` models, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)

from latentmap.cache import LatentCache
from latentmap.codes import pair
from latentmap.comparison.indexes import FEWEST
from latentmap.comparison.journeys import CodeFigures, code_errors, code_figures
from latentmap.comparison.kinds import kind_of_relocation
from latentmap.comparison.layout import lay_out
from latentmap.comparison.material import Material
from latentmap.comparison.methods import compare_methods_of_pair, require_methods
from latentmap.comparison.pictures import ImageFigures, Maps, examples_of, image_figures, walk
from latentmap.comparison.result import ComparedModel, Composition, ModelComparison, ModelPair
from latentmap.comparison.similarity import compare_codes
from latentmap.comparison.spaces import maps_between
from latentmap.errors import MapError, ModelError, PairError
from latentmap.images import ImageSource, OnError, Split
from latentmap.mapping import shared_factors
from latentmap.mapping.gathering import moments_of_spaces
from latentmap.model import Model, Precision
from latentmap.relocation import Stage, TrainingPairs, silent
from latentmap.relocation.scores import Figures

_EXAMPLES = 10
_FACTORS = 3  # That are walked along.
_SHORT = 6  # Digits of a fingerprint that tell two models of one name apart.


def require_different(models: Sequence[Model]) -> None:
    """Refuses models that cannot be compared with each other, before any work is done.

    Raises:
        ModelError: there are fewer than two, or one is given twice.
    """
    if len(models) < 2:
        raise ModelError(f"a comparison needs at least 2 models, not {len(models)}: give another")
    seen: dict[str, str] = {}
    for model in models:
        if model.fingerprint in seen:
            raise ModelError(
                f"{seen[model.fingerprint]} and {model.name} are one model "
                f"({model.fingerprint[:12]}), given twice: leave one out"
            )
        seen[model.fingerprint] = model.name


def compare_models(
    models: Sequence[Model],
    images: ImageSource,
    *,
    cache: LatentCache,
    split: Split = "train",
    seed: int = 0,
    scored: int = 128,
    compared: int = 800,
    permutations: int = 99,
    methods: Sequence[str] = (),
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    references: Sequence[str] | None = None,
    record: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
) -> ModelComparison:
    """Maps between all models, what they lose, and how alike the spaces are without a map.

    All images are encoded that ``cache`` lacks, each read once for all models; each model sees them
    in its own frame, size and channels. Ridge maps are fitted on one split, from the moments of all
    spaces in one pass; everything is judged on the split test: codes on all images of it, decoded
    images on ``scored`` random ones, similarity indexes on ``compared``, with ``permutations``
    random pairings as null. ``methods`` (names of ``SOLVERS``) are fitted besides, and judged by
    their codes. ``references`` are how the models are called, ``record`` is what else the result is
    to say.

    Raises:
        ModelError: fewer than two models, one model twice, or one without an encoder.
        PairError: fewer than 20 test images, ``scored`` or ``compared``, or all of one group.
        MapError: an unknown method, or ``split`` is ``test``.
        ImageError, CacheError: as encoding raises them.
    """
    require_different(models)
    require_methods(methods)
    for what, number in (("scored", scored), ("compared", compared)):
        if number < FEWEST:
            raise PairError(f"at least {FEWEST} images can be {what}, not {number}: give more")
    if split == "test":
        raise MapError(
            "maps cannot be fitted on the split test: it is kept for the scores; choose train or "
            "val"
        )
    stage = stage or silent
    material = Material.of(
        models,
        images,
        split=split,
        cache=cache,
        precision=precision,
        batch_size=batch_size,
        on_error=on_error,
        stage=stage,
    )
    train, test = material.train, material.test
    some = _draw(len(test[0]), compared, seed)
    groups = material.groups_of(test[0].take(some))
    if groups is not None and len(np.unique(groups)) == 1:
        raise PairError(
            f"all {len(some)} compared images are of one group, and intervals need two or more: "
            "compare more (--compared)"
        )
    references = references or [model.name for model in models]
    made = {
        "split": split,
        "seed": seed,
        "precision": precision,
        "images": images.fingerprint,
        "skipped": sorted({name for codes in train for name in codes.skipped}),
        "versions": {name: version(name) for name in ("latentmap", "numpy", "scipy", "torch")},
        **(record or {}),
    }
    with stage("gathering moments") as progress:
        moments = moments_of_spaces(train, progress=progress)
    # As in `shared_rank`: two threads wait for each other in work this small (measured, 30 maps on
    # two busy processors: 41 s of processor time with two, 0.5 s with one).
    with stage("fitting") as progress, threadpool_limits(1):
        maps = maps_between(moments, train, references=references, record=made, progress=progress)
    with stage("scoring codes") as progress, threadpool_limits(1):
        ways = code_figures(code_errors(test, maps, progress=progress), seed=seed)
    with stage("comparing spaces") as progress, threadpool_limits(1):
        similarities = compare_codes(
            [codes.take(some).vectors for codes in test],
            moments,
            seed=seed,
            groups=groups,
            permutations=permutations,
            progress=progress,
        )
    seen = [codes.take(_draw(len(test[0]), scored, seed)) for codes in test]
    with stage("scoring images") as progress:
        pictures = image_figures(
            models,
            seen,
            maps,
            material.images_of(seen[0]),
            n_test=len(test[0]),
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )
    few = [codes.take(np.arange(min(_EXAMPLES, len(codes)))) for codes in seen]
    examples = examples_of(models, few, maps, material.images_of(few[0]))
    pairs = {}
    with stage("following shared factors") as progress:
        for done, place in enumerate(maps):
            pairs[place] = _pair(
                models, material, maps, ways, pictures, place=place, methods=methods, seed=seed
            )
            if progress:
                progress(done + 1, len(maps))
    r2 = np.eye(len(models))
    for place, estimate in ways.r2.items():
        r2[place] = estimate.value
    return ModelComparison(
        models=_described(models, references, pictures),
        pairs=pairs,
        compositions=[
            Composition(*way, ways.composed_r2[way], ways.lost_r2[way]) for way in ways.composed_r2
        ],
        similarities=similarities,
        layout=lay_out(r2),
        examples=examples,
        n_fit=len(train[0]),
        n_test=len(test[0]),
        n_scored=len(seen[0]),
        record=made,
    )


def _pair(
    models: Sequence[Model],
    material: Material,
    maps: Maps,
    ways: CodeFigures,
    pictures: ImageFigures,
    *,
    place: tuple[int, int],
    methods: Sequence[str],
    seed: int,
) -> ModelPair:
    """All that is known of the way from one model to another."""
    i, j = place
    linear_map = maps[place]
    with threadpool_limits(1):
        factors = shared_factors(linear_map.require_moments("shared factors"), linear_map.weight)
    source_walk, target_walk = walk(models[i], models[j], linear_map, factors, count=_FACTORS)
    train = material.train
    found, failed = compare_methods_of_pair(
        TrainingPairs(pair(train[i], train[j]), material.groups_of(train[i]), {}),
        models[i],
        material.images,
        test=(material.test[i], material.test[j]),
        methods=methods,
        seed=seed,
    )
    return ModelPair(
        source=i,
        target=j,
        kind=kind_of_relocation(models[i], models[j]),
        linear_map=linear_map,
        figures=Figures(
            r_mse=pictures.reconstruction[i],
            l_mse=ways.l_mse[place],
            r2=ways.r2[place],
            m_mse=pictures.relocated[place],
            floor_mse=pictures.reconstruction[j],
            baseline_mse=pictures.baseline[j],
            efficiency=pictures.efficiency[place],
        ),
        cycle=ways.cycle[place],
        factors=factors,
        source_walk=source_walk,
        target_walk=target_walk,
        methods=found,
        failed=failed,
    )


def _described(
    models: Sequence[Model], references: Sequence[str], pictures: ImageFigures
) -> list[ComparedModel]:
    names = [model.name for model in models]
    return [
        ComparedModel(
            label=model.name
            if names.count(model.name) == 1
            else f"{model.name} {model.fingerprint[:_SHORT]}",
            reference=references[number],
            family=model.family,
            fingerprint=model.fingerprint,
            space=model.space.kind,
            latent_dim=model.latent_dim,
            image_shape=model.image_shape,
            frame=model.frame.to_json(),
            reconstruction_mse=pictures.reconstruction[number],
            baseline_mse=pictures.baseline[number],
        )
        for number, model in enumerate(models)
    ]


def _draw(n: int, wanted: int, seed: int) -> np.ndarray:
    """Random positions among ``n``, none twice, in order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:wanted])
