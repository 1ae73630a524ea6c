"""latentmap train recipe: a bundled model, made again from public data."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.options import device_option, force_option, json_option
from latentmap.cli.training import model_out_option, resume_option

if TYPE_CHECKING:
    from latentmap.encoders.recipes import Recipe


@click.command("recipe")
@click.argument("reference", metavar="NAME")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The images that the recipe names; its other files lie beside them.",
)
@model_out_option
@resume_option
@device_option
@force_option
@json_option
@click.pass_context
def recipe(
    context: click.Context,
    reference: str,
    data: Path,
    out: Path,
    resume: bool,
    device: str,
    force: bool,
    as_json: bool,
) -> None:
    """Train a bundled model again, by its recipe; NAME is its name, or a recipe file.

    \b
    Example:
      latentmap train recipe svae --data celeba64.zip --out svae.safetensors

    `latentmap train --recipe NAME` is the same. Each step is a command of `latentmap train` and is
    shown before it runs; what it makes is kept beside the output. At the end the weights are
    rounded to float16, and the figures are of the rounded model: FILE.md and FILE.jpg beside it are
    its card. With the same number of threads (OMP_NUM_THREADS) the same machine makes the same
    weights again.
    """
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.encoders.cards import card_picture, card_text, measure
    from latentmap.encoders.halving import halved
    from latentmap.encoders.native import read_header, save_model
    from latentmap.encoders.recipes import read_recipe
    from latentmap.files import refuse_equal, refuse_existing, write_atomic
    from latentmap.report import save_figure

    chosen = read_recipe(reference)
    test = chosen.open_test(data)
    card, picture = out.with_suffix(".md"), out.with_suffix(".jpg")
    refuse_equal({"--out": out, "its card": card, "its picture": picture})
    for path in (out, card, picture):
        refuse_existing(path, force=force)
    made: list[Path] = []
    plan: list[list[str]] = []
    for number, step in enumerate(chosen.steps, start=1):
        path = out.with_name(f"{out.stem}-step-{number}.safetensors")
        plan.append([*step, *_inputs(chosen, step, data, made), "--out", str(path)])
        made.append(path)
    # A wrong option of a later step is found before an earlier one is trained for hours.
    for arguments in plan:
        _prepare(context, arguments)
    for arguments, path in zip(plan, made, strict=True):
        click.echo(f"latentmap train {shlex.join(arguments)}", err=True)
        _run(context, [*arguments, "--device", device], path, resume=resume, force=force)
    model = halved(load(made[-1], device=device))
    model.name = chosen.name
    with progress_bar("measuring") as progress:
        held_out = measure(model, test, progress=progress)
    record = {
        **read_header(made[-1]).training,
        # In place of that of the last step, which names files of this machine.
        "command": f"latentmap train recipe {chosen.name}",
        "recipe": chosen.name,
        "seconds": round(sum(map(_seconds, made))),
        "held_out": held_out.to_json(),
    }
    save_model(model, out, training=record, half=True)
    text = card_text(model, chosen, held_out, seconds=record["seconds"], picture=picture.name)
    write_atomic(card, text.encode())
    save_figure(card_picture(model), picture)
    if as_json:
        print_json({"model": str(out), "fingerprint": model.fingerprint, **record})
    else:
        click.echo(text)


def _inputs(chosen: Recipe, step: tuple[str, ...], data: Path, made: list[Path]) -> list[str]:
    """What a step is made of: images, or the generator of the step before."""
    return ["--generator", str(made[-1])] if step[0] == "inversion" else chosen.images(data)


def _run(
    context: click.Context, arguments: list[str], out: Path, *, resume: bool, force: bool
) -> None:
    """A command of `latentmap train`; one that was stopped goes on."""
    from latentmap.encoders.training.runs import working_folder

    # A finished step is resumed as well, which takes no time: only so does it tell whether it is
    # of this recipe.
    if resume and working_folder(out).exists():
        arguments = [*arguments, "--resume"]
    elif force:
        arguments = [*arguments, "--force"]
    with contextlib.redirect_stdout(sys.stderr):  # The result of the whole is that of the recipe.
        with _prepare(context, arguments) as inner:
            inner.command.invoke(inner)


def _prepare(context: click.Context, arguments: list[str]) -> click.Context:
    """A command of `latentmap train` and its parsed arguments."""
    group = context.parent and context.parent.command
    assert isinstance(group, click.Group)
    command = group.commands[arguments[0]]
    return command.make_context(command.name, arguments[1:], parent=context.parent)


def _seconds(path: Path) -> float:
    from latentmap.encoders.native import read_header
    from latentmap.encoders.training.runs import training_seconds

    return training_seconds(path, batch_size=read_header(path).training["batch_size"])
