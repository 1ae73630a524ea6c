"""FitOptions: how a map is fitted, whatever the pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from latentmap.mapping.methods import Method, find_method
from latentmap.mapping.patches import PatchSize

Criterion = Literal["loo", "gcv", "kfold", "image"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
# What chooses, and which settings.
Choice: TypeAlias = tuple[Criterion, tuple[str, ...]]
# exact: float64; fast: products of float32, added up in float64.
MomentPrecision = Literal["exact", "fast"]


@dataclass(frozen=True)
class FitOptions:
    """How a map is fitted.

    ``method`` is a name in ``METHODS`` or a record of one's own, ``settings`` are what the method
    takes. A penalty, a rank or a number of components that is not given is chosen by ``select``:
    ``loo`` and ``gcv`` choose the penalty of ridge, reduced rank and robust maps, ``kfold`` (over
    ``folds`` folds) whatever a method needs; the default is ``loo`` where there is a choice. Images
    of a group, and copies, are left out together in place of single pairs, see ``fit``. A rank is
    chosen by ``kfold`` always. ``image`` chooses by the error of decoded images, for which the
    models have to be at hand: ``relocation.fit_training`` has them. Between grids a map is one for
    all cells, of a ``patch`` of ``k x k`` cells, see ``patches``, ``"full"`` one of flat codes; the
    default is 3 where both spaces are grids of at least 3x3 that fold. Without ``intercept`` the
    map may not shift codes. ``refine`` takes one more pass, which wins back digits that
    ill-conditioned codes cost. With ``moments="fast"`` products are float32, and refused where it
    would show.
    """

    method: str | Method = "ridge"
    settings: Mapping[str, Any] = field(default_factory=dict)
    select: Criterion | None = None
    folds: int = 5
    intercept: bool = True
    refine: bool = False
    moments: MomentPrecision = "exact"
    patch: PatchSize | None = None

    def of(self, method: Method) -> FitOptions:
        """The same for another method, as far as it takes them; refinement is of one alone."""
        settings = {name: v for name, v in self.settings.items() if name in method.settings}
        select = self.select if method.ridge_like else None
        if select == "image" and "pairs" in method.needs:
            select = None
        return replace(self, method=method, settings=settings, select=select, refine=False)

    @property
    def choices(self) -> list[Choice]:
        """What chooses which settings that were not given, one choice after the other.

        Raises:
            MapError: the method is unknown.
        """
        method = find_method(self.method)
        free = tuple(name for name in method.free if name not in self.settings)
        choices: list[Choice] = []
        if method.ridge_like and "penalty" in free:
            choices.append((self.select or "loo", ("penalty",)))
            free = tuple(name for name in free if name != "penalty")
        return [*choices, ("kfold", free)] if free else choices
