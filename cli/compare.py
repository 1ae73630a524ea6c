"""latentmap compare: how the spaces of several models relate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.baselines import tell_missing
from latentmap.cli.by_options import ask_for_groups, by_option, without_table
from latentmap.cli.by_parts import SHARED
from latentmap.cli.compare_request import CompareRequest, compare_request
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import NumberRange
from latentmap.cli.lists import NameList
from latentmap.cli.options import baselines_option
from latentmap.cli.output import print_json, say, show_result, tell_left_out, warn, warn_skipped
from latentmap.cli.outputs import Outputs, figures_option, report_option, result_outputs
from latentmap.cli.unseen import tell_seen
from latentmap.cli.workers import Workers, worker_options
from latentmap.mapping.methods import METHODS

if TYPE_CHECKING:
    from latentmap.comparison.result import ModelComparison
    from latentmap.images import ImageSource
    from latentmap.model import Model
    from latentmap.relocation.baselines import BaselineKind, BaselineModels


@click.command(cls=Command)
@compare_request
@click.option(
    "--methods",
    type=NameList("method", METHODS),
    default=(),
    metavar="NAME,NAME,...",
    help="Fit these besides ridge, and compare them by their codes; `all` is all that fit has.",
)
@number_option(
    "-n",
    "--images",
    "scored",
    least=20,
    default=128,
    help="How many random test images are decoded by every model.",
)
@number_option(
    "--similarity-images",
    "compared",
    least=20,
    default=800,
    help="How many random test images the similarity indexes compare.",
)
@number_option(
    "--permutations",
    least=19,
    help="Random pairings that tell what the indexes of unrelated spaces are; by default 99, or as "
    "many as tests of all pairs need.",
)
@click.option(
    "--alpha",
    type=NumberRange(0.001, 0.5),
    default=0.05,
    show_default=True,
    metavar="LEVEL",
    help="The level of tests, and of what indexes are calibrated by.",
)
@baselines_option
@by_option
@click.option(
    "--ceiling/--no-ceiling",
    "with_ceiling",
    default=None,
    help="Whether a nonlinear map of the same codes stands beside each.  [default: with --methods "
    "all]",
)
@worker_options(SHARED)
@result_outputs(
    figures_option(
        "Draw what the report has as charts into this folder: a heat map of R2, one of efficiency, "
        "one of each similarity index, and the models in a plane."
    ),
    report_option,
)
@click.pass_context
def compare(
    context: click.Context,
    request: CompareRequest,
    methods: tuple[str, ...],
    scored: int,
    compared: int,
    permutations: int | None,
    alpha: float,
    kinds: tuple[BaselineKind, ...],
    by: tuple[tuple[str, ...], ...],
    with_ceiling: bool | None,
    workers: Workers,
    outputs: Outputs,
) -> None:
    """Compare the spaces of several models with each other.

    Maps between all of them, fitted on the split train (or --split val) and judged on the split
    test; ways by a third model, and there and back; similarity indexes that need no map, each with
    its interval, how far it is above random pairings, and which of two models a third is nearer to.
    --by says for groups of the test images on which ways more is lost than on the rest.
    --limit holds for each of the two splits. Each model sees the images in its own frame, size and
    channels: grey models see colour images in grey.

    With --workers several processes or machines share the images, of which all are counted: maps,
    ways and what CKA, CCA and a rotation say, from sums of the codes.

    \b
    Examples:
      latentmap compare vae.safetensors svae.safetensors gan.safetensors --data faces.zip
      latentmap compare vae.safetensors svae.safetensors --data faces.zip --report report
      latentmap compare svae.safetensors ffhq.safetensors --samples 20000 --report report
      latentmap compare vae svae gan --data faces.zip --attributes faces.csv --by Smiling
      latentmap compare clip.npz dino.npz svae.safetensors --data faces.zip
      latentmap compare vae svae --data faces.zip --workers 2
    """
    workers.check()
    if workers.asked:
        from latentmap.cli.compare_parts import compare_by_workers

        compare_by_workers(context, request, workers, outputs)
        return
    from latentmap.comparison import CompareOptions, compare_models
    from latentmap.comparison.section import SECTIONS, comparison_report, comparison_title
    from latentmap.report.store import write_report

    _check_level(alpha, permutations)
    asked = ask_for_groups(by, request.data)
    request = replace(request, data=without_table(by, request.data))
    request.check()
    _check_outputs(outputs)
    opened = request.open()
    split = request.data.fitted_split
    found = _baselines(context, opened.models, kinds, opened.images.split(split))
    result = compare_models(
        opened.models,
        opened.images,
        opened.coder,
        options=CompareOptions(
            split,
            scored,
            compared,
            permutations,
            methods,
            set(METHODS) <= {*methods} if with_ceiling is None else with_ceiling,
            alpha,
        ),
        baselines=found,
        groups=asked,
        seed=request.seed,
        references=request.references,
        record=request.record,
    )
    _warn_of(result)
    _draw_charts(result, outputs)
    if outputs.report is not None:
        write_report(outputs.report, comparison_report(result), replaces=SECTIONS)
    if outputs.as_json:
        print_json(result.to_json())
        return
    show_result(result, title=comparison_title(result))
    if outputs.report is not None:
        say(f"written to {outputs.report / 'index.html'}")
    if outputs.figures is not None:
        say(f"the figures are in {outputs.figures}")


def _warn_of(result: ModelComparison) -> None:
    """Says which images and maps are missing, and which images a model has seen."""
    warn_skipped(result.record["skipped"])
    tell_left_out(result.record["left_out"])
    tell_seen(result.record["n_seen"], result.n_test)
    for line in result.failed_in_words:
        warn(line)


def _draw_charts(result: ModelComparison, outputs: Outputs) -> None:
    """Draws the charts of the report into the folder of figures, if there is one."""
    from latentmap.comparison.section import comparison_charts
    from latentmap.report.chart_plots import chart_plot

    charts = comparison_charts(result).items()
    outputs.draw_all((name, chart_plot(chart)) for name, chart in charts)


def _check_level(alpha: float, permutations: int | None) -> None:
    """Refuses a level that so few permutations have no quantile of."""
    from latentmap.comparison.calibration import least_permutations

    least = least_permutations(alpha)
    if permutations is not None and permutations < least:
        raise click.UsageError(
            f"--alpha {alpha:g} needs at least {least} permutations, not {permutations}: give more "
            "(--permutations), or a larger level"
        )


def _baselines(
    context: click.Context,
    models: Sequence[Model],
    kinds: tuple[BaselineKind, ...],
    images: ImageSource,
) -> list[BaselineModels]:
    """The models of the baselines beside each model; says first what they cost."""
    from latentmap.encoders.baselines import baselines_beside

    if kinds:
        n = len(models) * (len(models) - 1)
        warn(
            f"beside {n} maps between the models stand up to {n * len(kinds)} of baselines "
            f"({', '.join(kinds)}), which are fitted and decoded as well; --baselines none leaves "
            "them out"
        )
    beside = []
    for found in baselines_beside(models, images, kinds=kinds):
        tell_missing(context, found)
        beside.append(found.models)
    return beside


def _check_outputs(outputs: Outputs) -> None:
    """Refuses outputs that are there, before any work is done: also a report that has a comparison.

    Raises:
        click.UsageError, OutputError: that is so.
    """
    from latentmap.comparison.section import SECTIONS
    from latentmap.errors import OutputError
    from latentmap.report.store import begun_report

    outputs.check(plot=True)
    outputs.refuse_folder()
    folder = outputs.report
    if folder is None or outputs.force or not folder.exists():
        return
    if {one.id for one in begun_report(folder).sections}.intersection(SECTIONS):
        raise OutputError(
            f"the report in {folder} has a comparison: choose another folder, or add --force to "
            "replace it"
        )
