"""Running the benchmark: generators, image sets and methods, to what each reproduces.

Memory holds codes and errors; images are read once for all models that see them alike, and lie on
disk. Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Seen
from latentmap.expressiveness.by_attribute import correct_all
from latentmap.expressiveness.checks import check_bench, prior_of
from latentmap.expressiveness.difficulty import compare_difficulty
from latentmap.expressiveness.encoded_sets import (
    EncodedSet,
    coverage_of,
    encode_set,
    grouping_of,
    own_images,
)
from latentmap.expressiveness.image_sets import ImageSet, choices_of
from latentmap.expressiveness.reproducing import (
    BenchOptions,
    Runs,
    carry,
    methods_left_out,
    methods_of,
    reproduce,
    see,
)
from latentmap.expressiveness.result import MAPPED, Expressiveness, SetScores
from latentmap.expressiveness.scoring import calibrate, score_set
from latentmap.expressiveness.spreads import mean_image, squares_from
from latentmap.images.spooled import SpooledImages
from latentmap.mapping import LinearMap
from latentmap.model import Model, count_seen

_SHORT = 6  # Digits of a fingerprint that tell two models of one name apart.


def bench(
    models: Sequence[Model],
    image_sets: Sequence[ImageSet],
    coder: CoderLike = None,
    *,
    options: BenchOptions | None = None,
    encoder: Model | None = None,
    mapped: tuple[LinearMap, Model] | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> list[Expressiveness]:
    """How well each generator reproduces images that it makes itself, and the image sets.

    With an ``encoder``, the figures of coverage are measured on its codes, and images that are in
    no sectors are grouped by these, so that errors are known by group; its own errors, where it has
    a decoder, say which images are hard for any model but itself. The first of several sets that is
    no support set is taken for random images of the data: how much harder the others are is
    measured beside it (see ``Difficulty``); and how much harder the groups of a set that is cut by
    what is known of its images (``cut_sets``), beside the rest of it. ``mapped`` is a map into the
    space of one of the models, and the model that it comes from: codes of the image sets are
    carried through it. Own images are kept in the cache of ``coder``, whose folder also takes, as
    long as results refer to them, 8-bit copies of all images; codes are found anew, in float32.
    ``record`` goes into each result, and so do the methods that were ``left_out`` for lack of a
    network, by the name of the result. Where models have one name, results have more in theirs: the
    kind of the space, or some of the fingerprint. ``progress=True`` shows how far it is.

    Raises:
        ModelError: a model is given twice, a method needs a network that it lacks, or a model
            cannot truncate codes.
        SpaceError: the map belongs to none of the models, or does not come from its source.
        ImageError: there are fewer than 2 own images, or images cannot be read or seen.
    """
    coder = Coder.of(coder, progress=progress)
    runs = Runs(options or BenchOptions(), coder, seed, encoder, mapped)
    check_bench(models, image_sets, runs)
    groups = [encode_set(image_set, encoder, runs) for image_set in image_sets] if encoder else None
    names = names_of(models)
    made_by = {
        "seed": seed,
        "truncation": runs.options.truncation,
        "search": asdict(runs.options.search),
        "choice": choices_of(image_sets),
        "targets": {image_set.name: image_set.images.fingerprint for image_set in image_sets},
        "n_seen": {
            one.name: count_seen(models, one.digests, one.images.groups) for one in image_sets
        },
        "encoder": encoder and encoder.fingerprint,
        "encoder_name": encoder and encoder.name,
        "random": None if (random := random_of(image_sets)) is None else random.name,
        "sectors": {one.name: one.sectors_digest for one in image_sets if one.sectors_digest},
        "by": list(dict.fromkeys(by.by for one in image_sets for by in one.by)),
        "map": mapped and {**mapped[0].provenance, "digest": mapped[0].digest},
        "left_out": {
            name: left_out
            for name, model in zip(names, models, strict=True)
            if (left_out := methods_left_out(model, runs.options.methods))
        },
        **(record or {}),
    }
    return correct_all(
        [
            _bench_one(name, model, image_sets, groups, runs, made_by)
            for name, model in zip(names, models, strict=True)
        ]
    )


def names_of(models: Sequence[Model]) -> list[str]:
    """The names of the models, each with what tells it from others of the same name."""
    names = []
    for model in models:
        alike = [one for one in models if one.name == model.name]
        kinds = [one.space.kind for one in alike]
        parts = [model.name]
        if len(set(kinds)) > 1:
            parts.append(model.space.kind)
        if kinds.count(model.space.kind) > 1:
            parts.append((prior_of(model) or model.fingerprint)[:_SHORT])
        names.append(" ".join(parts))
    return names


def _is_same(model: Model, other: Model) -> bool:
    """Whether two models have the same weights and codes."""
    return (model.fingerprint, model.space.kind) == (other.fingerprint, other.space.kind)


def _bench_one(
    name: str,
    model: Model,
    image_sets: Sequence[ImageSet],
    groups: Sequence[EncodedSet] | None,
    runs: Runs,
    record: Mapping[str, Any],
) -> Expressiveness:
    methods = methods_of(model, runs.options.methods)
    own = own_images(model, runs)
    by_method = reproduce(model, own.images, methods, "own", runs, own=None)
    random = random_of(image_sets)
    mean = None
    if random is not None:
        mean = mean_image(see(random.images, random.seen_by(model), runs))
    results: list[SetScores] = []
    every_kept: list[np.ndarray] = []
    for number, image_set in enumerate(image_sets):
        images = see(image_set.images, image_set.seen_by(model), runs)
        every_kept.append(images.positions)
        kept = images.positions
        every = image_set.held_out(kept)
        found = reproduce(model, images, methods, image_set.name, runs, own=by_method, held=every)
        if runs.mapped is not None and runs.mapped[0].target.same_as(model.space):
            found[MAPPED] = carry(*runs.mapped, model, images, image_set, runs)
        group = groups[number] if groups else None
        if group is not None and runs.encoder is not None and _is_same(model, runs.encoder):
            group = replace(group, mse=None)  # Over its own errors any are as hard as all others.
        wholes = _variance_of(images)
        if mean is not None:
            wholes["mean_image"] = squares_from(images, mean, among=image_set is random)
        if group is not None and group.mse is not None:
            wholes["reference"] = group.mse[kept]
        results.append(
            score_set(
                image_set.name,
                image_set.ids[kept],
                images,
                found,
                units=every.units,
                wholes=wholes,
                seed=runs.seed,
                grouping=grouping_of(image_set, kept, group, own),
                by=[one.take(kept) for one in image_set.by],
                skipped=tuple(str(image_set.ids[position]) for position in images.failed),
                coverage=coverage_of(image_set, group, own, runs),
            )
        )
    own_wholes = _variance_of(own.images)
    return Expressiveness(
        name=name,
        family=model.family,
        space=model.space.kind,
        fingerprint=model.fingerprint,
        own=score_set("own", own.ids, own.images, by_method, wholes=own_wholes, seed=runs.seed),
        sets=_beside_random(results, image_sets, every_kept, random, runs.seed),
        calibration=calibrate(float(own_wholes["variance"].mean()), by_method),
        record=record,
    )


def random_of(image_sets: Sequence[ImageSet]) -> ImageSet | None:
    """The first set that is no support set, beside which the others are measured; None where there
    is none, or no other.
    """
    found = next((one for one in image_sets if one.sector is None), None)
    return found if len(image_sets) > 1 else None


def _variance_of(images: SpooledImages) -> dict[str, np.ndarray]:
    return {"variance": squares_from(images, mean_image(images), among=True)}


def _beside_random(
    results: Sequence[SetScores],
    image_sets: Sequence[ImageSet],
    every_kept: Sequence[np.ndarray],
    random: ImageSet | None,
    seed: int,
) -> list[SetScores]:
    """The same with how much harder each is than random images, of whose units it has none."""
    if random is None:
        return list(results)
    number = next(i for i, one in enumerate(image_sets) if one is random)
    known, kept = results[number], every_kept[number]
    found = []
    for scores, image_set in zip(results, image_sets, strict=True):
        if image_set is random:
            found.append(scores)
            continue
        members = Seen("compared", image_set.digests, image_set.images.groups)
        apart = random.held_out(kept, [members]).positions
        against = {}
        if len(apart) > 1:
            others = known.held.take(apart)
            against = compare_difficulty(scores.held, others, beside=known.name, seed=seed)
        found.append(replace(scores, against=against))
    return found
