"""Recorded trainings on the page of the explorer, or as a figure, without a model."""

from __future__ import annotations

import click

from latentmap.cli.explore_beside import Beside
from latentmap.cli.explore_figure import draw, refuse_page
from latentmap.cli.explore_page import Page
from latentmap.cli.explore_words import words_without_folders
from latentmap.cli.options import refuse_given
from latentmap.cli.outputs import Outputs

# What is of use without a model.
_OF_TRAININGS = {
    *("references", "trace_paths", "state", "host", "port", "browser"),
    *("figure", "width", "dpi", "as_json", "force"),
}


def draws_trainings(state: str, outputs: Outputs) -> bool:
    """Whether a figure of a training is asked for, whatever models are beside it."""
    from latentmap.explorer.drawing import TRACES_VIEW
    from latentmap.explorer.places import view_of

    return outputs.figure is not None and view_of(state) == TRACES_VIEW


def explore_trainings(
    context: click.Context, beside: Beside, state: str, page: Page, outputs: Outputs
) -> None:
    """Shows trainings alone, and refuses what is of use beside a model.

    Raises:
        click.UsageError: there is no training, or an option is of no use.
        ModelError: a file is no training.
        ExplorerError: the state says what cannot be, or the address cannot be had.
    """
    from latentmap.explorer.drawing import figure_of_trainings
    from latentmap.explorer.serving import require_server
    from latentmap.explorer.trainings import OnlyTrainings

    if not beside.trace_paths:
        raise click.UsageError("give a MODEL to explore, or a training by --trace FILE")
    if not context.params["references"]:
        others = [one.name for one in context.command.params if one.name not in _OF_TRAININGS]
        refuse_given(context, [name for name in others if name], "without a MODEL")
    outputs.check(plot=True)
    if outputs.figure is None:
        require_server()
    else:
        refuse_page(context)
    trainings = OnlyTrainings(beside.trainings(), words_without_folders(context, "traces"))
    if outputs.figure is None:
        page.serve(trainings, state, as_json=outputs.as_json)
    else:
        draw(figure_of_trainings(trainings, state), outputs)
