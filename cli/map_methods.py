"""latentmap map methods, map curve: several maps between the same two models."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from latentmap.cli.baselines import beside, fitted_baselines
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.fit_options import check_choices, check_spaces, fit_options
from latentmap.cli.fit_request import FitRequest, fit_request, skipped_of
from latentmap.cli.lists import NumberList
from latentmap.cli.options import baselines_option
from latentmap.cli.output import show_result
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs
from latentmap.cli.unseen import tell_seen
from latentmap.mapping.methods import METHODS
from latentmap.mapping.options import FitOptions

if TYPE_CHECKING:
    from latentmap.relocation.baselines import BaselineKind


@click.command(cls=Command)
@fit_request
@functools.partial(fit_options, every=True)
@baselines_option
@result_outputs(report_option)
@click.pass_context
def methods(
    context: click.Context,
    request: FitRequest,
    options: FitOptions,
    kinds: tuple[BaselineKind, ...],
    outputs: Outputs,
) -> None:
    """Compare all methods of fitting a map, on the same pairs and the same images.

    Takes what `latentmap fit` takes, and fits on the same pairs; no map is written. Settings hold
    for the methods that have them; baselines are fitted by ridge.

    \b
    Examples:
      latentmap map methods --src svae --dst stylegan
      latentmap map methods --src a.safetensors --dst b.safetensors --data faces.zip --select kfold
    """
    from latentmap.cli.output import print_json, tell_left_out, warn, warn_skipped
    from latentmap.relocation.section import methods_section, methods_title
    from latentmap.relocation.several_maps import compare_methods

    request.check()
    check_choices(context, options, every=True)
    outputs.check()
    source, target = request.load()
    check_spaces(options, source, target)
    found = request.open(source, target, beside=beside(context, kinds, options))
    ridge = options.of(METHODS["ridge"])
    compared = compare_methods(
        found.training,
        found.test,
        found.coder,
        options=options,
        baselines=fitted_baselines(found, ridge, request.seed),
        seed=request.seed,
        record=found.record,
    )
    for name, reason in compared.failed.items():
        warn(f"{name} has no map: {reason}")
    outputs.add_to_report(lambda: methods_section(compared))
    record = compared.results[0].scores.record
    warn_skipped(skipped_of(record))
    tell_left_out(record["left_out"])
    tell_seen(record["n_seen"], compared.results[0].scores.n_test)
    if outputs.as_json:
        print_json(compared.to_json())
    else:
        show_result(compared, title=methods_title(compared))


@click.command(cls=Command)
@functools.partial(fit_request, pairs=False)
@click.option(
    "-n",
    "--pairs",
    "sizes",
    type=NumberList("numbers of pairs", "16,64,all", every=True),
    metavar="N,N,...",
    help="On how many random pairs maps are fitted; `all` is all of them.  [default: those of 16, "
    "64, 256 and 1024 that there are, and all]",
)
@number_option("--draws", default=5, help="How often each number of pairs is drawn.")
@fit_options
@baselines_option
@result_outputs(figure_option("A picture of the curves."), report_option)
@click.pass_context
def curve(
    context: click.Context,
    request: FitRequest,
    sizes: tuple[int | None, ...] | None,
    draws: int,
    options: FitOptions,
    kinds: tuple[BaselineKind, ...],
    outputs: Outputs,
) -> None:
    """Show how the scores of a map grow with the number of pairs that it is fitted on.

    Takes what `latentmap fit` takes; no map is written. Intervals over images and ranges over draws
    stand apart, and a sentence says how many pairs give 99 % of what all do; others, how high the
    best baseline of all pairs is. Every image is decoded once for a number of pairs, from the draws
    in turn.

    \b
    Example:
      latentmap map curve --src a.safetensors --dst b.safetensors --data faces.zip \\
          --pairs 16,64,256,all --figure curve.png
    """
    from latentmap.cli.output import print_json, tell_left_out, warn_skipped
    from latentmap.relocation.curves import curve_plot
    from latentmap.relocation.learning import curve_sizes, learning_curve
    from latentmap.relocation.section import curve_section, curve_title

    request.check()
    check_choices(context, options)
    outputs.check(plot=True)
    source, target = request.load()
    check_spaces(options, source, target)
    found = request.open(
        source,
        target,
        check=lambda n: curve_sizes(sizes, n),
        beside=beside(context, kinds, options),
    )
    grown = learning_curve(
        found.training,
        found.test,
        found.coder,
        sizes=sizes,
        draws=draws,
        options=options,
        baselines=fitted_baselines(found, options, request.seed),
        seed=request.seed,
        record=found.record,
    )
    if outputs.figure is not None:
        plot = curve_plot(grown, title=f"{source.name} to {target.name}")
        outputs.draw(plot, outputs.figure)
    outputs.add_to_report(lambda: curve_section(grown))
    warn_skipped(skipped_of(grown.record))
    tell_left_out(grown.record["left_out"])
    tell_seen(grown.record["n_seen"], grown.n_test)
    if outputs.as_json:
        print_json(grown.to_json())
    else:
        show_result(grown, title=curve_title(grown))
