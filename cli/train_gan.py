"""latentmap train gan: from images to a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from latentmap.cli.options import (
    DataOptions,
    channels_option,
    data_options,
    device_option,
    force_option,
    frame_option,
    json_option,
    resize_option,
    seed_option,
    size_option,
)


def _parse_widths(value: str | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(value, tuple):  # The default, which is that of the library.
        return value
    parts = value.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} are no widths: give whole numbers such as 64,32,16")
    return tuple(int(part) for part in parts)


_SHARE = click.FloatRange(min=0, max=1, max_open=True)


@click.command()
@data_options
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The model file to write; it holds the generator.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Passes over the images.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Optimisation steps, instead of epochs.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    default=64,
    show_default=True,
    metavar="N",
    help="Images a step.",
)
@click.option(
    "--latent-dim",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Latent variables.",
)
@click.option(
    "--base",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Channels of the coarse grid that the generator begins with.",
)
@click.option(
    "--widths",
    type=_parse_widths,
    default=(64, 32, 16),
    show_default=True,
    metavar="N,N,...",
    help="Channels after each layer of the generator; every layer doubles the size.",
)
@click.option(
    "--discriminator-widths",
    type=_parse_widths,
    default=(32, 64, 128),
    show_default=True,
    metavar="N,N,...",
    help="Channels after each layer of the discriminator; every layer halves the size.",
)
@click.option(
    "--norm",
    type=click.Choice(("batch", "none")),
    default="batch",
    show_default=True,
    help="Normalisation in both networks; none collapses easily.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-4,
    show_default=True,
    help="Of Adam, for both networks.",
)
@click.option(
    "--momentum",
    type=_SHARE,
    default=0.5,
    show_default=True,
    help="Of Adam: its first beta.",
)
@click.option(
    "--dropout",
    type=_SHARE,
    default=0.2,
    show_default=True,
    help="Of the discriminator's last layer.",
)
@click.option(
    "--label-noise",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="How far the labels that the discriminator learns are from 0 and 1, at most.",
)
@click.option(
    "--average-decay",
    type=_SHARE,
    default=0.999,
    show_default=True,
    help="The result averages the generator's weights over the last steps, with this decay a step; "
    "0 takes the last weights.",
)
@click.option("--resume", is_flag=True, help="Go on where an earlier run stopped.")
@size_option
@channels_option
@frame_option
@resize_option
@device_option
@click.option(
    "--precision",
    type=click.Choice(("float32", "bfloat16")),
    default="float32",
    show_default=True,
    help="Arithmetic of the networks; bfloat16 is for GPUs, and processors that have it.",
)
@seed_option
@force_option
@json_option
def gan(
    data: DataOptions,
    *,
    out: Path,
    latent_dim: int,
    base: int,
    widths: tuple[int, ...],
    norm: str,
    size: tuple[int, int] | None,
    channels: Literal[1, 3] | None,
    frame: str | None,
    resize: Any,
    device: str,
    resume: bool,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a generator against a discriminator (DCGAN).

    The result makes images of codes and has no encoder. The log tells of a collapse: a diversity
    far below 1 means that the generated images hardly differ.

    \b
    Examples:
      latentmap train gan --data train-images-idx3-ubyte.gz --out gan.safetensors
      latentmap train gan --data faces.zip --split train --size 64 --base 512 \\
          --widths 256,128,64 --discriminator-widths 64,128,256 --out gan.safetensors
    """
    from latentmap.cli.output import command_line, print_json, warn
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.native import read_header
    from latentmap.encoders.training.gan import COLLAPSED
    from latentmap.encoders.training.runs import working_folder
    from latentmap.encoders.training.train_gan import GANSettings, train_gan

    images = data.open()
    view = images.view(frame=frame, resize=resize, size=size, channels=channels)
    config = {
        "image_shape": [view.channels, *view.size],
        "latent_dim": latent_dim,
        "base": base,
        "widths": list(widths),
        "norm": norm,
    }
    with progress_bar("reading") as loading, progress_bar("training") as progress:
        model = train_gan(
            images,
            GANSettings(config, **settings),
            out=out,
            frame=view.frame,
            device=device,
            resume=resume,
            force=force,
            on_error=data.on_error,
            record={
                "command": command_line(),
                "split": data.split,
                "group_by": data.group_by and data.group_by.name,
            },
            loading=loading,
            progress=progress,
        )
    training = read_header(out).training
    figures = training["figures"]
    for name in training["skipped"]:
        warn(f"skipped {name}: it could not be read")
    if figures["diversity"] < COLLAPSED:
        warn(
            f"the generated images hardly differ (diversity {figures['diversity']:.2f}; the data's "
            "is 1): train longer, or start again with another --seed or --norm batch"
        )
    if as_json:
        print_json(
            {
                "model": str(out),
                "fingerprint": model.fingerprint,
                "figures": figures,
                "skipped": training["skipped"],
            }
        )
    else:
        click.echo(
            f"{out}: {model.family} {model.fingerprint[:12]}; log and pictures in "
            f"{working_folder(out)}"
        )
