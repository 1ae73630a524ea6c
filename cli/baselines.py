"""The baselines that stand beside a map, as a command asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from latentmap.mapping.options import FitOptions

if TYPE_CHECKING:
    from latentmap.cli.fit_request import Fitted
    from latentmap.encoders.baselines import FoundBaselines
    from latentmap.images import ImageSource
    from latentmap.model import Model
    from latentmap.relocation import Baseline
    from latentmap.relocation.baselines import BaselineKind, BaselineModels


def beside(
    context: click.Context, kinds: Collection[BaselineKind], options: FitOptions
) -> Callable[[Model, Model, ImageSource], BaselineModels]:
    """What finds the models of the baselines of a map; says why where one is missing that was asked
    for by name.
    """

    def find(source: Model, target: Model, images: ImageSource) -> BaselineModels:
        from latentmap.encoders.baselines import baselines_between

        found = baselines_between(source, target, images, kinds=kinds, patch=options.patch)
        tell_missing(context, found)
        return found.models

    return find


def tell_missing(context: click.Context, found: FoundBaselines) -> None:
    """Says which baselines there are not, where they were asked for by name."""
    from latentmap.cli.output import warn

    if context.get_parameter_source("kinds") is ParameterSource.COMMANDLINE:
        for kind, reason in found.missing.items():
            warn(f"no baseline {kind} stands beside this map: {reason}")


def fitted_baselines(found: Fitted, options: FitOptions, seed: int) -> list[Baseline]:
    """The maps that read the codes of baselines; says why where there is none."""
    from latentmap.cli.output import warn
    from latentmap.errors import LatentmapError
    from latentmap.relocation import fit_baseline

    fitted = []
    for kind, model in found.baselines.items():
        try:
            with found.coder.stage(f"fitting {model.name}", "steps") as progress:
                one = fit_baseline(
                    found.training,
                    kind,
                    model,
                    found.coder,
                    options=options,
                    seed=seed,
                    progress=progress,
                )
        except LatentmapError as error:
            warn(f"no {model.name} stands beside this map: {error}")
            continue
        fitted.append(one)
    return fitted
