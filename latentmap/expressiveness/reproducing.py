"""Reproducing images: by every method, and from the codes of another model.

Images are on disk, and read a few at a time: memory holds their codes and errors. Shapes: ``n``
images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from latentmap.cache import Coder
from latentmap.codes import HeldOut
from latentmap.errors import ImageError
from latentmap.expressiveness.detail import mean_detail
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.ratios import ratio_estimate
from latentmap.expressiveness.result import MAPPED, Reproduction
from latentmap.images import ImageSource, View
from latentmap.images.spooled import SpooledImages, spool_images
from latentmap.intervals import mean_estimate
from latentmap.inversion import InversionMethod, Inverted, SearchSettings, invert_tensor
from latentmap.inversion.anywhere import Anywhere, go_on_anywhere
from latentmap.inversion.inverting import (
    counted_in,
    decoding_errors,
    distances_of,
    encode_all,
)
from latentmap.mapping import LinearMap
from latentmap.model import Model
from latentmap.relocation.overlap import fitted_on

_BATCH = 64


@dataclass(frozen=True)
class BenchOptions:
    """What is measured of every generator: on how many ``own`` images, of codes at which
    ``truncation``, and by which ``methods`` codes are found; by default the search, and the network
    where a model has one.
    """

    own: int = 256
    methods: Sequence[InversionMethod] | None = None
    search: SearchSettings = field(default_factory=SearchSettings)
    truncation: float = 1.0


@dataclass(frozen=True, eq=False)
class Runs:
    """What holds for all generators and target sets. ``seen`` are the images that were read, by
    source and view: models that see them alike share them.
    """

    options: BenchOptions
    coder: Coder
    seed: int
    encoder: Model | None
    mapped: tuple[LinearMap, Model] | None
    seen: dict[tuple[ImageSource, View], SpooledImages] = field(default_factory=dict)


def methods_of(model: Model, asked: Sequence[InversionMethod] | None) -> list[InversionMethod]:
    """Those that are asked for and that the model has; without a network that is the search."""
    if not model.can_encode:
        return ["search"]
    return list(dict.fromkeys(asked or ("network", "search")))


def methods_left_out(
    model: Model, asked: Sequence[InversionMethod] | None
) -> list[InversionMethod]:
    """The methods that are asked for and that the model lacks the network for."""
    return [one for one in dict.fromkeys(asked or ()) if one not in methods_of(model, asked)]


def see(images: ImageSource, model: Model, runs: Runs) -> SpooledImages:
    """Images as a model sees them, on disk; those that cannot be read are left out."""
    known = runs.seen.get((images, model.view))
    if known is not None:
        return known
    seen = spool_images(
        images,
        model.view,
        runs.coder.keep_generated(),
        batch_size=_BATCH,
        on_error=runs.coder.on_error,
    )
    if len(seen) < 2:
        raise ImageError(
            f"only {len(seen)} of the {len(images)} images of {images.path} can be read, but a "
            "set needs 2: repair them, or give others"
        )
    runs.seen[images, model.view] = seen
    return seen


def reproduce(
    model: Model,
    images: SpooledImages,
    methods: Sequence[InversionMethod],
    name: str,
    runs: Runs,
    *,
    own: Mapping[str, Reproduction] | None,
    held: HeldOut | None = None,
) -> dict[str, Reproduction]:
    """What each method makes of some images, by its name; ``own`` is that of the own images, and
    ``held`` says of what units the images are, without it each is one.
    """
    found: dict[str, Reproduction] = {}
    for method in methods:
        started = time.perf_counter()
        label = f"{model.name}: {method}, {name}"
        with runs.coder.stage(label, counted_in(method)) as progress:
            inverted = invert_tensor(
                model,
                images,
                method=method,
                search=runs.options.search,
                seed=runs.seed,
                batch_size=runs.coder.batch_size,
                progress=progress,
            )
        anywhere = _go_on(model, images, inverted, f"{model.name}: {method} anywhere, {name}", runs)
        found[method] = _summary(
            method,
            _Decoded(
                inverted.codes.cpu(),
                inverted.mse,
                inverted.ssim,
                inverted.distance,
                inverted.limit,
            ),
            own[method].mse if own else None,
            runs,
            time.perf_counter() - started,
            held,
            anywhere,
        )
        if method != "network":
            parts = inverted.codes.split(runs.coder.batch_size or _BATCH)
            found[method] = replace(found[method], detail=mean_detail(map(model.decode, parts)))
    return found


def _go_on(
    model: Model, images: SpooledImages, inverted: Inverted, stage: str, runs: Runs
) -> Anywhere | None:
    """What a search that was held inside the range finds beyond it; None where none was."""
    if inverted.search is None or not inverted.search.holds(model):
        return None
    with runs.coder.stage(stage, "steps") as progress:
        return go_on_anywhere(
            model, images, inverted, batch_size=runs.coder.batch_size, progress=progress
        )


def carry(
    linear_map: LinearMap,
    source: Model,
    model: Model,
    images: SpooledImages,
    image_set: ImageSet,
    runs: Runs,
) -> Reproduction:
    """The images from codes that another model has of them; judged by those of whose units the map
    has seen none.
    """
    started = time.perf_counter()
    seen = see(image_set.images, image_set.seen_by(source), runs)
    # What one model can read, so can the other.
    assert np.array_equal(seen.positions, images.positions)
    moved = linear_map.apply(encode_all(source, seen, batch_size=_BATCH)).float()
    mse, alike = decoding_errors(model, moved, images, batch_size=runs.coder.batch_size or _BATCH)
    away, limit = distances_of(model, moved, seed=runs.seed)
    ids, digests = image_set.ids[images.positions], image_set.digests[images.positions]
    held = image_set.held_out(images.positions, [fitted_on(linear_map, ids, digests)])
    carried = _Decoded(moved.cpu(), mse, alike, away, limit)
    return _summary(MAPPED, carried, None, runs, time.perf_counter() - started, held)


class _Decoded(NamedTuple):
    """Codes of images, the errors and similarities of what they decode to, and their distances."""

    codes: Tensor
    mse: Tensor
    ssim: Tensor
    distance: Tensor
    limit: float


def _summary(
    method: InversionMethod | Literal["mapped"],
    found: _Decoded,
    own: np.ndarray | None,
    runs: Runs,
    seconds: float,
    held: HeldOut | None = None,
    anywhere: Anywhere | None = None,
) -> Reproduction:
    mse, alike, away = (
        part.double().cpu().numpy() for part in (found.mse, found.ssim, found.distance)
    )
    judged, units = np.arange(len(mse)), None
    if held is not None:
        judged, units = held.positions, held.units
    return Reproduction(
        method=method,
        codes=found.codes,
        mse=mse,
        ssim=alike,
        distance=away,
        distance_limit=found.limit,
        judged=judged,
        mean_mse=mean_estimate(mse[judged], units, seed=runs.seed),
        mean_ssim=mean_estimate(alike[judged], units, seed=runs.seed),
        ratio=None if own is None else ratio_estimate(mse[judged], own, units, seed=runs.seed),
        seconds=seconds,
        anywhere=anywhere,
        left_out={} if held is None else held.left_out,
    )
