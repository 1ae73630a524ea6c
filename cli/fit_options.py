"""How a map is fitted: the options of `latentmap fit`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from latentmap.cli.options import NumberRange, refuse_given

if TYPE_CHECKING:
    from latentmap.mapping import FitOptions

Command = TypeVar("Command", bound=Callable[..., Any])

# A test compares these with the library's own lists, which cannot be imported here without torch.
METHODS = (
    "least-squares",
    "ridge",
    "published",
    "reduced-rank",
    "procrustes",
    "similarity",
    "whitened-procrustes",
    "permutation",
    "cca",
    "regularised-cca",
    "pls",
    "gaussian-ot",
    "sparse",
    "robust",
    "errors-in-variables",
)
CRITERIA = ("loo", "gcv", "kfold")

_SETTINGS = ("penalty", "rank", "components", "whitening", "l1_ratio", "activity", "signed")


@dataclass(frozen=True)
class FitOptionsGiven:
    """What the user asked for; a setting that is None was not given."""

    method: str
    select: Literal["loo", "gcv", "kfold"] | None
    folds: int
    intercept: bool
    refine: bool
    moments: Literal["exact", "fast"]
    settings: dict[str, Any]

    def check(self, context: click.Context) -> None:
        """Refuses --select and --folds where there is nothing for them to choose.

        Raises:
            click.UsageError: so it is.
        """
        criteria = self._criteria()
        if not criteria:
            refuse_given(context, ("select", "folds"), "where no setting is left to choose")
        if "kfold" not in criteria:
            refuse_given(context, ["folds"], "where no setting is chosen by kfold")

    def _criteria(self) -> set[str]:
        """What chooses the settings that were not given, as ``fit`` does it."""
        from latentmap.mapping.fitting import RIDGE_LIKE
        from latentmap.mapping.solvers import options_of

        found: set[str] = set()
        for method in METHODS if self.method == "all" else (self.method,):
            needed = {
                name
                for name, option in options_of(method).items()
                if option.default is option.empty
            }
            free = needed - {*self.settings, "noise"}  # The noise is that of the source model.
            if "penalty" in free:
                found.add((self.select or "loo") if method in RIDGE_LIKE else "kfold")
            if free - {"penalty"}:
                found.add("kfold")
        return found

    def to_library(self, *, method: str | None = None) -> FitOptions:
        """The same for the library, with another method if one is given."""
        from latentmap.mapping import FitOptions

        return FitOptions(
            method=method or self.method,
            settings=self.settings,
            select=self.select,
            folds=self.folds,
            intercept=self.intercept,
            refine=self.refine,
            moments=self.moments,
        )


_OPTIONS = (
    click.option(
        "--method",
        type=click.Choice((*METHODS, "all")),
        default="ridge",
        show_default=True,
        metavar="NAME",
        help=f"How the map is fitted: {', '.join(METHODS)}; all compares them.",
    ),
    click.option(
        "--select",
        type=click.Choice(CRITERIA),
        help="What chooses a penalty, rank or number of components that is not given: "
        "leave-one-out, generalised or k-fold cross-validation.  [default: loo for ridge and its "
        "kin, else kfold]",
    ),
    click.option(
        "--folds",
        type=click.IntRange(min=2),
        default=5,
        show_default=True,
        metavar="K",
        help="For kfold; the groups of --group-by stay together.",
    ),
    click.option(
        "--penalty",
        type=NumberRange(min=0),
        metavar="NUMBER",
        help="The penalty of the method.  [default: chosen from the pairs]",
    ),
    click.option(
        "--rank",
        type=click.IntRange(min=1),
        metavar="R",
        help="Of reduced-rank.  [default: chosen from the pairs]",
    ),
    click.option(
        "--components",
        type=click.IntRange(min=1),
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
        "--refine",
        is_flag=True,
        help="One more pass over the pairs wins back digits (ridge, least-squares).",
    ),
    click.option(
        "--moments",
        type=click.Choice(("exact", "fast")),
        default="exact",
        show_default=True,
        help="Sums in float64, or of float32 products: faster, refused where it would show.",
    ),
)


def fit_options(command: Command) -> Command:
    """Adds the options of a fit; the command gets them as ``options: FitOptionsGiven``."""

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        settings = {name: given.pop(name) for name in _SETTINGS}
        names = ("method", "select", "folds", "intercept", "refine", "moments")
        options = FitOptionsGiven(
            **{name: given.pop(name) for name in names},
            settings={name: value for name, value in settings.items() if value is not None},
        )
        return command(options=options, **given)

    decorated: Any = wrapper
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # as in options.py
