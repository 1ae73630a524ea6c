"""latentmap support order: which latent variables matter, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Reference, Text
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    coder_options,
    loading_options,
    refuse_given,
    seed_option,
    variables_option,
)
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figures_option, result_outputs
from latentmap.cli.sector_options import center_option

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from latentmap.codes import Codes
    from latentmap.images import ImageSource
    from latentmap.model import Model
    from latentmap.report import Figure
    from latentmap.support import Ordering


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@variables_option
@center_option
@click.option(
    "--exhaustive",
    is_flag=True,
    help="Measure every variable on every image, instead of only as many as will tell.",
)
@click.option(
    "--at",
    type=Text(),
    metavar="ID",
    help="For --figures: the image whose code the traversals start from.  [default: the mean code]",
)
@seed_option
@coder_options
@loading_options
@result_outputs(
    figures_option(
        "Draw gains, which are sorted bars, and traversals, images with each leading "
        "variable moved from -2.25 to 2.25 about its center, into this folder."
    )
)
def order(
    model: str,
    data: DataOptions,
    k: int | None,
    center: Any,
    exhaustive: bool,
    at: str | None,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
) -> None:
    """Sort a model's latent variables by information gain: what images lose without each.

    The gain of a variable is the mean over images x of mse(x, decoded without it) - mse(x,
    decoded), where without it means set to its center. The variables race for the first places,
    so that most are measured on few images; their intervals are wider for it. That the places are
    those of all decodes is sure to about 95 %, asymptotically; --exhaustive leaves no doubt.

    Of spatial codes channels are sorted: one is left out at all positions, and a traversal moves
    its mean over them. Of a model without decoder variances of its codes take the place of gains.

    \b
    Examples:
      latentmap support order svae.safetensors --data faces.zip --figures gains
      latentmap support order svae.safetensors --data faces.zip --exhaustive --json
      latentmap support order svae.safetensors --data faces.zip --figures gains --at 000042.jpg
    """
    import torch

    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.codes.channel_means import channel_space
    from latentmap.report import titled
    from latentmap.support import OrderOptions, SupportOptions, order_variables

    if at is not None and outputs.figures is None:
        raise click.UsageError("--at is where traversals start: add --figures, or leave it out")
    outputs.check(plot=True)
    pictures = outputs.pictures(("gains", "traversals"))
    (loaded,) = data.complete([loading.one(model)])
    if not loaded.can_decode:
        reason = f"of {loaded.name}, which has no decoder: its variances are those of all codes"
        refuse_given(click.get_current_context(), ["exhaustive", "at"], reason)
        pictures.pop("traversals", None)
    leading = SupportOptions(k=k).leading(channel_space(loaded.space).dim)
    options = OrderOptions(leading, exhaustive, center)
    options.check(loaded)
    images = data.open()
    start = None if at is None else _find(images, at)
    coder = coding.open(data)
    ordering = order_variables(loaded, images, coder, options, seed=seed)
    warn_skipped(ordering.skipped)
    if ordering.warning is not None:
        warn(ordering.warning)
    if outputs.figures is not None:
        code = torch.from_numpy(ordering.mean)
        if start is not None:
            code = _code_of(coder.passing(loaded, images.subset([start])), str(images.ids[start]))
        outputs.draw_all(_figures(pictures, loaded, ordering, code))
    chosen = {"choice": images.choice.to_json()}
    if outputs.as_json:
        made_by = {"command": command_line(), "reference": model, **chosen}
        print_json({**ordering.to_json(), **made_by})
        return
    show_result(ordering, title=titled(f"The variables of {loaded.name}", chosen))
    for path in pictures.values():
        say(f"wrote {path}")


def _figures(
    names: Collection[str], model: Model, ordering: Ordering, code: Any
) -> Iterator[tuple[str, Figure]]:
    from latentmap.support.gains import gains_plot, traversals_figure

    title = "information gain" if ordering.by == "gain" else "variance"
    yield "gains", gains_plot(ordering, title=f"{title} of {model.name}")
    if "traversals" in names:
        yield "traversals", traversals_figure(model, ordering, code)


def _find(images: ImageSource, name: str) -> int:
    """The position of the image that is called ``name``, in full or after the last slash."""
    from latentmap.errors import ImageError
    from latentmap.images.naming import base_name

    found = [
        position
        for position, one in enumerate(map(str, images.ids))
        if name in (one, base_name(one))
    ]
    if len(found) != 1:
        raise ImageError(
            f"{len(found) or 'none'} of the {len(images)} images of {images.path} is called "
            f"{name!r}: give the whole id of one, such as {images.ids[0]}"
        )
    return found[0]


def _code_of(codes: Codes, name: str) -> Any:
    """The one code ``(d,)`` of an image."""
    from latentmap.errors import ImageError

    if not len(codes):
        raise ImageError(f"{name} could not be read, so it has no code: start from another image")
    return codes.vectors[0]
