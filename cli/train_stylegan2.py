"""latentmap train stylegan2: from images to a generator with a w space."""

from __future__ import annotations

from typing import Any

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import WIDEST, NumberRange
from latentmap.cli.lists import NameList
from latentmap.cli.training import train_images
from latentmap.cli.training_options import (
    RunOptions,
    learning_rate_option,
    positive_option,
    training_options,
    weight_option,
)
from latentmap.cli.view_options import ViewOptions

# A test compares these with the library's own, which cannot be imported here without torch.
AUGMENTATIONS = ("flip", "translate", "scale", "color", "cutout")


@click.command(cls=Command)
@training_options(epochs=10, batch_size=16, smallest_batch=4)
@number_option("--latent-dim", most=WIDEST, default=64, help="Variables of z, and of w.")
@number_option("--mapping-layers", most=64, default=2, help="Layers from z to w.")
@number_option(
    "--width",
    most=WIDEST,
    default=16,
    help="Channels at the full size; they double at every halving.",
)
@number_option("--max-width", most=WIDEST, default=128, help="The most channels of a layer.")
@learning_rate_option(default=0.0025, help="Of Adam, for both networks.")
@weight_option(
    "--r1",
    default=10.0,
    help="Weight of the gradient penalty on the discriminator; raise it where diversity falls, "
    "lower it where pictures stay vague.",
)
@weight_option(
    "--path-weight",
    default=0.0,
    help="Weight of the path length penalty on the generator, published as 2; it makes a step "
    "slower.",
)
@click.option(
    "--mixing",
    type=NumberRange(0, 1),
    metavar="SHARE",
    default=0.0,
    show_default=True,
    help="Share of the images that mix the layers of two codes, published as 0.9; small images "
    "become diverse sooner without.",
)
@positive_option(
    "--average",
    default=10_000.0,
    metavar="N",
    help="Images after which a weight counts half in the moving average that is the result.",
)
@click.option(
    "--augment",
    type=NumberRange(0, 1),
    metavar="P",
    help="Probability of each augmentation.  [default: adapted, up to 0.8, to how sure the "
    "discriminator is of real images]",
)
@click.option(
    "--augmentations",
    type=NameList("augmentation", AUGMENTATIONS, none=True),
    default=("translate", "scale", "color"),
    show_default=True,
    metavar="NAMES",
    help=f"Changes to the images that the discriminator sees: {', '.join(AUGMENTATIONS)}, with "
    "commas, or none. Digits must not be flipped.",
)
def stylegan2(data: DataOptions, view: ViewOptions, run: RunOptions, **settings: Any) -> None:
    """Train a StyleGAN 2 generator, with codes in w.

    Images are square, of 8, 16, 32, 64, ... pixels; --size brings others to that.

    \b
    Examples:
      latentmap train stylegan2 --data train-images-idx3-ubyte.gz --size 32 \\
          --out stylegan.safetensors
      latentmap train stylegan2 --data faces.zip --frame celeba --size 64 --epochs 60 \\
          --augmentations flip,translate,color --out faces.safetensors
    """
    from latentmap.encoders.training.train_stylegan2 import StyleGAN2Settings

    train_images(
        data, view, run, lambda seen: StyleGAN2Settings((seen.channels, *seen.size), **settings)
    )
