"""Building a support set of a model and images: leading variables, the choice, and its spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.errors import SupportError
from latentmap.images import ImageSource
from latentmap.model import Model
from latentmap.support.ordering import order_by_gain
from latentmap.support.sectors import check_count, check_variables
from latentmap.support.selection import Strategy, choose_support_set, require_strategy
from latentmap.support.spread import measure_spread
from latentmap.support.support_set import SupportSet

_LEADING = 7


@dataclass(frozen=True)
class SupportOptions:
    """How a support set is built.

    ``k`` is the number of leading variables that are looked for, by default 7 (of a smaller space
    all) for the strategy ``sectors`` and none for its rivals; ``variables`` are these themselves,
    which are not looked for then. ``strategy``, ``threshold``, ``size`` and ``strict``: see
    ``choose_support_set``. ``with_images`` keeps the images in the set.

    Raises:
        SupportError: ``k`` and ``variables`` are both given, or the strategy is unknown.
    """

    strategy: Strategy = "sectors"
    k: int | None = None
    variables: tuple[int, ...] | None = None
    threshold: float | Literal["auto"] = "auto"
    size: int | None = None
    strict: bool = False
    with_images: bool = False

    def __post_init__(self) -> None:
        require_strategy(self.strategy)
        if self.k is not None and self.variables is not None:
            raise SupportError("variables are the leading ones: leave out k, which counts them")

    def leading(self, dim: int) -> int:
        """How many variables lead in a space of ``dim`` of them."""
        if self.variables is not None:
            return len(self.variables)
        if self.k is not None:
            return self.k
        return min(_LEADING, dim) if self.strategy == "sectors" else 0

    def check(self, dim: int, n: int | None = None) -> None:
        """Refuses, before any work, what a space of ``dim`` variables, and ``n`` images where their
        number is known, cannot have.

        Raises:
            SupportError: there are fewer variables, or fewer images than sectors.
        """
        check_count(self.leading(dim), dim, n)
        check_variables(self.variables or (), dim)


def build_support_set(
    model: Model,
    images: ImageSource,
    coder: CoderLike,
    options: SupportOptions | None = None,
    *,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> SupportSet:
    """A support set of ``images`` by their codes in the space of ``model``.

    Leading variables that are not given are those of the largest information gain, see
    ``order_by_gain``. The settings of the set have ``record``, the ids of images that were
    ``skipped``, the ``gain`` of these variables and, where the set has two images or more, its
    ``spread``, see ``measure_spread``.

    Raises:
        SupportError: as for ``choose_support_set``, ``order_by_gain`` and ``measure_spread``.
        ImageError, CacheError, ModelError: as encoding raises them.
    """
    options, coder = options or SupportOptions(), Coder.of(coder)
    options.check(model.latent_dim, len(images))
    (codes,) = coder.codes([model], images)
    made_by = {**(record or {}), "skipped": list(codes.skipped)}
    variables, leading = options.variables or (), options.leading(model.latent_dim)
    if leading and not variables:
        with coder.stage("ordering variables", "decodes") as progress:
            found = order_by_gain(
                model, images, codes, leading=leading, seed=seed, progress=progress
            )
        variables = tuple(int(number) for number in found.order[:leading])
        made_by["gain"] = [float(found.gain[variable]) for variable in variables]
        made_by["confidence"] = found.confidence
    with coder.stage("choosing") as progress:
        support = choose_support_set(
            codes,
            variables,
            strategy=options.strategy,
            threshold=options.threshold,
            size=options.size,
            strict=options.strict,
            seed=seed,
            progress=progress,
        )
    support = support.with_settings(**made_by)
    if options.with_images:
        support = support.with_images(images)
    if len(support) < 2:
        return support
    readable = images.subset(np.flatnonzero(np.isin(images.ids, codes.ids)))
    return support.with_settings(spread=measure_spread(support, readable, seed=seed).to_json())
