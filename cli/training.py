"""What commands that train on images share: their options, and the way from these to a model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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

if TYPE_CHECKING:
    from latentmap.images import View
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])

model_out_option = click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The model file to write.",
)
resume_option = click.option("--resume", is_flag=True, help="Go on where an earlier run stopped.")
training_precision_option = click.option(
    "--precision",
    type=click.Choice(("float32", "bfloat16")),
    default="float32",
    show_default=True,
    help="Arithmetic of the network; bfloat16 is for GPUs, and processors that have it.",
)


def training_options(
    *, epochs: int, batch_size: int, smallest_batch: int = 1
) -> Callable[[Command], Command]:
    """Adds the options of every training on images; the defaults that differ are arguments."""
    options = (
        data_options,
        model_out_option,
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
            type=click.IntRange(min=smallest_batch),
            default=batch_size,
            show_default=True,
            metavar="N",
            help="Images a step.",
        ),
        resume_option,
        size_option,
        channels_option,
        frame_option,
        resize_option,
        device_option,
        training_precision_option,
        seed_option,
        force_option,
        json_option,
    )

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return decorate


def parse_widths(value: str | tuple[int, ...]) -> tuple[int, ...]:
    """Widths of layers such as ``256,64,32``."""
    if isinstance(value, tuple):  # A default, which is that of the library.
        return value
    parts = value.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} are no widths: give whole numbers such as 256,64,32")
    return tuple(int(part) for part in parts)


def train_on_images(
    data: DataOptions,
    train: Callable[..., Model],
    make_settings: Callable[[View], Any],
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
    remark: Callable[[dict[str, Any]], str | None] = lambda training: None,
) -> None:
    """Trains what ``make_settings`` describes for a view of the images, and tells of the result.

    ``train`` is called as ``train_vae`` is. ``remark`` makes a warning of the training record.
    """
    from latentmap.cli.output import command_line, print_json, warn
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.native import read_header
    from latentmap.encoders.training.runs import working_folder

    images = data.open()
    view = images.view(frame=frame, resize=resize, size=size, channels=channels)
    with progress_bar("reading") as loading, progress_bar("training") as progress:
        model = train(
            images,
            make_settings(view),
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
    for name in training["skipped"]:
        warn(f"skipped {name}: it could not be read")
    warning = remark(training)
    if warning:
        warn(warning)
    if as_json:
        print_json(
            {
                "model": str(out),
                "fingerprint": model.fingerprint,
                "figures": training["figures"],
                "skipped": training["skipped"],
            }
        )
    else:
        click.echo(
            f"{out}: {model.family} {model.fingerprint[:12]}; log and pictures in "
            f"{working_folder(out)}"
        )
