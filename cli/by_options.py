"""The option ``--by``: groups of images by what is known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import option
from latentmap.cli.lists import AnyNames

if TYPE_CHECKING:
    from latentmap.images.asked_groups import AskedGroups

# A test compares it with the library's own, which cannot be imported here without torch.
KNOWN = ("labels", "brightness", "background")

by_option = option(
    "--by",
    type=AnyNames("attributes", "Male,Young"),
    multiple=True,
    metavar="NAME[,NAME]",
    help="Groups of the images by a column of --attributes, by their labels, brightness or "
    "background (the outermost eighth); by two, the crossing of them. Repeat it for several.",
)


def ask_for_groups(
    by: tuple[tuple[str, ...], ...], data: DataOptions, *, probes: bool = False
) -> AskedGroups | None:
    """The groups that are asked for, checked against the table; None where none are. The table may
    be there for ``probes``.

    Raises:
        click.UsageError: they are of a table that is not given.
        ImageError: the table cannot be read, or lacks a column.
    """
    from latentmap.images.asked_groups import AskedGroups

    if not by:
        return None
    columns = [name for one in by for name in one if name not in KNOWN]
    if columns and data.attributes is None:
        raise click.UsageError(
            f"--by {columns[0]} is a column of a table: give that with --attributes, or take one "
            f"of {', '.join(KNOWN)}"
        )
    alone = data.attributes is not None and data.where is None and not probes
    if not columns and alone:
        raise click.UsageError(
            "--attributes is for --where, or to be named with --by: leave it out"
        )
    return AskedGroups.of(by, data.attributes)


def without_table(by: tuple[tuple[str, ...], ...], data: DataOptions) -> DataOptions:
    """The data options without a table of attributes that is there for ``--by`` alone."""
    return replace(data, attributes=None) if by and data.where is None else data
