"""latentmap train: from images to a native model file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.options import DataOptions, NumberRange
from latentmap.cli.train_gan import gan
from latentmap.cli.train_inversion import inversion
from latentmap.cli.train_recipe import recipe
from latentmap.cli.train_stylegan2 import stylegan2
from latentmap.cli.training import Command, parse_widths, train_on_images, training_options

if TYPE_CHECKING:
    from latentmap.images import View


class _Train(click.Group):
    """A group in which ``--recipe NAME`` stands for ``recipe NAME``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        option, equals, name = args[0].partition("=") if args else ("", "", "")
        if option == "--recipe":
            args = ["recipe", *([name] if equals else []), *args[1:]]
        return super().parse_args(ctx, args)


@click.group(cls=_Train)
def train() -> None:
    """Train a model on images and write a native model file.

    \b
    Examples:
      latentmap train vae --data faces.zip --split train --epochs 40 --out vae.safetensors
      latentmap train recipe svae --data celeba64.zip --out svae.safetensors

    Beside the file, a folder FILE.training keeps the checkpoint, the log (a JSON line an epoch) and
    a picture an epoch. A run that was stopped goes on with --resume and ends as if it had not been.
    """


train.add_command(gan)
train.add_command(stylegan2)
train.add_command(inversion)
train.add_command(recipe)


def _vae_options(beta: float) -> Callable[[Command], Command]:
    """The options that every VAE training has; the defaults that differ are arguments."""
    options = (
        training_options(epochs=40, batch_size=100),
        click.option(
            "--learning-rate",
            type=NumberRange(min=0, min_open=True),
            default=1e-4,
            show_default=True,
            help="Of Adam.",
        ),
        click.option(
            "--beta",
            type=NumberRange(min=0),
            default=beta,
            show_default=True,
            help="Weight of the KL divergence.",
        ),
        click.option(
            "--gamma",
            type=NumberRange(min=0, min_open=True),
            help="Fixes the balance of the loss.  [default: follows the error]",
        ),
    )

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return decorate


@train.command()
@_vae_options(beta=1.0)
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
    type=parse_widths,
    metavar="N,N,...",
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
@_vae_options(beta=3.0)
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
    epochs: int,
    steps: int | None,
    batch_size: int,
    learning_rate: float,
    beta: float,
    gamma: float | None,
    precision: Literal["float32", "bfloat16"],
    seed: int,
    **options: Any,
) -> None:
    from latentmap.encoders.training.train_vae import VAESettings, train_vae

    def settings(view: View) -> VAESettings:
        return VAESettings(
            family,
            {**config, "image_shape": [view.channels, *view.size]},
            epochs=epochs,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            beta=beta,
            gamma=gamma,
            precision=precision,
            seed=seed,
        )

    train_on_images(data, train_vae, settings, **options)
