"""latentmap train: from images to a native model file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import Group, number_option
from latentmap.cli.kinds import WIDEST
from latentmap.cli.train_deteriorate import deteriorate
from latentmap.cli.train_gan import gan
from latentmap.cli.train_inversion import inversion
from latentmap.cli.train_recipe import recipe
from latentmap.cli.train_stylegan2 import stylegan2
from latentmap.cli.training import train_images
from latentmap.cli.training_options import (
    RunOptions,
    TraceOptions,
    latent_dim_option,
    learning_rate_option,
    positive_option,
    several,
    trace_options,
    training_options,
    weight_option,
    widths_list,
)
from latentmap.cli.view_options import ViewOptions

if TYPE_CHECKING:
    from latentmap.encoders.training.train_vae import VAESettings
    from latentmap.images import View

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Train(Group):
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

    Beside the file, a folder FILE.training keeps the log (a JSON line an epoch), a picture an epoch
    and, until the model is written, the checkpoint. A run that was stopped goes on with --resume
    and ends as if it had not been, to the bit on the same processor, versions and number of
    threads. A finished one becomes longer in the same way where it was told to --keep-checkpoint.
    """


train.add_command(gan)
train.add_command(stylegan2)
train.add_command(inversion)
train.add_command(deteriorate)
train.add_command(recipe)


def _vae_options(beta: float, latent_dim: int) -> Callable[[Decorated], Decorated]:
    """The options that every VAE training has; the defaults that differ are arguments."""
    return several(
        training_options(epochs=40, batch_size=100),
        trace_options,
        latent_dim_option(default=latent_dim),
        learning_rate_option(default=1e-4, help="Of Adam."),
        weight_option("--beta", default=beta, help="Weight of the KL divergence."),
        click.option(
            "--kl",
            type=click.Choice(("full", "quadratic", "none")),
            help="What of the KL divergence is in the loss: all, mean^2 / 2 alone, or nothing.  "
            "[default: full; quadratic with --no-sampling]",
        ),
        click.option(
            "--sampling/--no-sampling",
            default=True,
            show_default=True,
            help="Draw the codes from the posteriors; without, they are the means.",
        ),
        positive_option(
            "--gamma", help="Fixes the balance of the loss.  [default: follows the error]"
        ),
        click.option(
            "--normalise/--no-normalise",
            default=True,
            show_default=True,
            help="At the end, bring the codes to the prior: mean 0, mean s2 + Var = 1. Images stay "
            "the same.",
        ),
        click.option(
            "--gates",
            is_flag=True,
            help="A gate a variable: gates close as far as --tau, or --tau-mse, allows, and the "
            "model is written without the variables behind closed ones.",
        ),
        positive_option(
            "--tau",
            help="With --gates: the largest error, squared and summed over the pixels (and "
            "channels) of an image.",
        ),
        positive_option("--tau-mse", help="The same as a mean over the pixels."),
    )


@train.command()
@_vae_options(beta=1.0, latent_dim=64)
@click.option(
    "--architecture",
    type=click.Choice(("conv", "dense")),
    default="conv",
    show_default=True,
    help="Kind of network.",
)
@click.option(
    "--widths",
    type=widths_list,
    metavar="N,N,...",
    help="Width of each layer of the encoder.  [default: 128,256,512; dense 256,64,32]",
)
def vae(
    data: DataOptions,
    view: ViewOptions,
    run: RunOptions,
    traced: TraceOptions,
    *,
    architecture: str,
    widths: tuple[int, ...] | None,
    latent_dim: int,
    **settings: Any,
) -> None:
    """Train a variational autoencoder.

    \b
    Examples:
      latentmap train vae --data faces.zip --split train --out vae.safetensors
      latentmap train vae --data train-images-idx3-ubyte.gz --architecture dense \\
          --widths 256,64,32 --latent-dim 16 --epochs 20 --out mnist.safetensors
      latentmap train vae --data sprites.npz --size 32 --architecture dense --widths 256,128 \\
          --latent-dim 10 --learning-rate 0.002 --gates --tau 5 --steps 4000 --out five.safetensors
    """
    default = (128, 256, 512) if architecture == "conv" else (256, 64, 32)
    config = {
        "architecture": architecture,
        "latent_dim": latent_dim,
        "widths": list(widths or default),
    }
    train_images(data, view, run, _settings("vae", config, settings), traced=traced)


@train.command("split-vae")
@_vae_options(beta=3.0, latent_dim=150)
@number_option(
    "--width",
    most=WIDEST,
    default=64,
    help="Width of the first scale; it doubles at every further one.",
)
@number_option(
    "--embedding", most=WIDEST, default=512, help="Width of the dense layer beside the code."
)
def split_vae(
    data: DataOptions,
    view: ViewOptions,
    run: RunOptions,
    traced: TraceOptions,
    *,
    width: int,
    embedding: int,
    latent_dim: int,
    **settings: Any,
) -> None:
    """Train a Split-VAE: its decoder mixes two images by a mask.

    \b
    Example:
      latentmap train split-vae --data faces.zip --split train --out svae.safetensors
    """
    config = {"latent_dim": latent_dim, "width": width, "embedding": embedding}
    train_images(data, view, run, _settings("split-vae", config, settings), traced=traced)


def _settings(
    family: str, config: dict[str, Any], settings: dict[str, Any]
) -> Callable[[View], VAESettings]:
    from latentmap.encoders.training.train_vae import VAESettings

    taus = [settings[name] for name in ("tau", "tau_mse") if settings[name] is not None]
    if settings.pop("gates") != (len(taus) == 1):
        raise click.UsageError("--gates needs one of --tau and --tau-mse, and these need --gates")
    if taus and settings["gamma"] is not None:
        raise click.UsageError("--gates has a balance of its own, by tau: leave --gamma out")
    penalty = settings.pop("kl") or ("full" if settings["sampling"] else "quadratic")
    settings["penalty"] = penalty
    return lambda seen: VAESettings(
        family, {**config, "image_shape": [seen.channels, *seen.size]}, **settings
    )
