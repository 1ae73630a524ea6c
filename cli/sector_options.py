"""Options about sectors that the commands on support sets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import click

from latentmap.cli.declaring import Decorated
from latentmap.cli.kinds import Text, number_of

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


class _Threshold(Text):
    """A number from 0 on, or ``auto``."""

    name = "threshold"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto"]:
        text: str = super().convert(value, param, ctx)
        if text == "auto":
            return "auto"
        threshold = number_of(text)
        if threshold is None or threshold < 0:
            self.fail(f"{text!r} is no threshold: give auto, or a number from 0 on", param, ctx)
        return threshold


def threshold_option(help: str) -> Callable[[Decorated], Decorated]:
    """The threshold of sectors: a number, or chosen by the balance of the set."""
    return click.option(
        "--threshold",
        default="auto",
        show_default=True,
        type=_Threshold(),
        metavar="T|auto",
        help=help,
    )
