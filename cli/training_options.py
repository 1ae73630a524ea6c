"""The options that the commands of ``latentmap train`` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from latentmap.cli.data_options import data_options
from latentmap.cli.declaring import OUTPUT, RUNNING, number_option, option, output_option, together
from latentmap.cli.kinds import WIDEST, NumberRange
from latentmap.cli.label_options import labels_option
from latentmap.cli.lists import NumberList
from latentmap.cli.options import device_option, force_option, json_option, seed_option
from latentmap.cli.view_options import view_options

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class RunOptions:
    """Where a training leads and how it begins, as given on the command line."""

    out: Path
    resume: bool
    keep_checkpoint: bool
    force: bool
    as_json: bool
    device: str


run_options = together(
    "run",
    RunOptions,
    output_option("--out", "The model file to write.", required=True),
    option("--resume", title=OUTPUT, is_flag=True, help="Go on where an earlier run stopped."),
    option(
        "--keep-checkpoint",
        title=OUTPUT,
        is_flag=True,
        help="Keep what a longer run may go on from (--resume, with more steps) when this one is "
        "finished: three times the size of the model.",
    ),
    force_option,
    json_option,
    device_option,
)


@dataclass(frozen=True)
class TraceOptions:
    """The trace of a training, as asked for on the command line."""

    trace: Path | None
    trace_images: int
    labels: str | None

    def check(self) -> None:
        """Refuses labels without a trace.

        Raises:
            click.UsageError: so it is.
        """
        if self.trace is None and self.labels is not None:
            raise click.UsageError("--labels is for --trace FILE: leave it out, or ask for a trace")


trace_options = together(
    "traced",
    TraceOptions,
    output_option(
        "--trace",
        "Write what each variable does while it is trained, for `latentmap trace show`.",
        metavar="TRACE",
    ),
    number_option(
        "--trace-images",
        title=OUTPUT,
        default=10,
        help="Images whose codes the trace follows; where labels are known, so many of each, at "
        "most 200 in all.",
    ),
    labels_option,
)
training_precision_option = option(
    "--precision",
    title=RUNNING,
    type=click.Choice(("float32", "bfloat16")),
    default="float32",
    show_default=True,
    help="Arithmetic of the network; bfloat16 is for GPUs, and processors that have it.",
)

# Sizes of steps, weights of parts, and shares of a whole.
positive_option = functools.partial(
    click.option,
    type=NumberRange(min=0, min_open=True),
    show_default=True,
    metavar="NUMBER",
)
# Above, a step is larger than any weight.
learning_rate_option = functools.partial(
    positive_option, "--learning-rate", type=NumberRange(min=0, max=10, min_open=True)
)
weight_option = functools.partial(
    click.option, type=NumberRange(min=0), show_default=True, metavar="WEIGHT"
)
share_option = functools.partial(
    click.option,
    type=NumberRange(min=0, max=1, max_open=True),
    show_default=True,
    metavar="SHARE",
)
widths_list = NumberList("widths", "256,64,32", least=1, most=WIDEST)
latent_dim_option = functools.partial(
    number_option, "--latent-dim", most=WIDEST, help="Latent variables."
)


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator for several, the first of which comes first in help."""

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda inner, add: add(inner), reversed(options), command)

    return decorate


def batch_size_option(default: int, *, smallest: int = 1) -> Callable[[Command], Command]:
    """The images of a step of training."""
    return number_option(
        "--batch-size", least=smallest, default=default, title=RUNNING, help="Images a step."
    )


def training_options(
    *, epochs: int, batch_size: int, smallest_batch: int = 1
) -> Callable[[Command], Command]:
    """Adds the options of every training on images; the defaults that differ are arguments."""
    return several(
        data_options,
        view_options,
        number_option("--epochs", default=epochs, help="Passes over the images."),
        number_option("--steps", help="Optimisation steps, instead of epochs."),
        run_options,
        batch_size_option(batch_size, smallest=smallest_batch),
        training_precision_option,
        seed_option,
    )
