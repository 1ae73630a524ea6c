"""From models and images to what is explored: codes, maps, the order of the variables, controls."""

from __future__ import annotations

from collections.abc import Sequence

from latentmap.cache import Coder, CoderLike
from latentmap.errors import ExplorerError
from latentmap.explorer.controls import direction_controls, factor_controls, variable_controls
from latentmap.explorer.explored import Explored, Target
from latentmap.explorer.named_codes import CodesById
from latentmap.explorer.variable_order import order_for_sliders
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.model import Model
from latentmap.relocation import require_models, training_pairs
from latentmap.relocation.fitting import fit_training
from latentmap.support import SupportSet


def explore_spaces(
    source: Model,
    targets: Sequence[Model],
    images: ImageSource,
    coder: CoderLike = None,
    *,
    training: ImageSource | None = None,
    maps: Sequence[LinearMap] = (),
    references: Sequence[str] = (),
    support: SupportSet | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Explored:
    """All that the explorer needs of a source and some targets on ``images``.

    A target that none of the ``maps`` leads to gets one that is fitted on the ``training`` images,
    by default the split train of the images; ``references`` are how source and targets are called,
    for these. A ``support`` set is one of the source. ``progress=True`` shows how far it is.

    Raises:
        ExplorerError: a map leads elsewhere.
        SpaceError: the support set is of another model.
        ImageError, CacheError, ModelError, PairError, MapError: as encoding and fitting raise them.
    """
    coder = Coder.of(coder, progress=progress)
    if support is not None:
        source.space.require(support.space, "the support set")
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
    ordering = order_for_sliders(source, images, codes, coder, seed=seed)
    sets = [variable_controls(codes, ordering)]
    for number, one in enumerate(reached):
        sets += filter(None, [factor_controls(one.linear_map, f"factors-{number}")])
    sets.append(direction_controls(codes, seed=seed))
    controls = {one.name: one for one in sets}
    return Explored(
        source,
        tuple(reached),
        images,
        CodesById(codes),
        ordering,
        controls,
        support=support,
    )


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
