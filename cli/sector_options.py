"""Options about sectors that the commands on support sets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import click

from latentmap.cli.declaring import Decorated

# A test compares these with the library's own list, which cannot be imported here without torch.
CENTERS = ("mean", "zero")

center_option = click.option(
    "--center",
    type=click.Choice(CENTERS),
    default="mean",
    show_default=True,
    help="What variables are measured from: the mean of the codes; or zero, the prior's mean, as "
    "published for z.",
)


def _parse_threshold(
    ctx: click.Context, parameter: click.Parameter, value: str
) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        threshold = float(value)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold < float("inf"):
        raise click.BadParameter(f"{value!r} is no threshold: give auto, or a number from 0 on")
    return threshold


def threshold_option(help: str) -> Callable[[Decorated], Decorated]:
    """The threshold of sectors: a number, or chosen by the balance of the set."""
    return click.option(
        "--threshold",
        default="auto",
        show_default=True,
        callback=_parse_threshold,
        metavar="T|auto",
        help=help,
    )
