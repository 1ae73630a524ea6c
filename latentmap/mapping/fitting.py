"""fit: from pairs to a map, by any method, with its settings chosen from the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.errors import MapError
from latentmap.mapping.leaving_out import LARGEST_UNIT
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.methods import METHODS, Method, find_method
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.near_minimum import smallest_left_out
from latentmap.mapping.observed import Observed
from latentmap.mapping.options import CRITERIA, Choice, Criterion, FitOptions
from latentmap.mapping.patches import PatchSize
from latentmap.mapping.sampled_products import SAMPLED, with_sampled_products
from latentmap.mapping.selection import (
    Selection,
    chosen_by_folds,
    generalised,
    solver_of,
)
from latentmap.mapping.shared_fits import SharedFits
from latentmap.mapping.solution import Solution, affine
from latentmap.mapping.thin_moments import ThinMoments
from latentmap.mapping.typicality import fitted_distances
from latentmap.progress import Progress, ProgressLike, reporting
from latentmap.versions import versions_of


def fit(
    pairs: Pairs,
    options: FitOptions | None = None,
    *,
    method: str | Method | None = None,
    settings: Mapping[str, Any] | None = None,
    patch: PatchSize | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    shared: SharedFits | None = None,
    record: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressLike = None,
) -> LinearMap:
    """The linear map from the source codes of some pairs to their target codes; by default ridge.

    ``method``, ``settings`` and ``patch`` stand in place of those of the ``options``: ``fit(pairs,
    method="pls")`` needs no more. Settings that are not given are chosen from the pairs; those of
    one of the ``groups`` ``(n,)``, and copies, are left out together (``gcv`` is ``loo`` then, and
    both are ``kfold`` where a unit has more than 256 pairs). Between grids, where the rows of a fit
    are the cells of images, an image with its cells is such a unit, and the default is ``kfold``,
    exact from the moments of the folds. Folds are drawn by ``seed``. Sums and solution are float64;
    rows are read in blocks, so memory does not grow with the number of pairs. ``shared`` holds what
    other fits of the same pairs found already. ``record`` is what else the map's file is to say.
    Moments are summed, and single pairs left out, on ``device``.

    Example:
        >>> from latentmap.codes import Codes, Space, pair
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
    options = _options(
        options, {"method": method, "settings": settings, "patch": patch}, len(pairs)
    )
    seen = Observed.of(pairs, groups, options, find_method(options.method))
    choices = _choices(options, seen)
    if shared and shared.patches != seen.patches:
        shared = None
    with reporting(progress, "fitting", "steps") as told:
        if shared:
            gathered, used = shared.gathered, shared.used
            by_folds = any(criterion == "kfold" for criterion, _ in choices)
            parts = shared.parts if by_folds else [used]
        else:
            parts = _gather(options, seen, choices, seed=seed, device=device, progress=told)
            gathered = used = merge_all(parts)
            if not options.intercept:
                used, parts = gathered.about_zero(), [part.about_zero() for part in parts]
        settings, selections = _select(options, seen, used, parts, choices, shared, device, told)
    solution = _solve(options, seen, used, settings)
    moments = solution.moments or gathered
    return LinearMap(
        weight=solution.weight,
        bias=solution.bias,
        source=pairs.source.space,
        target=pairs.target.space,
        source_frame=pairs.source.frame,
        target_frame=pairs.target.frame,
        method=find_method(options.method).name,
        settings={name: v for name, v in settings.items() if not isinstance(v, torch.Tensor)},
        rank=solution.rank,
        condition=solution.condition,
        figures=solution.figures,
        n_pairs=len(pairs),
        train_digests=pairs.digests,
        moments=_kept(moments, pairs),
        source_distances=None if seen.patches else fitted_distances(pairs.source, moments),
        patches=seen.patches,
        record={**fit_record(options, pairs.source.data, selections), **(record or {})},
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


def _options(options: FitOptions | None, instead: Mapping[str, Any], n_pairs: int) -> FitOptions:
    """The options, with what stands in place of theirs, checked for so many pairs."""
    given = {name: value for name, value in instead.items() if value is not None}
    options = replace(options or FitOptions(), **given)
    _check(options, n_pairs)
    return options


def _check(options: FitOptions, n_pairs: int) -> None:
    method = find_method(options.method)
    for name in options.settings:
        if name not in method.settings:
            takes = ", ".join(method.settings)
            takes = f"it takes {takes}" if takes else "it has no settings"
            raise MapError(f"the method {method.name} takes no {name}: {takes}")
    if "noise" in method.needs and "noise" not in options.settings:
        raise MapError(
            f"the method {method.name} needs the noise of the source codes: the mean variance of "
            "each variable, such as that of a VAE's posterior"
        )
    if n_pairs < 2:
        raise MapError(
            f"a map needs at least 2 pairs, not {n_pairs}: give more images that both models encode"
        )
    if options.select is not None and options.select not in CRITERIA:
        raise MapError(f"unknown criterion {options.select!r}: choose one of {', '.join(CRITERIA)}")
    if any(criterion == "image" for criterion, _ in options.choices):
        raise MapError(
            "image chooses by decoded images, and codes alone have none: fit with the models, by "
            "`latentmap fit` or relocation.fit_training"
        )
    by_folds = any(criterion == "kfold" for criterion, _ in options.choices)
    if by_folds and options.select in ("loo", "gcv", "image") and not method.ridge_like:
        kin = ", ".join(one.name for one in METHODS.values() if one.ridge_like)
        raise MapError(
            f"{options.select} chooses the penalty of {kin}: for {method.name} choose kfold"
        )
    if by_folds and "pairs" in method.needs:
        raise MapError(
            f"the penalty of {method.name} is chosen by loo or gcv, not by kfold"
            if method.ridge_like
            else f"kfold works on moments, and {method.name} needs the pairs: give its "
            f"{' and its '.join(method.free)}"
        )
    if options.refine and not method.refinable:
        can = " and ".join(one.name for one in METHODS.values() if one.refinable)
        raise MapError(f"{can} can be refined, {method.name} cannot")


def _choices(options: FitOptions, seen: Observed) -> list[Choice]:
    """What chooses which settings: what knows pairs only, ``loo`` and ``gcv``, leaves out units
    one by one where these are of several rows, or fold by fold where they are large.

    Raises:
        MapError: the method can leave out no units that large.
    """
    if seen.units is None and seen.patches is None:
        return options.choices
    small = seen.largest_unit <= LARGEST_UNIT
    method = find_method(options.method)
    if seen.patches and not small and method.choose and options.choices:
        raise MapError(
            f"the penalty of {method.name} is chosen by leaving out images of at most "
            f"{LARGEST_UNIT} cells, and these have {seen.largest_unit}: give its penalty"
        )
    folds = seen.patches is not None and options.select is None and not method.choose
    by_unit: Criterion = "loo" if small and not folds else "kfold"
    return [
        ("kfold" if criterion == "kfold" else by_unit, names)
        for criterion, names in options.choices
    ]


def _gather(
    options: FitOptions,
    seen: Observed,
    choices: Sequence[Choice],
    *,
    seed: int,
    device: torch.device | str,
    progress: Progress | None,
) -> list[Moments]:
    """The moments of each fold of the pairs; of all as one where nothing is chosen by folds."""
    n = len(seen.pairs)
    numbers = np.zeros(n, dtype=np.int64)
    if any(criterion == "kfold" for criterion, _ in choices):
        numbers = seen.folds(options.folds, seed=seed)
    # Products of the targets cost more than all others, and of few pairs they are all the same.
    full = "products" in find_method(options.method).needs or n <= SAMPLED
    return seen.moments_by_fold(
        numbers,
        targets="products" if full else "squares",
        precision=options.moments,
        device=device,
        progress=progress,
    )


def _select(
    options: FitOptions,
    seen: Observed,
    moments: Moments,
    parts: Sequence[Moments],
    choices: Sequence[Choice],
    shared: SharedFits | None,
    device: torch.device | str,
    progress: Progress | None,
) -> tuple[dict[str, Any], list[Selection]]:
    """All settings, and what was tried for those that were not given, choice by choice."""
    selections = []
    settings = dict(options.settings)
    choose = find_method(options.method).choose
    rows = {"pairs": seen.rows, "units": seen.row_units}
    for criterion, names in choices:
        if choose and "penalty" in names:
            selection = choose(moments, criterion=criterion, progress=progress, **rows)
        elif criterion == "loo":
            find = partial(
                smallest_left_out,
                seen.rows,
                moments,
                units=seen.row_units,
                device=device,
                progress=progress,
            )
            selection = shared.left_out(find) if shared else find()
        elif criterion == "gcv":
            selection = generalised(moments)
        else:
            selection = chosen_by_folds(
                find_method(options.method),
                parts,
                moments,
                names,
                settings=settings,
                others=shared.others if shared else None,
                progress=progress,
            )
        # Of images alone their number says nothing more.
        selection = replace(selection, n_units=seen.n_units)
        selections.append(selection)
        settings |= selection.chosen
    return settings, selections


def _solve(
    options: FitOptions, seen: Observed, moments: Moments, settings: Mapping[str, Any]
) -> Solution:
    method = find_method(options.method)
    rows = {"pairs": seen.rows, "units": seen.row_units}
    needed = {name: rows[name] for name in method.needs if name in rows}
    if needed:
        solution = method.solve(moments, **needed, **settings)
    else:
        solution = solver_of(method, moments, settings)({})
    if options.refine:
        solution = refined(seen.rows, moments, solution, penalty=settings.get("penalty", 0.0))
    return solution


def _kept(moments: Moments, pairs: Pairs) -> Moments:
    """The moments that a map keeps: with products of the target variables, if only of a sample."""
    # Roots say all products, and it would take memory to have these.
    if isinstance(moments, ThinMoments) or len(pairs) <= SAMPLED or moments.yy is not None:
        return moments
    return with_sampled_products(moments, pairs)


def fit_record(options: FitOptions, data: str, selections: Sequence[Selection]) -> dict[str, Any]:
    """What the record of a map says of its fit on some ``data``, by their fingerprint."""
    return {
        "selection": [selection.to_json() for selection in selections],
        "intercept": options.intercept,
        "refined": options.refine,
        "moments": options.moments,
        "data": data,
        "versions": versions_of("latentmap", "numpy", "torch"),
    }
