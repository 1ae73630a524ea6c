"""latentmap trace: what the variables of a VAE did while it was trained."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.declaring import Group, output_option
from latentmap.cli.kinds import WIDEST, InputFile
from latentmap.cli.lists import NumberList
from latentmap.cli.output import print_json, say, show_result
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs


@click.group(cls=Group)
def trace() -> None:
    """Look at the trace of a training, as `latentmap train vae --trace FILE` writes it.

    \b
    Example:
      latentmap trace show vae.trace --figure variances.png --report report
    """


@trace.command()
@click.argument("path", metavar="TRACE", type=InputFile())
@click.option(
    "--variables",
    type=NumberList("variables", "0,3", least=0, most=WIDEST),
    metavar="I,J",
    help="The plane of the paths.  [default: the two of most gain]",
)
@output_option("--paths", "The paths of the followed codes.")
@output_option("--animate", "The paths as a film: .webp, .gif, or .mp4 by ffmpeg.", metavar="FILM")
@output_option(
    "--staircase",
    "Of a training with --gates: the open gates, the error and its multiplier over the steps.",
)
@result_outputs(
    figure_option(
        "The variance of every variable over the steps; of a deteriorated variable, gain, KL and "
        "variance over the epochs."
    ),
    report_option,
)
def show(
    path: Path,
    *,
    variables: tuple[int, ...] | None,
    paths: Path | None,
    animate: Path | None,
    staircase: Path | None,
    outputs: Outputs,
) -> None:
    """Show how the variables of a training went: variance, KL, information gain, codes of images.

    All are of the network as it was trained, before `train` normalised its codes.

    \b
    Examples:
      latentmap trace show vae.trace --figure variances.png
      latentmap trace show vae.trace --animate paths.webp --report report
      latentmap trace show gated.trace --staircase staircase.png
    """
    from latentmap.diagnostics.deteriorated import deteriorated_in, deteriorated_plot
    from latentmap.diagnostics.staircase import staircase_in, staircase_plot
    from latentmap.diagnostics.trace_figures import (
        motion_of,
        paths_plot,
        require_animation,
        save_animation,
        variances_plot,
    )
    from latentmap.diagnostics.trace_section import trace_section
    from latentmap.diagnostics.traces import Trace
    from latentmap.errors import ModelError
    from latentmap.files import refuse_existing
    from latentmap.report import as_text

    outputs.check(plot=True, others=(paths, staircase))
    if animate is not None:
        refuse_existing(animate, force=outputs.force)
        require_animation(animate)
    found = Trace.load(path)
    gates, noisy = staircase_in(found), deteriorated_in(found)
    if staircase is not None and gates is None:
        raise ModelError(
            f"{path} is of a training without gates, so it has no staircase: train with --gates "
            "and --tau"
        )
    wanted = variables is not None or paths is not None or animate is not None
    motion = motion_of(found, variables) if wanted or found.latent_dim > 1 else None
    if outputs.figure is not None:
        plot = variances_plot(found) if noisy is None else deteriorated_plot(noisy)
        outputs.draw(plot, outputs.figure)
    if gates is not None and staircase is not None:
        outputs.draw(staircase_plot(gates), staircase)
    if motion is not None and paths is not None:
        outputs.draw(paths_plot(motion), paths)
    if motion is not None and animate is not None:
        save_animation(motion, animate)
    outputs.add_to_report(lambda: trace_section(found, motion, name=path.stem))
    if outputs.as_json:
        told = {} if noisy is None else {"deteriorated": noisy.to_json()}
        print_json({"file": str(path), **found.to_json(), **told})
        return
    if noisy is not None:
        say(noisy.in_words(), "")
    tables = [*found.tables(), *([] if gates is None else [gates.table()])]
    show_result(as_text(tables if noisy is None else [noisy.table(), *tables]))
