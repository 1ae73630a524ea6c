"""How a map is fitted: the options of `latentmap fit`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.declaring import number_option
from latentmap.cli.kinds import NumberRange
from latentmap.cli.options import refuse_given
from latentmap.mapping.methods import METHODS
from latentmap.mapping.options import CRITERIA, FitOptions

if TYPE_CHECKING:
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])

# The error of codes, by whatever suits the method.
_BY_CODES = "codes"
_SETTINGS = ("penalty", "rank", "components", "whitening", "l1_ratio", "activity", "signed")


def check_choices(context: click.Context, options: FitOptions, *, every: bool = False) -> None:
    """Refuses --select and --folds where there is nothing for them to choose, for one method or for
    ``every`` one.

    Raises:
        click.UsageError: so it is.
    """
    fits = [options.of(method) for method in METHODS.values()] if every else [options]
    criteria = {criterion for fit in fits for criterion, _ in fit.choices}
    if options.select == "image":
        criteria = criteria | {"kfold"}  # Of images.
    if not criteria:
        refuse_given(context, ("select", "folds"), "where no setting is left to choose")
    if "kfold" not in criteria:
        refuse_given(context, ["folds"], "where no setting is chosen by kfold")


def check_spaces(options: FitOptions, source: Model, target: Model) -> None:
    """Refuses what the spaces of two models cannot have, before anything is encoded.

    Raises:
        MapError: the patch.
        ModelError: the target has no decoder, and images are to choose.
    """
    from latentmap.mapping.patches import patches_between

    patches_between(source.space, target.space, options.patch)
    if options.select == "image":
        target.require_decoder()


# Of one method; the others hold for all that have them.
_OF_ONE = (
    click.option(
        "--method",
        type=click.Choice(tuple(METHODS)),
        default="ridge",
        show_default=True,
        metavar="NAME",
        help=f"How the map is fitted: {', '.join(METHODS)}.",
    ),
    click.option(
        "--refine",
        is_flag=True,
        help="One more pass over the pairs wins back digits (ridge, least-squares).",
    ),
)
_SHARED = (
    click.option(
        "--select",
        type=click.Choice((_BY_CODES, *CRITERIA)),
        help="What chooses a penalty, rank or number of components that is not given: the error of "
        "held-out codes by leave-one-out, generalised or k-fold cross-validation, or, a penalty, "
        "of decoded images; copies, and images of one of the groups of --group-by, are left out "
        "together.  [default: codes, which is loo for ridge and its kin, else kfold, and kfold for "
        "patches]",
    ),
    click.option(
        "--patch",
        type=click.Choice(("1", "3", "5", "full")),
        help="Between grids, one map for all cells: from so many cells in each direction about a "
        "cell; full is the map of flat codes.  [default: 3 where both spaces are grids of at least "
        "3x3 one of which folds to the other, else full]",
    ),
    number_option(
        "--folds",
        least=2,
        default=5,
        metavar="K",
        help="For kfold, into so many parts.",
    ),
    click.option(
        "--penalty",
        type=NumberRange(min=0),
        metavar="NUMBER",
        help="The penalty of the method.  [default: chosen from the pairs]",
    ),
    number_option("--rank", metavar="R", help="Of reduced-rank.  [default: chosen from the pairs]"),
    number_option(
        "--components",
        metavar="K",
        help="Of cca, regularised-cca and pls.  [default: chosen from the pairs]",
    ),
    click.option(
        "--whitening",
        type=NumberRange(0, 1),
        metavar="SHARE",
        help="Of whitened-procrustes, from 0 (rotation) to 1 (full whitening).  [default: 0.5]",
    ),
    click.option(
        "--l1-ratio",
        type=NumberRange(0, 1, min_open=True),
        metavar="SHARE",
        help="Of sparse: 1 is the lasso, less an elastic net.  [default: 1]",
    ),
    click.option(
        "--activity",
        type=NumberRange(min=0),
        metavar="NUMBER",
        help="Of published: the penalty of the mapped codes.  [default: 0.0001]",
    ),
    click.option(
        "--signed/--unsigned",
        default=None,
        help="Of permutation: whether variables may change their sign.  [default: signed]",
    ),
    click.option(
        "--intercept/--no-intercept",
        default=True,
        show_default=True,
        help="Whether the map may shift codes.",
    ),
    click.option(
        "--moments",
        type=click.Choice(("exact", "fast")),
        default="exact",
        show_default=True,
        help="Sums in float64, or of float32 products: faster, refused where it would show.",
    ),
)


def fit_options(command: Command, *, every: bool = False) -> Command:
    """Adds the options of a fit; the command gets them as ``options: FitOptions``. With ``every``
    method there is none to choose.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **given: Any) -> Any:
        settings = {name: given.pop(name) for name in _SETTINGS}
        if given["select"] == _BY_CODES:
            given["select"] = None
        if given["patch"] not in (None, "full"):
            given["patch"] = int(given["patch"])
        options = FitOptions(
            **{one.name: given.pop(one.name) for one in fields(FitOptions) if one.name in given},
            settings={name: value for name, value in settings.items() if value is not None},
        )
        return command(*args, options=options, **given)

    decorated: Any = wrapper
    for option in reversed([*([] if every else _OF_ONE), *_SHARED]):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # as in options.py
