"""latentmap train gan: from images to a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import WIDEST
from latentmap.cli.training import train_images
from latentmap.cli.training_options import (
    RunOptions,
    latent_dim_option,
    learning_rate_option,
    share_option,
    training_options,
    widths_list,
)
from latentmap.cli.view_options import ViewOptions

if TYPE_CHECKING:
    from latentmap.images import View


@click.command(cls=Command)
@training_options(epochs=10, batch_size=64, smallest_batch=2)
@latent_dim_option(default=64)
@number_option(
    "--base",
    most=WIDEST,
    default=128,
    help="Channels of the coarse grid that the generator begins with.",
)
@click.option(
    "--widths",
    type=widths_list,
    default=(64, 32, 16),
    show_default=True,
    metavar="N,N,...",
    help="Channels after each layer of the generator; every layer doubles the size.",
)
@click.option(
    "--discriminator-widths",
    type=widths_list,
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
@learning_rate_option(default=2e-4, help="Of Adam, for both networks.")
@share_option("--momentum", default=0.5, help="Of Adam: its first beta.")
@share_option("--dropout", default=0.2, help="Of the discriminator's last layer.")
@share_option(
    "--label-noise",
    default=0.05,
    help="How far the labels that the discriminator learns are from 0 and 1, at most.",
)
@share_option(
    "--average-decay",
    default=0.999,
    help="The result averages the generator's weights over the last steps, with this decay a step; "
    "0 takes the last weights.",
)
def gan(
    data: DataOptions,
    view: ViewOptions,
    run: RunOptions,
    *,
    latent_dim: int,
    base: int,
    widths: tuple[int, ...],
    norm: str,
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
    from latentmap.encoders.training.gan import COLLAPSED
    from latentmap.encoders.training.train_gan import GANSettings

    def make_settings(seen: View) -> GANSettings:
        config = {
            "image_shape": [seen.channels, *seen.size],
            "latent_dim": latent_dim,
            "base": base,
            "widths": list(widths),
            "norm": norm,
        }
        return GANSettings(config, **settings)

    def remark(figures: dict[str, Any]) -> str | None:
        diversity = figures["diversity"]
        if diversity >= COLLAPSED:
            return None
        return (
            f"the generated images hardly differ (diversity {diversity:.2f}; the data's is 1): "
            "train longer, or start again with another --seed or --norm batch"
        )

    train_images(data, view, run, make_settings, remark=remark)
