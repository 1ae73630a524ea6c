"""fit_moments: a map from moments alone, whoever gathered them.

Shapes: ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentmap.codes import Space
from latentmap.errors import MapError
from latentmap.frames import Frame
from latentmap.mapping.fitting import fit_record
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.methods import find_method
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.options import Choice, FitOptions
from latentmap.mapping.patches import Patches
from latentmap.mapping.selection import Selection, chosen_by_folds, generalised, solver_of
from latentmap.mapping.typicality import sampled_distances
from latentmap.progress import Progress


@dataclass(frozen=True, eq=False)
class Fitted:
    """What is known of the pairs that moments are of, beside these.

    Their ``source`` and ``target`` with what is seen of an image there, how many they are, the
    fingerprint ``data`` of their images, the ``digests`` ``(k, 16)`` of those that are known,
    and some of the source codes, ``sample`` ``(_, p)``, evenly spaced. With ``patches`` moments
    are of cells.
    """

    source: Space
    target: Space
    source_frame: Frame
    target_frame: Frame
    n_pairs: int
    data: str
    digests: np.ndarray
    sample: torch.Tensor
    patches: Patches | None = None


def choices_by_moments(options: FitOptions, patches: Patches | None) -> list[Choice]:
    """What chooses which settings, where there are moments and no pairs: the penalty of ridge and
    its kin generalised cross-validation, or folds where a map is of ``patches``; all else folds.

    Raises:
        MapError: the method, or what is asked of it, reads the pairs themselves.
    """
    method = find_method(options.method)
    reads = {"pairs", "units", "noise"}.intersection(method.needs)
    what = ""
    if options.refine:
        what = "refining a map (--refine)"
    elif reads or (method.choose and options.choices):
        what = f"the method {method.name}"
    elif options.select in ("loo", "image"):
        what = f"choosing by {options.select}"
    if what:
        raise MapError(
            f"{what} reads the pairs, and by workers a map is fitted from moments alone: choose "
            "another, or fit without workers"
        )
    if options.select == "gcv" and options.choices and (patches or not method.ridge_like):
        what = "patches" if method.ridge_like else f"the method {method.name}"
        raise MapError(f"gcv is for flat codes and the penalty of ridge: for {what} choose kfold")
    by_moments: list[Choice] = []
    for criterion, names in options.choices:
        chosen = criterion
        if method.ridge_like and "penalty" in names:
            chosen = options.select or ("kfold" if patches else "gcv")
        by_moments.append((chosen, names))
    return by_moments


def fit_moments(
    parts: Sequence[Moments],
    fitted: Fitted,
    options: FitOptions | None = None,
    *,
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The map that the moments of some pairs give; by default ridge, see ``choices_by_moments``.

    ``parts`` are the moments of the folds, where settings are chosen by these; else they are
    merged. All products of the target's variables are known of them. The map is the one that
    ``fit`` gives of the pairs with the same settings. ``record`` is what else its file is to say.

    Raises:
        MapError: as ``choices_by_moments``; or fewer than two pairs.
    """
    options = options or FitOptions()
    choices = choices_by_moments(options, fitted.patches)
    if fitted.n_pairs < 2:
        raise MapError(
            f"a map needs at least 2 pairs, not {fitted.n_pairs}: give more images that both "
            "models encode"
        )
    gathered = merge_all(parts)
    if not options.intercept:
        parts = [part.about_zero() for part in parts]
    used = gathered if options.intercept else gathered.about_zero()
    method, settings = find_method(options.method), dict(options.settings)
    selections: list[Selection] = []
    for criterion, names in choices:
        if criterion == "gcv":
            selection = generalised(used)
        else:
            selection = chosen_by_folds(
                method, parts, used, names, settings=settings, progress=progress
            )
        selections.append(selection)
        settings |= selection.chosen
    solution = solver_of(method, used, settings)({})
    moments = solution.moments or gathered
    distances = None
    if fitted.patches is None:
        alike = moments.n == fitted.n_pairs > 2
        distances = sampled_distances([fitted.sample], moments, alike=alike)
    return LinearMap(
        weight=solution.weight,
        bias=solution.bias,
        source=fitted.source,
        target=fitted.target,
        source_frame=fitted.source_frame,
        target_frame=fitted.target_frame,
        method=method.name,
        settings={name: v for name, v in settings.items() if not isinstance(v, torch.Tensor)},
        rank=solution.rank,
        condition=solution.condition,
        figures=solution.figures,
        n_pairs=fitted.n_pairs,
        train_digests=fitted.digests,
        moments=moments,
        source_distances=distances,
        patches=fitted.patches,
        record={**fit_record(options, fitted.data, selections), **(record or {})},
    )
