"""Running the benchmark: generators, image sets and methods, to what each reproduces.

Memory holds codes and errors; images are read once for all models that see them alike, and lie on
disk. Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.cache import Coder, CoderLike
from latentmap.codes import one_of_each, units_of
from latentmap.errors import ImageError, ModelError, SpaceError
from latentmap.expressiveness.blindness import Cells, group_codes
from latentmap.expressiveness.coverage import FEWEST, Coverage, measure_coverage
from latentmap.expressiveness.difficulty import compare_difficulty
from latentmap.expressiveness.image_sets import ImageSet
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
from latentmap.expressiveness.scoring import Grouping, calibrate, score_set
from latentmap.expressiveness.spreads import mean_image, squares_from
from latentmap.images.spooled import SpooledImages
from latentmap.inversion.inverting import decoding_errors, encode_all, require_method
from latentmap.mapping import LinearMap
from latentmap.model import Model, count_seen, generated_images, images_between

_BATCH = 64
_SHORT = 6  # Digits of a fingerprint that tell two models of one name apart.


@dataclass(frozen=True, eq=False)
class _Groups:
    """The codes of a set in the encoder, for coverage, the positions ``kept`` of their images, the
    cells that they are in, and the encoder's own error of every image, if it has a decoder.
    """

    codes: Tensor
    kept: np.ndarray
    cells: Cells
    mse: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Own:
    """A generator's own images as it sees them, and their codes in the encoder."""

    images: SpooledImages
    ids: np.ndarray
    encoded: Tensor | None


def bench(
    models: Sequence[Model],
    image_sets: Sequence[ImageSet],
    coder: CoderLike,
    *,
    options: BenchOptions | None = None,
    encoder: Model | None = None,
    mapped: tuple[LinearMap, Model] | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> list[Expressiveness]:
    """How well each generator reproduces images that it makes itself, and the image sets.

    With an ``encoder``, the figures of coverage are measured on its codes, and images that are in
    no sectors are grouped by these, so that errors are known by group; its own errors, where it has
    a decoder, say which images are hard for any model. The first of several sets that is no support
    set is taken for random images of the data: how much harder the others are is measured beside
    it (see ``Difficulty``). ``mapped`` is a map into the space of one of
    the models, and the model that it comes from: codes of the image sets are carried through it.
    Own images are kept in
    the cache of ``coder``, whose folder also takes, as long as results refer to them, 8-bit copies
    of all images; codes are found anew, in float32. ``record`` goes into each result, and
    so do the methods that were ``left_out`` for lack of a network, by the name of the result. Where
    models have one name, results have more in theirs: the kind of the space, or some of the
    fingerprint.

    Raises:
        ModelError: a model is given twice, a method needs a network that it lacks, or a model
            cannot truncate codes.
        SpaceError: the map belongs to none of the models, or does not come from its source.
        ImageError: there are fewer than 2 own images, or images cannot be read or seen.
    """
    runs = Runs(options or BenchOptions(), Coder.of(coder), seed, encoder, mapped)
    _check(models, image_sets, runs)
    groups = [_group(image_set, encoder, runs) for image_set in image_sets] if encoder else None
    names = names_of(models)
    made_by = {
        "seed": seed,
        "truncation": runs.options.truncation,
        "search": asdict(runs.options.search),
        "targets": {image_set.name: image_set.images.fingerprint for image_set in image_sets},
        "n_seen": {
            one.name: count_seen(models, one.digests, one.images.groups) for one in image_sets
        },
        "encoder": encoder and encoder.fingerprint,
        "encoder_name": encoder and encoder.name,
        "random": None if (random := random_of(image_sets)) is None else random.name,
        "map": mapped and {**mapped[0].provenance, "digest": mapped[0].digest},
        "left_out": {
            name: left_out
            for name, model in zip(names, models, strict=True)
            if (left_out := methods_left_out(model, runs.options.methods))
        },
        **(record or {}),
    }
    return [
        _bench_one(name, model, image_sets, groups, runs, made_by)
        for name, model in zip(names, models, strict=True)
    ]


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
            parts.append((_prior_of(model) or model.fingerprint)[:_SHORT])
        names.append(" ".join(parts))
    return names


def _prior_of(model: Model) -> str:
    """What tells models of equal weights apart: the prior that was fitted, if one was."""
    return "" if model.prior is None else model.prior.fingerprint


def require_different(models: Sequence[Model]) -> None:
    """Refuses a model that is given twice.

    Raises:
        ModelError: one is.
    """
    known: dict[tuple[str, str, str], str] = {}
    for model in models:
        key = (model.fingerprint, model.space.kind, _prior_of(model))
        if key in known:
            raise ModelError(f"{known[key]} and {model.name} are one model: give each once")
        known[key] = model.name


def require_names(image_sets: Sequence[ImageSet]) -> None:
    """Refuses an image set that is given twice.

    Raises:
        ImageError: one is.
    """
    names = [image_set.name for image_set in image_sets]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ImageError(f"the image set {twice} is given twice: give every set once")


def _check(models: Sequence[Model], image_sets: Sequence[ImageSet], runs: Runs) -> None:
    """Everything that can be wrong, before any work."""
    options, encoder = runs.options, runs.encoder
    if options.own < 2:
        raise ImageError(f"a generator must reproduce at least 2 own images, not {options.own}")
    require_names(image_sets)
    require_different(models)
    for model in models:
        if not model.can_decode:
            model.require_decoder()
        if options.methods is not None and "search" not in options.methods:
            for method in options.methods:
                require_method(model, method)
    for seeing in (*models, *([] if encoder is None else [encoder])):
        for image_set in image_sets:
            image_set.seen_by(seeing)
    if encoder is not None:
        _check_encoder(
            encoder,
            min([options.own, *(len(np.unique(units_of(one.digests))) for one in image_sets)]),
        )
    if runs.mapped is not None:
        _check_map(*runs.mapped, models)


def _check_encoder(encoder: Model, fewest: int) -> None:
    if fewest < FEWEST:
        raise ImageError(
            f"coverage takes at least {FEWEST} own images and images of every image_set, not "
            f"{fewest}: take more, or leave out the encoder"
        )
    if not encoder.can_encode:
        raise ModelError(
            f"{encoder.name} ({encoder.family}) has no encoder to group images with: give a VAE, "
            "or a generator with an inversion network"
        )


def _check_map(linear_map: LinearMap, source: Model, models: Sequence[Model]) -> None:
    if not linear_map.source.same_as(source.space):
        raise SpaceError(
            f"this map goes from {linear_map.source}: give that model with --src, not "
            f"{source.name} ({source.space})"
        )
    if not any(linear_map.target.same_as(model.space) for model in models):
        raise SpaceError(
            f"this map goes to {linear_map.target}, which is the space of none of "
            f"{', '.join(model.name for model in models)}: bench the model that it goes to"
        )


def _bench_one(
    name: str,
    model: Model,
    image_sets: Sequence[ImageSet],
    groups: Sequence[_Groups] | None,
    runs: Runs,
    record: Mapping[str, Any],
) -> Expressiveness:
    methods = methods_of(model, runs.options.methods)
    own = _own_images(model, runs)
    by_method = reproduce(model, own.images, methods, "own", runs, own=None)
    random = random_of(image_sets)
    mean = None
    if random is not None:
        mean = mean_image(see(random.images, random.seen_by(model), runs))
    results = []
    for number, image_set in enumerate(image_sets):
        images = see(image_set.images, image_set.seen_by(model), runs)
        kept = images.positions
        every = image_set.held_out(kept)
        found = reproduce(model, images, methods, image_set.name, runs, own=by_method, held=every)
        if runs.mapped is not None and runs.mapped[0].target.same_as(model.space):
            found[MAPPED] = carry(*runs.mapped, model, images, image_set, runs)
        group = groups[number] if groups else None
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
                grouping=_grouping(image_set, kept, group, own),
                skipped=tuple(str(image_set.ids[position]) for position in images.failed),
                coverage=_coverage(image_set, group, own, runs),
            )
        )
    own_wholes = _variance_of(own.images)
    return Expressiveness(
        name=name,
        family=model.family,
        space=model.space.kind,
        fingerprint=model.fingerprint,
        own=score_set("own", own.ids, own.images, by_method, wholes=own_wholes, seed=runs.seed),
        sets=_beside_random(results, None if random is None else random.name, runs.seed),
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


def _beside_random(results: Sequence[SetScores], random: str | None, seed: int) -> list[SetScores]:
    """The same with how much harder each is than random images."""
    known = next((scores for scores in results if scores.name == random), None)
    if known is None:
        return list(results)
    return [
        scores
        if scores is known
        else replace(
            scores,
            against=compare_difficulty(scores.held, known.held, beside=known.name, seed=seed),
        )
        for scores in results
    ]


def _grouping(
    image_set: ImageSet, kept: np.ndarray, group: _Groups | None, own: _Own
) -> Grouping | None:
    """The sectors of a support set, or else the cells that the encoder makes of the images."""
    reference = None if group is None or group.mse is None else group.mse[kept]
    if image_set.sector is not None:
        return Grouping(image_set.sector[kept], reference, variables=image_set.variables)
    if group is None:
        return None
    own_sector = None if own.encoded is None else group.cells.nearest(own.encoded)
    return Grouping(group.cells.number[kept], reference, own_sector)


def _own_images(model: Model, runs: Runs) -> _Own:
    """Images of the generator, the same every time."""
    n, encoder, folder = runs.options.own, runs.encoder, runs.coder.generated
    drawn: Any = {"seed": runs.seed, "truncation": runs.options.truncation}
    with runs.coder.stage(f"generating with {model.name}") as progress:
        if encoder is None:
            images = generated_images(model, n, **drawn, folder=folder, progress=progress)
            maker = model
        else:
            images, maker, encoder = images_between(
                model, encoder, n, **drawn, folder=folder, progress=progress
            )
    seen = see(images, maker, runs)
    if encoder is None:
        return _Own(seen, images.ids, None)
    return _Own(
        seen, images.ids, encode_all(encoder, see(images, encoder, runs), batch_size=_BATCH)
    )


def _group(image_set: ImageSet, encoder: Model, runs: Runs) -> _Groups:
    """What the encoder makes of an image set; cells and errors have a place for every image."""
    with runs.coder.stage(f"grouping {image_set.name}") as progress:
        seer = image_set.seen_by(encoder)
        images = see(image_set.images, seer, runs)
        codes = encode_all(encoder, images, batch_size=_BATCH)
        cells = group_codes(codes, seed=runs.seed)
        mse = None
        if encoder.can_decode:
            errors, _ = decoding_errors(
                encoder, codes, images, batch_size=_BATCH, progress=progress
            )
            mse = np.full(len(image_set.ids), np.nan)
            mse[images.positions] = errors.double().numpy()
    number = np.full(len(image_set.ids), -1)
    number[images.positions] = cells.number
    return _Groups(codes, images.positions, Cells(number, cells.centers), mse)


def _coverage(image_set: ImageSet, group: _Groups | None, own: _Own, runs: Runs) -> Coverage | None:
    """The figures of the images of a set that the encoder can read, without copies: the ball of an
    image whose copies are its neighbours has no size.
    """
    encoder = runs.encoder
    if group is None or own.encoded is None or encoder is None:
        return None
    made_by = {"encoder": encoder.name, "encoder_fingerprint": encoder.fingerprint}
    distinct = one_of_each(units_of(image_set.digests[group.kept]), seed=runs.seed)
    return measure_coverage(
        group.codes[torch.from_numpy(distinct)],
        own.encoded,
        units=image_set.held_out(group.kept[distinct]).units,
        seed=runs.seed,
        record=made_by,
    )
