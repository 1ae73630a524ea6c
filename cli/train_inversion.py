"""latentmap train inversion: from a generator to an encoder/decoder pair."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import WIDEST, Reference, Text
from latentmap.cli.options import class_option, seed_option
from latentmap.cli.training import carry_out
from latentmap.cli.training_ending import Told
from latentmap.cli.training_options import (
    RunOptions,
    batch_size_option,
    learning_rate_option,
    run_options,
    training_precision_option,
    weight_option,
)

if TYPE_CHECKING:
    from latentmap.encoders.training.runs import Run
    from latentmap.images import ImageSource
    from latentmap.model import Model

# A test compares these with the library's own lists, which cannot be imported here without torch.
ARCHITECTURES = ("residual", "plain")
SCHEDULES = ("one-cycle", "constant")
NOISES = ("random", "const")


@click.command(cls=Command)
@click.option(
    "--generator",
    required=True,
    type=Reference(),
    metavar="MODEL",
    help="The model file of the generator; of an inverted model, the generator in it is taken.",
)
@click.option(
    "--space",
    type=click.Choice(("w", "z")),
    help="The space that the network gives codes in.  [default: the generator's own]",
)
@class_option
@click.option(
    "--box",
    "view",
    type=Text(),
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
@number_option(
    "--width",
    most=WIDEST,
    help="Channels of the first layer; they double at every further one.  [default: by the "
    "architecture]",
)
@weight_option(
    "--image-weight",
    default=0.0,
    help="Weight of the mse of the images generated again, beside 1 for that of the codes in units "
    "of their variance.",
)
@weight_option(
    "--real-weight",
    default=0.0,
    help="Weight of the mse of real images made again: above 0 the network learns from the images "
    "of --data that are in the split train, or that of --split, as many a step as of generated "
    "ones, and those in the split test are measured.",
)
@click.option(
    "--refine",
    is_flag=True,
    help="Go on with the inversion network that the model has, in place of a fresh one; the "
    "options must be those of that network.",
)
@click.option(
    "--noise",
    type=click.Choice(NOISES),
    default="random",
    show_default=True,
    help="Noise of a StyleGAN's images: random, drawn anew, so that the network overlooks it, or "
    "const, the stored maps, with which the model decodes.",
)
@number_option("--steps", default=5000, help="Optimisation steps, each with new images.")
@learning_rate_option(
    help="Of Adam; its height, where it changes.  [default: 0.002; plain 0.001]",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Course of the learning rate.  [default: one-cycle; plain constant]",
)
@number_option(
    "--held-out", least=2, default=2000, help="Generated images that the figures are of."
)
@functools.partial(data_options, required=False)
@run_options
@batch_size_option(64)
@training_precision_option
@seed_option
def inversion(
    generator: str, data: DataOptions, label: int | None, run: RunOptions, **settings: Any
) -> None:
    """Train the network that gives a generator's codes of images.

    \b
    Examples:
      latentmap train inversion --generator stylegan.safetensors --out inverted.safetensors
      latentmap train inversion --generator gan.safetensors --architecture plain \\
          --data faces.zip --split test --out inverted.safetensors
      latentmap train inversion --generator gan.safetensors --data faces.zip --real-weight 20 \\
          --batch-size 32 --out inverted.safetensors

    It learns from images that the generator makes, new ones at every step. The output is one file
    that encodes and decodes, with codes in the generator's space. Real images (--data) are only
    measured, unless they are to be learnt from (--real-weight); these must be of those that the
    generator was trained on.
    """
    from latentmap.encoders import load
    from latentmap.encoders.sampling import adjust
    from latentmap.encoders.training.train_inversion import InversionSettings, train_inversion

    if data.path is None and data != DataOptions(None):
        raise click.UsageError(
            "options that choose images are for --data: leave them out, or give it"
        )
    chosen = InversionSettings(**settings)
    domain, real = _images(data, chosen.real_weight)

    def train(goal: Run) -> Model:
        model = adjust(load(generator, device=run.device), label=label)
        return train_inversion(model, chosen, goal, domain=domain, real=real)

    def tell(model: Model, training: dict[str, Any]) -> Told:
        held_out, real = training["held_out"], training.get("real")
        lines = [f"{run.out}: {model}", *_lines(held_out, real)]
        return Told({"space": model.space.kind, "held_out": held_out, "real": real}, lines)

    carry_out(run, data, train, tell)


def _images(data: DataOptions, weight: float) -> tuple[ImageSource | None, ImageSource | None]:
    """The real images to learn from, and those to measure."""
    if not weight:
        return None, None if data.path is None else data.open()
    if data.path is None or data.split == "test":
        raise click.UsageError(
            "with --real-weight the network learns from images of --data, and those of the split "
            "test are measured: give --data, and no --split test"
        )
    images = data.open_to_fit()
    return images.split(data.fitted_split), images.split("test")


def _seen(n_seen: int | None) -> str:
    return "perhaps some" if n_seen is None else f"{n_seen:,}"


def _lines(held_out: dict[str, Any], real: dict[str, Any] | None) -> list[str]:
    lines = [
        f"  codes   R2 {held_out['code_r2']:.4f}, a variable {held_out['code_r2_mean']:.4f}  "
        f"({held_out['samples']} generated images)",
        f"  images  mse {held_out['image_mse']:.5f} of a variance of "
        f"{held_out['image_variance']:.5f}",
    ]
    if real is not None:
        lines.append(
            f"  real    mse {real['image_mse']:.5f}, {real['ratio']:.1f} times as much  "
            f"({real['images']} images, {_seen(real['n_seen'])} seen by the generator in training)"
        )
    return lines
