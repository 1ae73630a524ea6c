"""latentmap support order: which latent variables matter, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    force_option,
    json_option,
    precision_option,
    seed_option,
)

if TYPE_CHECKING:
    from latentmap.images import ImageSource

_LEADING = 7
_PICTURE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", metavar="MODEL")
@data_options
@click.option(
    "--leading",
    type=click.IntRange(min=1),
    metavar="K",
    help="How many variables, and their order, are to be sure.  [default: 7, or all of fewer]",
)
@click.option(
    "--exhaustive",
    is_flag=True,
    help="Measure every variable on every image, instead of only as many as will tell.",
)
@click.option("--figure", type=_PICTURE, metavar="PNG", help="The gains as sorted bars.")
@click.option(
    "--traversals",
    type=_PICTURE,
    metavar="PNG",
    help="Images with each leading variable moved from -2.25 to 2.25 about its center.",
)
@click.option(
    "--at",
    metavar="ID",
    help="The image whose code --traversals starts from.  [default: the mean code]",
)
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
def order(
    model: str,
    data: DataOptions,
    leading: int | None,
    exhaustive: bool,
    figure: Path | None,
    traversals: Path | None,
    at: str | None,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Sort a model's latent variables by information gain: what images lose without each.

    The gain of a variable is the mean over images x of mse(x, decoded without it) - mse(x,
    decoded), where without it means set to 0, or to its mean in a space other than z. The
    variables race for the first places, so that most are measured on few images; their intervals
    are wider for it.

    \b
    Examples:
      latentmap support order svae.safetensors --data faces.zip --figure gains.png
      latentmap support order svae.safetensors --data faces.zip --exhaustive --json
      latentmap support order svae.safetensors --data faces.zip --traversals t.png --at 000042.jpg
    """
    import torch

    from latentmap.cache import LatentCache
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.files import refuse_equal, refuse_existing
    from latentmap.relocation.curves import require_plots
    from latentmap.report import require_picture_suffix, save_figure
    from latentmap.support import order_variables
    from latentmap.support.gains import save_gains, traversals_figure
    from latentmap.support.ordering import check_leading

    if at is not None and traversals is None:
        raise click.UsageError("--at is where traversals start: add --traversals, or leave it out")
    refuse_equal({"--figure": figure, "--traversals": traversals})
    for path, check in ((figure, require_plots), (traversals, require_picture_suffix)):
        if path is not None:
            refuse_existing(path, force=force)
            check(path)
    loaded = load(model, device=device)
    leading = leading or min(_LEADING, loaded.latent_dim)
    check_leading(loaded, leading)
    images = data.open()
    start = None if at is None else _find(images, at)
    with progress_bar("encoding") as progress:
        codes = LatentCache(cache, notify=warn).get_or_encode(
            loaded,
            images,
            precision=precision,
            batch_size=batch_size,
            on_error=data.on_error,
            progress=progress,
        )
    warn_skipped(codes.skipped)
    with progress_bar("measuring", "decodes") as progress:
        ordering = order_variables(
            loaded,
            images,
            codes,
            leading=leading,
            exhaustive=exhaustive,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )
    if figure is not None:
        save_gains(ordering, figure, title=f"information gain of {loaded.name}")
    if traversals is not None:
        code = torch.from_numpy(ordering.mean) if start is None else _code_of(codes, start)
        save_figure(traversals_figure(loaded, ordering, code), traversals)
    if as_json:
        made_by = {"command": command_line(), "reference": model}
        print_json({**ordering.to_json(), **made_by})
        return
    click.echo(ordering)
    for path in (figure, traversals):
        if path is not None:
            click.echo(f"wrote {path}")


def _find(images: ImageSource, name: str) -> str:
    """The id of the image that is called ``name``, in full or after the last slash."""
    from latentmap.errors import ImageError
    from latentmap.images.naming import base_name

    found = [str(one) for one in images.ids if name in (str(one), base_name(str(one)))]
    if len(found) != 1:
        raise ImageError(
            f"{len(found) or 'none'} of the {len(images)} images of {images.path} is called "
            f"{name!r}: give the whole id of one, such as {images.ids[0]}"
        )
    return found[0]


def _code_of(codes: Any, name: str) -> Any:
    """The code ``(d,)`` of the image with this id."""
    import numpy as np

    from latentmap.errors import ImageError

    row = np.flatnonzero(codes.ids == name)
    if not len(row):
        raise ImageError(f"{name} could not be read, so it has no code: start from another image")
    return codes.take(row).vectors[0]
