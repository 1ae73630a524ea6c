"""latentmap train: from images to a native model file."""

from __future__ import annotations

import functools
from collections.abc import Callable
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
from latentmap.cli.train_gan import gan
from latentmap.cli.train_inversion import inversion
from latentmap.cli.train_stylegan2 import stylegan2


@click.group()
def train() -> None:
    """Train a model on images and write a native model file.

    \b
    Example:
      latentmap train vae --data faces.zip --split train --epochs 40 --out vae.safetensors

    Beside the file, a folder FILE.training keeps the checkpoint, the log (a JSON line an epoch) and
    a picture an epoch. A run that was stopped goes on with --resume and ends as if it had not been.
    """


train.add_command(gan)
train.add_command(stylegan2)
train.add_command(inversion)


def _parse_widths(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    parts = value.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} are no widths: give whole numbers such as 256,64,32")
    return tuple(int(part) for part in parts)


def _training_options(
    beta: float, epochs: int
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that every VAE training has; the defaults that differ are arguments."""
    options = (
        click.option(
            "--out",
            required=True,
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The model file to write.",
        ),
        click.option(
            "--epochs",
            type=click.IntRange(min=1),
            default=epochs,
            show_default=True,
            help="Passes over the images.",
        ),
        click.option(
            "--steps", type=click.IntRange(min=1), help="Optimisation steps, instead of epochs."
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=100,
            show_default=True,
            metavar="N",
            help="Images a step.",
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(min=0, min_open=True),
            default=1e-4,
            show_default=True,
            help="Of Adam.",
        ),
        click.option(
            "--beta",
            type=click.FloatRange(min=0),
            default=beta,
            show_default=True,
            help="Weight of the KL divergence.",
        ),
        click.option(
            "--gamma",
            type=click.FloatRange(min=0, min_open=True),
            help="Fixes the balance of the loss.  [default: follows the error]",
        ),
        click.option("--resume", is_flag=True, help="Go on where an earlier run stopped."),
        size_option,
        channels_option,
        frame_option,
        resize_option,
        device_option,
        click.option(
            "--precision",
            type=click.Choice(("float32", "bfloat16")),
            default="float32",
            show_default=True,
            help="Arithmetic of the network; bfloat16 is for GPUs.",
        ),
        seed_option,
        force_option,
        json_option,
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return decorate


@train.command()
@data_options
@_training_options(beta=1.0, epochs=40)
@click.option(
    "--latent-dim",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Latent variables.",
)
@click.option(
    "--architecture",
    type=click.Choice(("conv", "dense")),
    default="conv",
    show_default=True,
    help="Kind of network.",
)
@click.option(
    "--widths",
    callback=_parse_widths,
    help="Width of each layer of the encoder.  [default: 128,256,512; dense 256,64,32]",
)
def vae(
    data: DataOptions,
    architecture: str,
    widths: tuple[int, ...] | None,
    latent_dim: int,
    **options: Any,
) -> None:
    """Train a variational autoencoder.

    \b
    Examples:
      latentmap train vae --data faces.zip --split train --out vae.safetensors
      latentmap train vae --data train-images-idx3-ubyte.gz --architecture dense \\
          --widths 256,64,32 --latent-dim 16 --epochs 20 --out mnist.safetensors
    """
    default = (128, 256, 512) if architecture == "conv" else (256, 64, 32)
    config = {
        "architecture": architecture,
        "latent_dim": latent_dim,
        "widths": list(widths or default),
    }
    _train(data, "vae", config, **options)


@train.command("split-vae")
@data_options
@_training_options(beta=3.0, epochs=40)
@click.option(
    "--latent-dim",
    type=click.IntRange(min=1),
    default=150,
    show_default=True,
    help="Latent variables.",
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Width of the first scale; it doubles at every further one.",
)
@click.option(
    "--embedding",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="Width of the dense layer beside the code.",
)
def split_vae(
    data: DataOptions, width: int, embedding: int, latent_dim: int, **options: Any
) -> None:
    """Train a Split-VAE: its decoder mixes two images by a mask.

    \b
    Example:
      latentmap train split-vae --data faces.zip --split train --out svae.safetensors
    """
    config = {"latent_dim": latent_dim, "width": width, "embedding": embedding}
    _train(data, "split-vae", config, **options)


def _train(
    data: DataOptions,
    family: str,
    config: dict[str, Any],
    *,
    out: Path,
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
    from latentmap.cli.output import command_line, print_json, warn
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.native import read_header
    from latentmap.encoders.training.runs import working_folder
    from latentmap.encoders.training.train_vae import VAESettings, train_vae

    images = data.open()
    view = images.view(frame=frame, resize=resize, size=size, channels=channels)
    config["image_shape"] = [view.channels, *view.size]
    with progress_bar("reading") as loading, progress_bar("training") as progress:
        model = train_vae(
            images,
            VAESettings(family, config, **settings),
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
    skipped = read_header(out).training["skipped"]
    for name in skipped:
        warn(f"skipped {name}: it could not be read")
    if as_json:
        print_json({"model": str(out), "fingerprint": model.fingerprint, "skipped": skipped})
    else:
        click.echo(
            f"{out}: {model.family} {model.fingerprint[:12]}; log and pictures in "
            f"{working_folder(out)}"
        )
