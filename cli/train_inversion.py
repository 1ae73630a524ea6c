"""latentmap train inversion: from a generator to an encoder/decoder pair."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from latentmap.cli.options import (
    DataOptions,
    NumberRange,
    class_option,
    data_options,
    device_option,
    force_option,
    json_option,
    seed_option,
)
from latentmap.cli.training import model_out_option, resume_option, training_precision_option

# A test compares these with the library's own lists, which cannot be imported here without torch.
ARCHITECTURES = ("residual", "plain")
SCHEDULES = ("one-cycle", "constant")


@click.command()
@click.option(
    "--generator",
    required=True,
    metavar="MODEL",
    help="The model file of the generator; of an inverted model, the generator in it is taken.",
)
@model_out_option
@click.option(
    "--space",
    type=click.Choice(("w", "z")),
    help="The space that the network gives codes in.  [default: the generator's own]",
)
@class_option
@click.option(
    "--view",
    default="full",
    show_default=True,
    metavar="BOX",
    help="The part of the generated picture that the network sees and the model shows: full, "
    "center, or top,left,bottom,right from 0 to 1.",
)
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="residual",
    show_default=True,
    help="Kind of network; plain is the published one.",
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    metavar="N",
    help="Channels of the first layer; they double at every further one.  [default: by the "
    "architecture]",
)
@click.option(
    "--image-weight",
    type=NumberRange(min=0),
    default=0.0,
    show_default=True,
    help="Weight of the mse of the images generated again, beside 1 for that of the codes in units "
    "of their variance.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=5000,
    show_default=True,
    help="Optimisation steps, each with new images.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Images a step.",
)
@click.option(
    "--learning-rate",
    type=NumberRange(min=0, min_open=True),
    help="Of Adam; its height, where it changes.  [default: 0.002; plain 0.001]",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Course of the learning rate.  [default: one-cycle; plain constant]",
)
@click.option(
    "--held-out",
    type=click.IntRange(min=2),
    default=2000,
    show_default=True,
    metavar="N",
    help="Generated images that the figures are of.",
)
@functools.partial(data_options, required=False)
@resume_option
@device_option
@training_precision_option
@seed_option
@force_option
@json_option
def inversion(
    generator: str,
    data: DataOptions,
    label: int | None,
    out: Path,
    device: str,
    resume: bool,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train the network that gives a generator's codes of images.

    \b
    Examples:
      latentmap train inversion --generator stylegan.safetensors --out inverted.safetensors
      latentmap train inversion --generator gan.safetensors --architecture plain \\
          --data faces.zip --split test --out inverted.safetensors

    It learns from images that the generator makes, new ones at every step. The output is one file
    that encodes and decodes, with codes in the generator's space. Real images (--data) are only
    measured.
    """
    from latentmap.cli.output import command_line, print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.encoders.inverted import unwrap
    from latentmap.encoders.native import read_header
    from latentmap.encoders.sampling import adjust
    from latentmap.encoders.training.train_inversion import InversionSettings, train_inversion

    if data.path is None and data != DataOptions(None):
        raise click.UsageError(
            "options that choose images are for --data: leave them out, or give it"
        )
    chosen = InversionSettings(**settings)
    with progress_bar("training") as progress, progress_bar("measuring") as measuring:
        model = train_inversion(
            adjust(unwrap(load(generator, device=device)), label=label),
            chosen,
            out=out,
            real=None if data.path is None else data.open(),
            resume=resume,
            force=force,
            on_error=data.on_error,
            record={"command": command_line()},
            progress=progress,
            measuring=measuring,
        )
    training = read_header(out).training
    held_out, real = training["held_out"], training.get("real")
    if as_json:
        result = {"model": str(out), "fingerprint": model.fingerprint, "space": model.space.kind}
        print_json({**result, "held_out": held_out, "real": real})
        return
    click.echo(f"{out}: {model}")
    click.echo(
        f"  codes   R2 {held_out['code_r2']:.4f}, a variable {held_out['code_r2_mean']:.4f}  "
        f"({held_out['samples']} generated images)"
    )
    click.echo(
        f"  images  mse {held_out['image_mse']:.5f} of a variance of "
        f"{held_out['image_variance']:.5f}"
    )
    if real is not None:
        click.echo(
            f"  real    mse {real['image_mse']:.5f}, {real['ratio']:.1f} times as much  "
            f"({real['images']} images)"
        )
