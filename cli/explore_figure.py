"""What the explorer shows as a figure, in place of its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.options import refuse_given
from latentmap.cli.output import print_json, say
from latentmap.cli.outputs import Outputs

if TYPE_CHECKING:
    from latentmap.explorer.drawn import Drawn
    from latentmap.explorer.own_files import OwnFile

# What says how the page is served.
_OF_PAGE = ("host", "port", "browser", "report")


def require_figure(
    context: click.Context, state: str, data: DataOptions, own: Sequence[OwnFile]
) -> None:
    """Refuses what figures of models cannot be of.

    Raises:
        ExplorerError: the view is none that is drawn, or shows an image that is not given.
        click.UsageError: an option is of no use.
    """
    from latentmap.explorer.drawing import POINTS_VIEW, own_images_of, require_drawn
    from latentmap.explorer.own_files import require_own
    from latentmap.explorer.places import view_of

    refuse_page(context, "trace_paths")
    require_drawn(state)
    if data.attributes is not None and data.where is None and view_of(state) != POINTS_VIEW:
        raise click.UsageError(
            f"--attributes is for --where, or colours the points of the view {POINTS_VIEW}: leave "
            "it out with a --figure of another"
        )

    ids = own_images_of(state)
    if ids is None:
        refuse_given(context, ["image_paths"], "with a --figure that shows none of your own")
    else:
        require_own(own, ids)


def refuse_page(context: click.Context, *others: str) -> None:
    """Refuses what is of use on the page alone, and other options.

    Raises:
        click.UsageError: one is given.
    """
    refuse_given(context, [*others, *_OF_PAGE], "with --figure, which is drawn without a page")


def draw(drawn: Drawn, outputs: Outputs) -> None:
    """Writes a figure, and tells what it shows.

    Raises:
        OutputError: it cannot be written.
    """
    assert outputs.figure is not None, "asked before"
    outputs.draw(drawn.figure, outputs.figure)
    if outputs.as_json:
        print_json({"picture": str(outputs.figure), **drawn.told})
    else:
        say(f"{outputs.figure}: {drawn.what}")
