"""fit: from pairs to a map, by any method, with its settings chosen from the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.errors import MapError
from latentmap.mapping.gathering import MomentPrecision, moments_by_fold, moments_of_pairs
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.selection import (
    CRITERIA,
    Criterion,
    Selection,
    assign_folds,
    candidates_for,
    generalised,
    k_fold,
    leave_one_out,
    solver_of,
)
from latentmap.mapping.solution import Solution, affine
from latentmap.mapping.solvers import SOLVERS, options_of
from latentmap.progress import Progress

# Their penalty is that of ridge, whose leave-one-out errors have a closed form.
RIDGE_LIKE = ("ridge", "reduced-rank", "robust")
_REFINABLE = ("least-squares", "ridge")


@dataclass(frozen=True)
class FitOptions:
    """How a map is fitted: the arguments of ``fit`` that do not depend on the pairs."""

    method: str = "ridge"
    settings: Mapping[str, Any] = field(default_factory=dict)
    select: Criterion | None = None
    folds: int = 5
    intercept: bool = True
    refine: bool = False
    moments: MomentPrecision = "exact"


def fit(
    pairs: Pairs,
    *,
    method: str = "ridge",
    penalty: float | None = None,
    settings: Mapping[str, Any] | None = None,
    select: Criterion | None = None,
    folds: int = 5,
    groups: np.ndarray | None = None,
    intercept: bool = True,
    refine: bool = False,
    moments: MomentPrecision = "exact",
    seed: int = 0,
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The linear map from the source codes of some pairs to their target codes.

    ``method`` is a name in ``SOLVERS``; ``settings`` are its options (``penalty`` may stand
    outside). A penalty, a rank or a number of components that is not given is chosen by ``select``:
    ``loo`` and ``gcv`` choose the penalty of ridge, reduced rank and robust maps, ``kfold`` (over
    ``folds`` folds that keep the ``groups`` ``(n,)`` together) whatever a method needs; the default
    is ``loo`` where there is a choice. A rank is chosen by ``kfold`` always. ``refine`` takes one
    more pass, which wins back digits that ill-conditioned codes cost. Sums and solution are
    float64, with ``moments="fast"`` the products float32; rows are read in blocks, so memory does
    not grow with the number of pairs. ``references`` are
    how the two models are called, ``record`` is what else the map's file is to say.

    Example:
        >>> from latentmap.codes.codes import Codes, Space
        >>> from latentmap.codes.pairs import pair
        >>> x = torch.randn(50, 2, generator=torch.manual_seed(0))
        >>> ids = [str(i) for i in range(50)]
        >>> a = Codes.from_array(ids, x, space=Space("z", 2, "a", "aa"))
        >>> b = Codes.from_array(ids, x.flip(1), space=Space("z", 2, "b", "bb"))
        >>> fit(pair(a, b)).weight.round(decimals=3).abs()
        tensor([[0., 1.],
                [1., 0.]], dtype=torch.float64)

    Raises:
        MapError: an unknown method or setting, fewer than two pairs, a penalty that cannot be, or
            codes that are not finite.
    """
    given = dict(settings or {}) if penalty is None else {**(settings or {}), "penalty": penalty}
    free = _free_settings(method, given)
    _check(pairs, method, select, refine, free)
    criterion: Criterion = select or ("loo" if method in RIDGE_LIKE else "kfold")
    parts: list[Moments] = []
    if free and not (criterion != "kfold" and free == ["penalty"]):
        count = min(folds, len(pairs) if groups is None else len(np.unique(groups)))
        numbers = assign_folds(len(pairs), folds=count, seed=seed, groups=groups)
        parts = moments_by_fold(pairs, numbers, precision=moments, progress=progress)
        whole = merge_all(parts)
    else:
        whole = moments_of_pairs(pairs, precision=moments, progress=progress)
    centred = whole
    if not intercept:
        whole, parts = whole.about_zero(), [part.about_zero() for part in parts]
    selections = _select(pairs, whole, parts, method, criterion, given, free, progress)
    chosen = given | {name: value for part in selections for name, value in part.chosen.items()}
    if method == "robust":
        solution = SOLVERS[method](whole, pairs=pairs, **chosen)
    else:
        solution = solver_of(method, whole, chosen)({})
    if refine:
        solution = refined(pairs, whole, solution, penalty=chosen.get("penalty", 0.0))
    kept = {name: value for name, value in chosen.items() if not isinstance(value, torch.Tensor)}
    return LinearMap(
        weight=solution.weight,
        bias=solution.bias,
        source=pairs.source.space,
        target=pairs.target.space,
        source_frame=pairs.source.frame,
        target_frame=pairs.target.frame,
        method=method,
        settings=kept,
        rank=solution.rank,
        condition=solution.condition,
        figures=solution.figures,
        n_pairs=len(pairs),
        train_digests=pairs.digests,
        moments=centred,
        source_reference=references[0],
        target_reference=references[1],
        record={
            "selection": [part.to_json() for part in selections],
            "intercept": intercept,
            "refined": refine,
            "moments": moments,
            "data": pairs.source.data,
            "versions": {name: version(name) for name in ("latentmap", "numpy", "torch")},
            **(record or {}),
        },
    )


def refined(pairs: Pairs, moments: Moments, solution: Solution, *, penalty: float) -> Solution:
    """A ridge or least-squares solution after one pass of iterative refinement.

    The residuals ``R = Yc - Xc W`` are taken from the rows, and ``(G + penalty I) dW = Xc'R -
    penalty W`` is added: that wins back digits that the squared condition of ``G`` costs (Bjoerck
    1996, section 2.9).
    """
    gradient = -penalty * solution.weight
    for x, y in pairs.blocks():
        xc = x.double() - moments.mean_x
        gradient += xc.T @ (y.double() - moments.mean_y - xc @ solution.weight)
    spectrum = moments.source_spectrum
    step = spectrum.directions.T @ gradient / (spectrum.values + penalty)[:, None]
    weight = solution.weight + spectrum.directions @ step
    return affine(moments, weight, rank=solution.rank, condition=solution.condition)


def _free_settings(method: str, given: Mapping[str, Any]) -> list[str]:
    """The settings of a method that have to be chosen."""
    if method not in SOLVERS:
        raise MapError(f"unknown method {method!r}: choose one of {', '.join(SOLVERS)}")
    options = options_of(method)
    for name in given:
        if name not in options:
            takes = f"it takes {', '.join(options)}" if options else "it has no settings"
            raise MapError(f"the method {method} takes no {name}: {takes}")
    if "noise" in options and "noise" not in given:
        raise MapError(
            f"the method {method} needs the noise of the source codes: the mean variance of each "
            "variable, such as that of a VAE's posterior"
        )
    return [
        name
        for name, option in options.items()
        if option.default is option.empty and name not in given
    ]


def _check(
    pairs: Pairs, method: str, select: Criterion | None, refine: bool, free: Sequence[str]
) -> None:
    if len(pairs) < 2:
        raise MapError(
            f"a map needs at least 2 pairs, not {len(pairs)}: give more images that both models "
            "encode"
        )
    if select is not None and select not in CRITERIA:
        raise MapError(f"unknown criterion {select!r}: choose one of {', '.join(CRITERIA)}")
    if select in ("loo", "gcv") and free and method not in RIDGE_LIKE:
        raise MapError(
            f"{select} chooses the penalty of {', '.join(RIDGE_LIKE)}: for {method} choose kfold"
        )
    if select == "kfold" and method == "robust" and free:
        raise MapError("the penalty of robust is chosen by loo or gcv, not by kfold")
    if refine and method not in _REFINABLE:
        raise MapError(f"{' and '.join(_REFINABLE)} can be refined, {method} cannot")


def _select(
    pairs: Pairs,
    moments: Moments,
    parts: Sequence[Moments],
    method: str,
    criterion: Criterion,
    given: Mapping[str, Any],
    free: Sequence[str],
    progress: Progress | None,
) -> list[Selection]:
    """What was tried for each free setting; the penalty of a reduced rank first, then its rank."""
    selections = []
    fixed = dict(given)
    left = list(free)
    if "penalty" in left and criterion == "loo":
        selections.append(leave_one_out(pairs, moments, progress=progress))
    elif "penalty" in left and criterion == "gcv":
        selections.append(generalised(moments))
    elif "penalty" in left and method == "reduced-rank":
        tried = candidates_for("ridge", moments, {}, ["penalty"])
        selections.append(k_fold("ridge", parts, tried, progress=progress))
    if selections:
        fixed |= selections[0].chosen
        left.remove("penalty")
    if left:
        candidates = candidates_for(method, moments, fixed, left)
        selections.append(k_fold(method, parts, candidates, fixed=fixed, progress=progress))
    return selections
