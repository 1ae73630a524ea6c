"""What is explored: a source, its targets with their maps, and the codes of some images.

Shapes: ``n`` images, ``d`` latent variables, codes ``(d,)`` float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes
from latentmap.codes.channel_means import channel_space
from latentmap.diagnostics import are_active, has_unit_prior
from latentmap.errors import ExplorerError, MapError
from latentmap.explorer.controls import (
    ControlSet,
    direction_controls,
    factor_controls,
    variable_controls,
)
from latentmap.explorer.named_codes import CodesById
from latentmap.explorer.places import Place, Start
from latentmap.explorer.uploads import Uploads
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.mapping.typicality import FittedCodes, Typicality
from latentmap.model import Model
from latentmap.relocation import require_models, training_pairs
from latentmap.relocation.fitting import fit_training
from latentmap.support import Ordering, OrderOptions
from latentmap.support.ordering import order_by_gain
from latentmap.support.variances import (
    means_of_channels,
    moments_of_codes,
    order_by_variance,
    traversal_units,
)

# Pixels that may be decoded to order the variables, and how many images that is to be at least.
_PIXELS, _FEWEST, _MOST = 1 << 22, 4, 256


@dataclass(frozen=True, eq=False)
class Target:
    """A model that codes are carried to by a map. ``own`` are its own codes of the images, None
    where it has none.
    """

    model: Model
    linear_map: LinearMap
    own: CodesById | None = None

    def is_outside(self, code: Tensor) -> bool | None:
        """Whether a code of the source is farther out than 99 % of codes like those of the fit, so
        that the map guesses; None where that is not known.
        """
        found = self.typicality(code)
        if found is None or not math.isfinite(found.limit):
            return None
        return bool(found.outside[0])

    def typicality(self, code: Tensor) -> Typicality | None:
        """How far a code of the source is from those of the fit; None where that is not known."""
        return None if self._fitted is None else self._fitted.typicality(code[None])

    @cached_property
    def _fitted(self) -> FittedCodes | None:
        try:
            return FittedCodes(self.linear_map)
        except MapError:
            return None


@dataclass(frozen=True, eq=False)
class Explored:
    """A source and its targets, on some images with their ``codes`` in the source; ``controls`` are
    what moves a code of the source, by name. ``command`` is the line that explores the same,
    ``report`` the folder of a report that what is found can be added to. ``uploads`` are images
    that were sent since.
    """

    source: Model
    targets: tuple[Target, ...]
    images: ImageSource
    codes: CodesById
    ordering: Ordering
    controls: Mapping[str, ControlSet]
    command: str = "latentmap explore"
    report: Path | None = None
    uploads: Uploads = field(default_factory=Uploads)

    @cached_property
    def mean(self) -> Tensor:
        """The mean code of the images."""
        return torch.from_numpy(self.ordering.mean)

    @property
    def models(self) -> list[Model]:
        """The source and the targets."""
        return [self.source, *(target.model for target in self.targets)]

    def start_at(self, start: Start) -> Tensor:
        """The code of a start.

        Raises:
            ExplorerError: the image has no code here.
        """
        if start.kind == "image":
            return self.codes.require(start.image)
        if start.kind == "random":
            return self._drawn(start.seed)
        if start.kind == "upload":
            code = self.uploads.require(start.upload).codes[0]
            if code is None:
                raise ExplorerError(
                    f"{self.source.name} has no encoder, and so no code of an image of your own: "
                    "start from another one"
                )
            return code
        return self.mean

    def own_code(self, number: int, start: Start) -> Tensor | None:
        """The own code of the image of a start in the target of a number, from 1, if it has one."""
        if start.kind == "image":
            own = self.targets[number - 1].own
            return None if own is None else own.of(start.image)
        if start.kind == "upload":
            return self.uploads.require(start.upload).codes[number]
        return None

    def code_at(self, place: Place) -> Tensor:
        """The code of a place.

        Raises:
            ExplorerError: there is no such image, set of controls, or control.
        """
        code = self.start_at(place.start)
        for name, values in place.moves:
            found = self.controls_called(name)
            known = len(found.controls)
            for number in values:
                if not 0 <= number < known:
                    raise ExplorerError(f"{name} are 0 to {known - 1}: there is no {number}")
            code = found.moving.move(code, values)
        return code

    def controls_called(self, name: str) -> ControlSet:
        """The set of controls of this name.

        Raises:
            ExplorerError: there is none.
        """
        if name not in self.controls:
            raise ExplorerError(
                f"controls are {', '.join(self.controls)}, and there are no {name[:40]!r}"
            )
        return self.controls[name]

    def images_called(self, names: Sequence[str]) -> list[int]:
        """The positions of the images of these ids.

        Raises:
            ExplorerError: there is no such image.
        """
        places = [self._places.get(name) for name in names]
        for name, place in zip(names, places, strict=True):
            if place is None:
                raise ExplorerError(f"there is no image called {name[:200]!r}: choose another")
        return [place for place in places if place is not None]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.images.ids.tolist())}

    def _drawn(self, seed: int) -> Tensor:
        """A code that the source samples, with inactive variables at their mean, where codes of
        images have them; of a source that samples from nothing that is known, a code that is normal
        along the principal directions.
        """
        known = self.source.prior is not None or self.source.space.kind != "latent"
        if known and self.source.can_decode:
            code = self.source.sample(1, seed=seed)[0].double().cpu()
            still = list(self.ordering.inactive or ())
            code[still] = self.mean[still]
            return code
        found = self.controls["directions"]
        drawn = np.random.default_rng(seed).standard_normal(len(found.controls))
        return found.moving.move(self.mean, dict(enumerate(drawn.tolist())))


def explore_spaces(
    source: Model,
    targets: Sequence[Model],
    images: ImageSource,
    coder: CoderLike = None,
    *,
    training: ImageSource | None = None,
    maps: Sequence[LinearMap] = (),
    references: Sequence[str] = (),
    seed: int = 0,
    progress: bool = False,
) -> Explored:
    """All that the explorer needs of a source and some targets on ``images``.

    A target that none of the ``maps`` leads to gets one that is fitted on the ``training`` images,
    by default the split train of the images; ``references`` are how source and targets are called,
    for these. ``progress=True`` shows how far it is.

    Raises:
        ExplorerError: a map leads elsewhere.
        ImageError, CacheError, ModelError, PairError, MapError: as encoding and fitting raise them.
    """
    coder = Coder.of(coder, progress=progress)
    found = _maps_by_target(source, targets, maps)
    encoded = [one for one in targets if _has_codes(one, images)]
    codes, *others = coder.codes([source, *encoded], images)
    own = {id(model): CodesById(one) for model, one in zip(encoded, others, strict=True)}
    reached = []
    for number, target in enumerate(targets):
        linear_map = found[number]
        if linear_map is None:
            names = (references[0], references[number + 1]) if references else ("", "")
            linear_map = _fitted(source, target, images, training, coder, names, seed)
        reached.append(Target(target, linear_map, own.get(id(target))))
    ordering = _ordered(source, images, codes, coder, seed=seed)
    sets = [variable_controls(codes, ordering)]
    for number, one in enumerate(reached):
        sets += filter(None, [factor_controls(one.linear_map, f"factors-{number}")])
    sets.append(direction_controls(codes, seed=seed))
    controls = {one.name: one for one in sets}
    return Explored(source, tuple(reached), images, CodesById(codes), ordering, controls)


def _maps_by_target(
    source: Model, targets: Sequence[Model], maps: Sequence[LinearMap]
) -> list[LinearMap | None]:
    """The map to each target, None where none of the ``maps`` leads there."""
    found: list[LinearMap | None] = [None] * len(targets)
    for one in maps:
        there = [
            number for number, target in enumerate(targets) if one.target.same_as(target.space)
        ]
        if not there:
            raise ExplorerError(
                f"the map from {one.source} leads to {one.target}, which is none of the targets: "
                "name that model after the source"
            )
        require_models(one, source, targets[there[0]])
        found[there[0]] = one
    return found


def _has_codes(model: Model, images: ImageSource) -> bool:
    known = model.can_encode or model.stored is not None
    return known or images.codes_in(model.space) is not None


def _fitted(
    source: Model,
    target: Model,
    images: ImageSource,
    training: ImageSource | None,
    coder: Coder,
    references: tuple[str, str],
    seed: int,
) -> LinearMap:
    chosen = images.split("train") if training is None else training
    pairs = training_pairs(source, target, chosen, coder, chosen=chosen, seed=seed)
    with coder.stage(f"fitting the map to {target.name}", "steps") as told:
        return fit_training(pairs, seed=seed, references=references, progress=told)


def _ordered(
    source: Model, images: ImageSource, codes: Codes, coder: Coder, *, seed: int
) -> Ordering:
    """The order of the variables by their gain on a few random images, so that it takes seconds;
    of channels at positions, whose decoders work more for an image, and where images were too few,
    by the variance of the codes. Center, unit and which are inactive are those of all codes.
    """
    channels = channel_space(source.space).dim
    options = OrderOptions(leading=min(7, channels))
    n = min(_PIXELS // (math.prod(source.image_shape[1:]) * (channels + 1)), _MOST)
    spatial = len(source.latent_shape) > 1
    if n < _FEWEST or spatial or not source.can_decode:
        return order_by_variance(source, images, codes, options, seed=seed)
    few = images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:n]))
    with coder.stage("ordering variables", "decodes") as told:
        ordering = order_by_gain(source, few, codes, options, seed=seed, progress=told)
    mean, variance = moments_of_codes(codes)
    inactive = None
    if has_unit_prior(source.space):
        inactive = tuple(np.flatnonzero(~are_active(variance)).tolist())
    return replace(
        ordering,
        center=means_of_channels(mean, source.latent_shape),
        unit=traversal_units(codes, variance),
        mean=mean,
        inactive=inactive,
    )
