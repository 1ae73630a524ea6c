"""latentmap train gan: from images to a generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.options import DataOptions, NumberRange
from latentmap.cli.training import parse_widths, train_on_images, training_options

if TYPE_CHECKING:
    from latentmap.images import View

_SHARE = NumberRange(min=0, max=1, max_open=True)


@click.command()
@training_options(epochs=10, batch_size=64, smallest_batch=2)
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
    type=parse_widths,
    default=(64, 32, 16),
    show_default=True,
    metavar="N,N,...",
    help="Channels after each layer of the generator; every layer doubles the size.",
)
@click.option(
    "--discriminator-widths",
    type=parse_widths,
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
    type=NumberRange(min=0, min_open=True),
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
def gan(
    data: DataOptions,
    *,
    latent_dim: int,
    base: int,
    widths: tuple[int, ...],
    norm: str,
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
    from latentmap.encoders.training.train_gan import GANSettings, train_gan

    def make_settings(view: View) -> GANSettings:
        config = {
            "image_shape": [view.channels, *view.size],
            "latent_dim": latent_dim,
            "base": base,
            "widths": list(widths),
            "norm": norm,
        }
        return GANSettings(config, **settings)

    def remark(training: dict[str, Any]) -> str | None:
        diversity = training["figures"]["diversity"]
        if diversity >= COLLAPSED:
            return None
        return (
            f"the generated images hardly differ (diversity {diversity:.2f}; the data's is 1): "
            "train longer, or start again with another --seed or --norm batch"
        )

    train_on_images(
        data,
        train_gan,
        make_settings,
        out=out,
        size=size,
        channels=channels,
        frame=frame,
        resize=resize,
        device=device,
        resume=resume,
        force=force,
        as_json=as_json,
        remark=remark,
    )
