"""latentmap models prune: a VAE without the variables that it does not need."""

from __future__ import annotations

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option, output_option
from latentmap.cli.kinds import NumberRange, Reference
from latentmap.cli.options import device_option, seed_option
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@click.option(
    "--until-mse",
    type=NumberRange(min=0, min_open=True),
    metavar="T",
    help="Drop variables by rising gain, as long as the mean squared error per pixel is at most T.",
)
@click.option(
    "--until-error",
    type=NumberRange(min=0, min_open=True),
    metavar="T",
    help="The same by the squared errors summed over the pixels (and channels) of an image.",
)
@number_option(
    "--gain-images", default=256, help="Images that the gains are measured on; all is the most."
)
@result_outputs(
    output_option("--out", "The model file to write.", required=True),
    figure_option("Images over their reconstructions by the whole and the pruned model."),
    report_option,
)
@device_option
@seed_option
def prune(
    model: str,
    data: DataOptions,
    *,
    until_mse: float | None,
    until_error: float | None,
    gain_images: int,
    outputs: Outputs,
    device: str,
    seed: int,
) -> None:
    """Make a VAE smaller by the variables that its reconstructions do without.

    Those go that are inactive on the images (Var of the means at most 0.05); with a limit, those of
    least information gain, one after the other. The pruned model decodes as the whole one does with
    these variables at their means. It is another model: maps and cached codes of the whole one do
    not serve it. All images are in memory at once, unless they are packed as the model sees them:
    choose some with --limit.

    \b
    Examples:
      latentmap models prune vae.safetensors --data faces.zip --split train --out small.safetensors
      latentmap models prune vae.safetensors --data sprites.npz --until-error 20 \\
          --out small.safetensors --figure small.png
    """
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.diagnostics.dropping import DropOptions
    from latentmap.diagnostics.dropping_section import dropping_figure, dropping_section
    from latentmap.encoders.normalising import prior_left_out
    from latentmap.encoders.pruning import prune_file

    if until_mse is not None and until_error is not None:
        raise click.UsageError("--until-mse and --until-error are one limit: give one of them")
    outputs.check()
    assert outputs.out is not None, "the option is required"
    images = data.open()
    made = prune_file(
        model,
        images,
        outputs.out,
        DropOptions(until_mse, until_error, gain_images),
        seed=seed,
        device=device,
        on_error=data.on_error,
        force=outputs.force,
        stage=progress_bar,
    )
    dropping = made.dropping
    warn_skipped(dropping.skipped)
    if made.dropped_prior is not None:
        warn(prior_left_out(outputs.out, model, made.dropped_prior))
    if outputs.figure is not None:
        outputs.draw(dropping_figure(dropping, made.whole, made.model), outputs.figure)
    chosen = {"data": images.fingerprint, "choice": images.choice.to_json()}
    record = {"command": command_line(), **chosen, "seed": seed}
    outputs.add_to_report(lambda: dropping_section(dropping, made.whole, made.model, record=record))
    if outputs.as_json:
        print_json({"model": str(outputs.out), **chosen, **made.to_json()})
        return
    say(f"{outputs.out}: {made.model.family} {made.model.fingerprint[:12]}")
    show_result(dropping)
