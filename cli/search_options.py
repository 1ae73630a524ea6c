"""How codes of any image are searched for: what ``bench`` and ``invert`` share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import RUNNING, number_option, option, together
from latentmap.cli.kinds import NumberRange
from latentmap.cli.options import PRECISIONS

if TYPE_CHECKING:
    from latentmap.inversion import SearchSettings

# A test compares these with the library's own list, which cannot be imported here without torch.
METHODS = ("network", "search", "hybrid")


@dataclass(frozen=True)
class SearchOptions:
    """The settings of a search, as given on the command line."""

    steps: int
    starts: int

    def to_library(self) -> SearchSettings:
        """The same for the library."""
        from latentmap.inversion import SearchSettings

        return SearchSettings(**asdict(self))


@dataclass(frozen=True)
class WeightedSearchOptions(SearchOptions):
    """The same with the weights of what a search may make small besides."""

    perceptual: float
    prior: float
    anywhere: bool

    def to_library(self) -> SearchSettings:
        """The same for the library."""
        from latentmap.inversion import SearchSettings

        given = asdict(self)
        return SearchSettings(inside=not given.pop("anywhere"), **given)


# A search is through the decoder, whose arithmetic only StyleGAN lets one choose.
decoder_precision_option = option(
    "--precision",
    title=RUNNING,
    type=click.Choice(PRECISIONS),
    callback=lambda _, __, value: None if value == "float32" else value,
    default="float32",
    show_default=True,
    help="StyleGAN: arithmetic of its convolutions.",
)
_STEPS = number_option("--steps", default=500, help="At most so many steps from a start.")
_STARTS = number_option(
    "--starts", default=4, help="Starts an image, of which the best is kept after a trial."
)
search_options = together("search", SearchOptions, _STEPS, _STARTS)
weighted_search_options = together(
    "search",
    WeightedSearchOptions,
    _STEPS,
    _STARTS,
    click.option(
        "--perceptual",
        type=NumberRange(min=0),
        default=0.0,
        show_default=True,
        metavar="WEIGHT",
        help="Add (1 - SSIM) times this to the squared error that a search makes small.",
    ),
    click.option(
        "--prior",
        type=NumberRange(min=0),
        default=0.0,
        show_default=True,
        metavar="WEIGHT",
        help="Add the code's squared distance from the prior's mean, about 1 for samples, times "
        "this.",
    ),
    click.option(
        "--anywhere",
        is_flag=True,
        help="Search beyond the range too, in which 99.9 % of the model's samples lie.",
    ),
)
