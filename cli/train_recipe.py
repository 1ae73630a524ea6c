"""latentmap train recipe: a bundled model, made again from public data."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import IMAGES, Command, option
from latentmap.cli.endings import as_part
from latentmap.cli.kinds import InputPath, Reference
from latentmap.cli.output import say, show_result
from latentmap.cli.training_options import RunOptions, run_options

if TYPE_CHECKING:
    from latentmap.encoders.recipes import Step


@click.command("recipe", cls=Command)
@click.argument("reference", metavar="NAME", type=Reference())
@option(
    "--data",
    title=IMAGES,
    required=True,
    type=InputPath(),
    metavar="PATH",
    help="The images that the recipe names; its other files lie beside them.",
)
@run_options
@click.pass_context
def recipe(
    context: click.Context,
    reference: str,
    data: Path,
    run: RunOptions,
) -> None:
    """Train a bundled model again, by its recipe; NAME is its name, or a recipe file.

    \b
    Example:
      latentmap train recipe svae --data celeba64.zip --out svae.safetensors

    `latentmap train --recipe NAME` is the same. Each step is a command of `latentmap train` and is
    shown before it runs; what it makes is kept beside the output. At the end the weights are
    rounded to float16, and the figures are of the rounded model: FILE.md and FILE.jpg beside it are
    its card. With the same versions and number of threads (OMP_NUM_THREADS) the same machine makes
    the same weights again.
    """
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.recipes import read_recipe
    from latentmap.encoders.remaking import card_paths, finish
    from latentmap.encoders.training.runs import drop_state

    chosen = read_recipe(reference)
    test = chosen.open_test(data)
    card_paths(run.out, force=run.force)
    plan = chosen.plan(data, run.out)
    # A wrong option of a later step is found before an earlier one is trained for hours.
    for step in plan:
        _prepare(context, step.arguments)
    for step in plan:
        say(f"latentmap train {shlex.join(step.arguments)}", err=True)
        _carry_out(context, step, run)
    with progress_bar("measuring") as progress:
        paths = [step.out for step in plan]
        remade = finish(chosen, paths, test, run.out, device=run.device, progress=progress)
    for path in () if run.keep_checkpoint else paths:
        drop_state(path)
    if run.as_json:
        known = {"model": str(run.out), "fingerprint": remade.fingerprint}
        print_json({**known, **remade.record})
    else:
        show_result(remade.card)


def _carry_out(context: click.Context, step: Step, run: RunOptions) -> None:
    """A command of `latentmap train`; one that was stopped goes on."""
    from latentmap.encoders.training.runs import working_folder

    # Kept until all are finished, since a later step may ask for another end of this one.
    arguments = [*step.arguments, "--device", run.device, "--keep-checkpoint"]
    # A finished step is resumed as well, which takes no time: only so does it tell whether it is
    # of this recipe.
    if run.resume and working_folder(step.out).exists():
        arguments.append("--resume")
    elif run.force:
        arguments.append("--force")
    with contextlib.redirect_stdout(sys.stderr):  # The result of the whole is that of the recipe.
        with _prepare(context, arguments) as inner, as_part(inner):
            inner.command.invoke(inner)


def _prepare(context: click.Context, arguments: Sequence[str]) -> click.Context:
    """A command of `latentmap train` and its parsed arguments."""
    group = context.parent and context.parent.command
    assert isinstance(group, click.Group)
    command = group.commands[arguments[0]]
    return command.make_context(command.name, [*arguments[1:]], parent=context.parent)
