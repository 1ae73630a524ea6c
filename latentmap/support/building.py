"""Building a support set of a model and images: leading variables, the choice, and its spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Space, find_ids, units_of
from latentmap.codes.channel_means import channel_space
from latentmap.errors import SupportError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.model import Model
from latentmap.relocation.fitting import posterior_noise
from latentmap.support.activity import inactivity_of
from latentmap.support.centers import check_center
from latentmap.support.occupancy import count_units
from latentmap.support.ordering import OrderOptions, order_by_gain
from latentmap.support.sectors import check_count, check_variables
from latentmap.support.selection import ChoiceOptions, choose_support_set
from latentmap.support.spread import measure_spread
from latentmap.support.support_set import SupportSet

_LEADING = 7
_POSTERIORS = 2048  # Images whose posterior variances stand for all.


@dataclass(frozen=True)
class SupportOptions(ChoiceOptions):
    """How a support set is built: what ``ChoiceOptions`` has, and its leading variables, which are
    channels where codes have channels at positions.

    ``k`` is the number of leading variables that are looked for, by default 7 (of a smaller space
    all) for the strategy ``sectors`` and none for its rivals; ``variables`` are these themselves,
    which are not looked for then. ``with_images`` keeps the images in the set.

    Raises:
        SupportError: ``k`` and ``variables`` are both given, or the strategy is unknown.
    """

    k: int | None = None
    variables: tuple[int, ...] | None = None
    with_images: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k is not None and self.variables is not None:
            raise SupportError("variables are the leading ones: leave out k, which counts them")

    def finds_leading(self, space: Space) -> bool:
        """Whether variables have to be ordered first: some lead, and none are given."""
        return not self.variables and self.leading(channel_space(space).dim) > 0

    def leading(self, dim: int) -> int:
        """How many variables lead in a space of ``dim`` of them."""
        if self.variables is not None:
            return len(self.variables)
        if self.k is not None:
            return self.k
        return min(_LEADING, dim) if self.strategy == "sectors" else 0

    def check(self, space: Space, n: int | None = None) -> None:
        """Refuses, before any work, what a space, and ``n`` images where their number is known,
        cannot have.

        Raises:
            SupportError: there are fewer variables, or fewer images than sectors; or as
                ``check_center`` raises it.
        """
        space = channel_space(space)
        check_center(self.center, space)
        check_count(self.leading(space.dim), space.dim, n)
        check_variables(self.variables or (), space.dim)


def build_support_set(
    model: Model,
    images: ImageSource,
    coder: CoderLike = None,
    options: SupportOptions | None = None,
    *,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> SupportSet:
    """A support set of ``images`` by their codes in the space of ``model``.

    Leading variables that are not given are those of the largest information gain, see
    ``order_by_gain``. The settings of the set have ``record``, the ids of images that were
    ``skipped``, a ``warning`` where no variable is active, the ``gain`` of these variables (of a
    model that has no decoder their ``variance``, by which they are sorted), their mean
    ``posterior_variance`` over random images where codes are means of a posterior, and, where the
    set has two images or more and the images two units, its ``spread``, see ``measure_spread``.
    ``progress=True`` shows how far it is.

    Raises:
        SupportError: as for ``choose_support_set``, ``order_by_gain`` and ``measure_spread``.
        ImageError, CacheError, ModelError: as encoding raises them.
    """
    options, coder = options or SupportOptions(), Coder.of(coder, progress=progress)
    options.check(model.space, len(images))
    (codes,) = coder.codes([model], images)
    made_by = {
        **(record or {}),
        "choice": images.choice.to_json(),
        "skipped": list(codes.skipped),
        "warning": inactivity_of(codes),
    }
    variables, leading = options.variables or (), options.leading(channel_space(model.space).dim)
    if options.finds_leading(model.space):
        with coder.stage("ordering variables", "decodes") as told:
            found = order_by_gain(
                model,
                images,
                codes,
                OrderOptions(leading=leading, center=options.center),
                seed=seed,
                progress=told,
            )
        variables = tuple(int(number) for number in found.order[:leading])
        made_by[found.by] = [float(found.gain[variable]) for variable in variables]
        made_by["confidence"] = found.confidence
    with coder.stage("choosing", "steps") as told:
        support = choose_support_set(codes, variables, options, seed=seed, progress=told)
    units = units_of(codes.digests, groups_of(images, codes.ids))
    support = count_units(support, codes, units, seed=seed)
    support = support.with_settings(**made_by)
    if options.with_images:
        support = support.with_images(images)
    readable = images.subset(np.flatnonzero(find_ids(codes.ids, images.ids) >= 0))
    support = _with_posterior(support, model, readable, seed=seed)
    if min(len(support), support.n_units) < 2:
        return support
    return support.with_settings(spread=measure_spread(support, readable, seed=seed).to_json())


def _with_posterior(
    support: SupportSet, model: Model, images: ImageSource, *, seed: int
) -> SupportSet:
    """The set with the mean posterior variance of its leading variables, over at most 2,048 random
    images, where it is the spread that its codes lack: of posterior means in a space with a prior.
    """
    variables = support.settings["variables"]
    sampled = images.codes_in(model.space) is not None
    if (
        not variables
        or sampled
        or channel_space(model.space).kind != "z"
        or not model.has_posterior
    ):
        return support
    drawn = np.random.default_rng(seed).permutation(len(images))[:_POSTERIORS]
    noise = posterior_noise(model, images.subset(np.sort(drawn)))
    return support.with_settings(posterior_variance=noise[variables].tolist())
