"""compare_models: how the spaces of several models relate, in one call.

Shapes: ``m`` models, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)

from latentmap.cache import Coder, CoderLike
from latentmap.codes import one_of_each
from latentmap.comparison.beyond import AllBeyond, beyond_baselines
from latentmap.comparison.calibration import least_permutations
from latentmap.comparison.context import BesideMaps, with_ceilings
from latentmap.comparison.fitting import fit_spaces
from latentmap.comparison.groups import ways_by_group
from latentmap.comparison.indexes import FEWEST
from latentmap.comparison.journeys import (
    CodeFigures,
    code_errors,
    code_figures,
)
from latentmap.comparison.layout import lay_out
from latentmap.comparison.material import Material
from latentmap.comparison.pairs import Found, pairs_of
from latentmap.comparison.pictures import CodeMaps, ImageFigures, examples_of, image_figures
from latentmap.comparison.result import ComparedModel, Composition, ModelComparison
from latentmap.comparison.sameness import same_spaces
from latentmap.comparison.similarity import ALPHA, Similarities, compare_codes
from latentmap.comparison.spaces import Joint, is_thin
from latentmap.errors import MapError, ModelError, PairError
from latentmap.images import ImageSource, Split
from latentmap.images.asked_groups import AskedGroups
from latentmap.images.finding import positions_of
from latentmap.mapping import Method
from latentmap.mapping.methods import find_method
from latentmap.mapping.moment_sums import require_room
from latentmap.model import Model, count_seen
from latentmap.progress import Stage
from latentmap.relocation.activity import inactive_models
from latentmap.relocation.baselines import BaselineModels
from latentmap.relocation.pairing import require_fitted_split
from latentmap.relocation.thumbnails import thumbnail_beside
from latentmap.transfers import device_of_sums
from latentmap.versions import versions_of

_EXAMPLES = 10
_WIDE = 1024  # Numbers of a baseline that indexes are taken of, at most.
_FOLDS = 5  # Of units, where several images are of one.
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


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and on how many images.

    Maps are fitted on one ``split``; decoded images are judged on ``scored`` random test images,
    similarity indexes on ``compared``, with ``permutations`` random pairings as null, by default as
    many as tests of all pairs at the level ``alpha`` need. ``methods`` (names in ``METHODS``, or
    records of one's own) are fitted besides ridge. With ``ceiling`` a nonlinear map stands beside
    each.
    """

    split: Split = "train"
    scored: int = 128
    compared: int = 800
    permutations: int | None = None
    methods: Sequence[str | Method] = ()
    ceiling: bool = False
    alpha: float = ALPHA

    def check(self) -> None:
        """Refuses what cannot be compared, before any work is done.

        Raises:
            PairError: fewer than 20 images are to be ``scored`` or ``compared``.
            MapError: an unknown method, ``split`` is ``test``, or fewer ``permutations`` than have
                a quantile at the level ``alpha``.
        """
        for method in self.methods:
            find_method(method)
        for what, number in (("scored", self.scored), ("compared", self.compared)):
            if number < FEWEST:
                raise PairError(f"at least {FEWEST} images can be {what}, not {number}: give more")
        least = least_permutations(self.alpha)
        if self.permutations is not None and self.permutations < least:
            raise MapError(
                f"a test at the level {self.alpha:g} needs at least {least} permutations, not "
                f"{self.permutations}: give more, or a larger level (--alpha)"
            )
        require_fitted_split(self.split)


def compare_models(
    models: Sequence[Model],
    images: ImageSource,
    coder: CoderLike = None,
    *,
    options: CompareOptions | None = None,
    baselines: Sequence[BaselineModels] | None = None,
    groups: AskedGroups | None = None,
    seed: int = 0,
    references: Sequence[str] | None = None,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> ModelComparison:
    """Maps between all models, what they lose, and how alike the spaces are without a map.

    All images are encoded whose codes are missing, each read once for all models; each model sees
    them in its own frame, size and channels. Ridge maps are fitted on one split, from the moments
    of all spaces in one pass; everything is judged on the split test: codes on all images of it,
    decoded images on random ones, similarity indexes on random ones of which none is another's copy
    or of its group. Other methods are judged by their codes.
    ``baselines`` are the models of those that stand beside each model, by default a thumbnail of as
    many numbers as it has, see ``latentmap.encoders.baselines``.
    ``groups`` are asked for of the test images, on each of which is told what maps lose.
    ``references`` are how the models are called, ``record`` is what else the result is to say.
    ``progress=True`` shows how far it is.

    Raises:
        ModelError: fewer than two models, one model twice, or one without an encoder.
        PairError: fewer than 20 units to judge by; or as ``CompareOptions.check``.
        MapError: as ``CompareOptions.check``; or the spaces are too large for this memory.
        ImageError, CacheError: as encoding raises them, and ``AskedGroups.cut``.
    """
    coder = Coder.of(coder, progress=progress)
    options = options or CompareOptions()
    require_different(models)
    options.check()
    dims = [model.latent_dim for model in models]
    if not is_thin(len(images.split(options.split)), dims):
        require_room(dims)  # Before all images are encoded.
    if baselines is None:
        baselines = [_thumbnail_of(model) for model in models]
    test_images = images.split("test")
    cuts = [] if groups is None else groups.cut(test_images)[0]  # Before all images are encoded.
    material = Material.of(models, images, coder, split=options.split, baselines=baselines)
    train, test = material.train, material.test
    references = references or [model.name for model in models]
    made = _record(models, options, coder, material, seed) | dict(record or {})
    device = device_of_sums(models[0].device)
    moments, maps, controls = fit_spaces(material, references, made, seed, device, coder.stage)
    with coder.stage("scoring codes") as told, threadpool_limits(1):
        errors = code_errors(test, maps, units=material.units, progress=told)
        ways = code_figures(errors, seed=seed)
    with coder.stage("telling spaces apart", "pairs of models") as told, threadpool_limits(1):
        same = same_spaces(train, test, maps, units=material.units, seed=seed, progress=told)
    similarities = _similarities(material, moments, options, seed, coder.stage)
    beyond = _beyond(material, moments, options, seed, coder.stage)
    scored = _draw(len(test[0]), options.scored, seed)
    seen = [codes.take(scored) for codes in test]
    beside = BesideMaps(material, controls)
    if options.ceiling:
        beside = with_ceilings(beside, list(maps), seed=seed, stage=coder.stage)
    pictures = _pictures(models, beside, {**maps, **beside.placed}, scored, seed, coder)
    contexts = {place: beside.context(place, errors, pictures, scored, seed) for place in maps}
    at = positions_of(test_images, test[0].ids)
    by_group = ways_by_group(
        [one.take(at) for one in cuts],
        errors,
        pictures,
        scored,
        units=material.units,
        places=list(maps),
        seed=seed,
    )
    found = Found(models, material, maps, ways, pictures, contexts)
    few = [codes.take(np.arange(min(_EXAMPLES, len(codes)))) for codes in seen]
    return ModelComparison(
        models=_described(models, references, found.pictures),
        pairs=pairs_of(found, options.methods, seed, coder.stage),
        same=same,
        compositions=_compositions(ways),
        similarities=similarities,
        beyond=beyond,
        by_group=by_group,
        layout=lay_out(_r2_matrix(len(models), ways)),
        examples=examples_of(models, few, maps, material.images_of(few[0])),
        n_fit=len(train[0]),
        n_test=len(test[0]),
        n_units=len(np.unique(material.units)),
        n_scored=len(seen[0]),
        record={
            **made,
            "inactive": inactive_models(maps.values()),
            "without_decoder": [model.name for model in models if not model.can_decode],
            "without_ceiling": sorted(set(beside.failed.values())),
        },
    )


def _thumbnail_of(model: Model) -> BaselineModels:
    thumbnail = thumbnail_beside(model)
    return {} if thumbnail is None else {"pixels": thumbnail}


def _record(
    models: Sequence[Model], options: CompareOptions, coder: Coder, material: Material, seed: int
) -> dict[str, Any]:
    images = material.images
    judged = positions_of(images, material.test[0].ids)
    return {
        "split": options.split,
        "seed": seed,
        "precision": coder.precision,
        "images": images.fingerprint,
        "choice": images.choice.to_json(),
        "skipped": sorted({name for codes in material.train for name in codes.skipped}),
        "n_left_out": sum(material.left_out.values()),
        "left_out": dict(material.left_out),
        "n_seen": count_seen(models, images.digests, images.groups, among=judged),
        "versions": versions_of("latentmap", "numpy", "scipy", "torch"),
    }


def _pictures(
    models: Sequence[Model],
    beside: BesideMaps,
    maps: CodeMaps,
    scored: np.ndarray,
    seed: int,
    coder: Coder,
) -> ImageFigures:
    """The figures of the decoded images, the test images at ``scored``."""
    material = beside.material
    seen, units = [codes.take(scored) for codes in beside.codes], material.units[scored]
    with coder.stage("scoring images") as progress:
        return image_figures(
            models,
            seen,
            maps,
            material.images_of(seen[0]),
            units=units,
            seed=seed,
            batch_size=coder.batch_size,
            progress=progress,
        )


def _compositions(ways: CodeFigures) -> list[Composition]:
    return [Composition(*way, ways.composed_r2[way], ways.lost_r2[way]) for way in ways.composed_r2]


def _similarities(
    material: Material, moments: Joint, options: CompareOptions, seed: int, stage: Stage
) -> Similarities:
    """The similarity indexes, on random test images, one of a unit."""
    some = _compared(material, options, seed)
    with stage("comparing spaces", "steps") as progress, threadpool_limits(1):
        return compare_codes(
            [codes.take(some).vectors for codes in material.test],
            moments,
            seed=seed,
            permutations=options.permutations,
            alpha=options.alpha,
            progress=progress,
        )


def _beyond(
    material: Material, moments: Joint, options: CompareOptions, seed: int, stage: Stage
) -> AllBeyond:
    """What they are beyond baselines, on the same images."""
    m, some = len(material.test), _compared(material, options, seed)
    codes = [codes.take(some) for codes in (*material.test, *material.controls[1])]
    beside = [
        [m + number for number in numbers.values() if codes[m + number].space.dim <= _WIDE]
        for numbers in material.controls_of
    ]
    with stage("comparing with baselines", "steps") as progress, threadpool_limits(1):
        return beyond_baselines(
            [one.vectors for one in codes],
            moments,
            beside,
            [one.space.model for one in codes],
            seed=seed,
            progress=progress,
        )


def _compared(material: Material, options: CompareOptions, seed: int) -> np.ndarray:
    """The test images that indexes compare, by position: random ones, one of a unit."""
    independent = one_of_each(material.units, seed=seed)
    found: np.ndarray = independent[_draw(len(independent), options.compared, seed)]
    return found


def _r2_matrix(n: int, ways: CodeFigures) -> np.ndarray:
    r2 = np.eye(n)
    for place, estimate in ways.r2.items():
        r2[place] = estimate.value
    return r2


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
            space_fingerprint=model.space.fingerprint,
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
