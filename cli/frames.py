"""latentmap frames: what of one model's images another model sees."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.declaring import Group, number_option
from latentmap.cli.kinds import InputFile, Reference
from latentmap.cli.options import (
    Loading,
    batch_size_option,
    class_option,
    json_option,
    loading_options,
    seed_option,
    truncation_option,
)
from latentmap.cli.output import say

_BATCH = 8


@click.group(cls=Group)
def frames() -> None:
    """Bring models together that show the same things in different frames.

    \b
    Example:
      latentmap frames estimate --src stylegan.safetensors --dst vae.safetensors
    """


@frames.command()
@click.option(
    "--src",
    "maker",
    required=True,
    type=InputFile(),
    metavar="MODEL",
    help="The model with the wider frame: its images are looked at.",
)
@click.option(
    "--dst",
    "other",
    required=True,
    type=Reference(),
    metavar="MODEL",
    help="The model that sees a part of them.",
)
@number_option(
    "-n", "--samples", "samples", least=64, default=256, help="How many images are looked at."
)
@click.option(
    "--write/--no-write",
    default=True,
    show_default=True,
    help="Whether the box is kept in the file of the first model, for `latentmap fit --samples`.",
)
@class_option
@truncation_option()
@seed_option
@loading_options
@batch_size_option
@json_option
def estimate(
    maker: Path,
    other: str,
    samples: int,
    write: bool,
    label: int | None,
    truncation: float,
    seed: int,
    loading: Loading,
    batch_size: int | None,
    as_json: bool,
) -> None:
    """Find the box of one model's images that shows what another model was trained to see.

    It is the box that the other model rebuilds best, in relation to how hard its content is to
    rebuild. The box is written into the file of the first model.

    \b
    Example:
      latentmap frames estimate --src stylegan.safetensors --dst vae.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.native import add_box
    from latentmap.encoders.sampling import adjust
    from latentmap.model.framing import find_box

    source, target = loading.all([str(maker), other])
    if write and not maker.is_file():
        raise click.UsageError(
            f"{maker} is a bundled model, which stays as it is: add --no-write, or name a file"
        )
    found = find_box(
        adjust(source, label=label),
        target,
        samples,
        seed=seed,
        truncation=truncation,
        batch_size=batch_size or _BATCH,
        stage=progress_bar,
    )
    if write:
        add_box(maker, target, found.frame_name)
    if as_json:
        print_json({**found.to_json(), "written": str(maker) if write else None})
        return
    say(f"{target.name} sees the box {found.frame_name} of the images of {source.name}")
    say(f"  its error there {found.mse:.5f}, in the largest box {found.mse_whole:.5f}")
    say(
        f"  in relation to 16 directions {found.relation:.3f}, in the largest box "
        f"{found.relation_whole:.3f}"
    )
    if write:
        say(f"  written into {maker}")
