"""latentmap train stylegan2: from images to a generator with a w space."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from latentmap.cli.options import DataOptions, NumberRange
from latentmap.cli.training import train_on_images, training_options

# A test compares these with the library's own, which cannot be imported here without torch.
AUGMENTATIONS = ("flip", "translate", "scale", "color", "cutout")


def _parse_augmentations(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, tuple):  # The default, which is that of the library.
        return value
    names = () if value == "none" else tuple(value.split(","))
    for name in names:
        if name not in AUGMENTATIONS:
            raise click.BadParameter(
                f"{name!r} is none of {', '.join(AUGMENTATIONS)}: give some with commas, or none"
            )
    return names


@click.command()
@training_options(epochs=10, batch_size=16, smallest_batch=4)
@click.option(
    "--latent-dim",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Variables of z, and of w.",
)
@click.option(
    "--mapping-layers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Layers from z to w.",
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Channels at the full size; they double at every halving.",
)
@click.option(
    "--max-width",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="The most channels of a layer.",
)
@click.option(
    "--learning-rate",
    type=NumberRange(min=0, min_open=True),
    default=0.0025,
    show_default=True,
    help="Of Adam, for both networks.",
)
@click.option(
    "--r1",
    type=NumberRange(min=0),
    default=10.0,
    show_default=True,
    help="Weight of the gradient penalty on the discriminator; raise it where diversity falls, "
    "lower it where pictures stay vague.",
)
@click.option(
    "--path-weight",
    type=NumberRange(min=0),
    default=0.0,
    show_default=True,
    help="Weight of the path length penalty on the generator, published as 2; it makes a step "
    "slower.",
)
@click.option(
    "--mixing",
    type=NumberRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the images that mix the layers of two codes, published as 0.9; small images "
    "become diverse sooner without.",
)
@click.option(
    "--average",
    type=NumberRange(min=0, min_open=True),
    default=10_000.0,
    show_default=True,
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
    type=_parse_augmentations,
    default=("translate", "scale", "color"),
    show_default=True,
    metavar="NAMES",
    help=f"Changes to the images that the discriminator sees: {', '.join(AUGMENTATIONS)}, with "
    "commas, or none. Digits must not be flipped.",
)
def stylegan2(
    data: DataOptions,
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
    """Train a StyleGAN 2 generator, with codes in w.

    Images are square, of 8, 16, 32, 64, ... pixels; --size brings others to that.

    \b
    Examples:
      latentmap train stylegan2 --data train-images-idx3-ubyte.gz --size 32 \\
          --out stylegan.safetensors
      latentmap train stylegan2 --data faces.zip --frame celeba --size 64 --epochs 60 \\
          --augmentations flip,translate,color --out faces.safetensors
    """
    from latentmap.encoders.training.train_stylegan2 import StyleGAN2Settings, train_stylegan2

    train_on_images(
        data,
        train_stylegan2,
        lambda view: StyleGAN2Settings((view.channels, *view.size), **settings),
        out=out,
        size=size,
        channels=channels,
        frame=frame,
        resize=resize,
        device=device,
        resume=resume,
        force=force,
        as_json=as_json,
    )
