"""The penalty of the smallest leave-one-out error, found without trying all penalties on all pairs.

Generalised cross-validation, which moments give, differs from leave-one-out by ``sum_i r_i^2 (w_i -
c)``, where ``w_i = 1 / (1 - h_i)^2`` is of the pair's leverage and ``c`` of their mean. So its
minimum is near the one sought, and penalties are tried from there until the smallest is inside. Of
many pairs that sum is small and even: a sample of them decides between penalties, unless the
difference is within six standard errors; then more pairs do, and in the end all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.mapping.leaving_out import leave_one_out
from latentmap.mapping.moments import Moments
from latentmap.mapping.sampled_errors import Sample, leverages_of
from latentmap.mapping.selection import EQUAL, Selection, generalised
from latentmap.progress import Progress

# Of fewer pairs the errors may have a valley far from that of generalised cross-validation, and all
# penalties take little time.
_FEWEST = 2048
# Pairs for each degree of freedom, below which leverages are no small correction.
_FEW = 5
# Share of the target's sum of squares below which what a map leaves is rounding in moments.
_EXACT = 1e-10
# The mean squared leverage over the squared mean (of normal codes it is at most 3), and a leverage,
# above which every penalty, or of many pairs every so manieth, is tried.
_UNEVEN = 3.5
_LARGE = 0.35
_COARSE = 2
# Of few pairs a second valley may be where both criteria are about as low: every so manieth is
# tried of these.
_SPARSE = 4
# Share of pairs that may be left out together for generalised cross-validation, which does not know
# of it, to be near.
_SHARED = 0.01
_SAMPLES = (8192, 65536)


def smallest_left_out(
    pairs: Pairs,
    moments: Moments,
    *,
    units: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Selection:
    """The leave-one-out errors of ridge near the smallest of ``penalty_grid``.

    The penalty chosen is that of ``leave_one_out`` with all of the grid, unless far from the
    minimum of generalised cross-validation there is a second one that is as low. Of more than
    16,384 pairs errors are estimates wherever these decide: ``c RSS`` of all pairs and the rest of
    a sample, right to about six digits. All penalties are tried of fewer than 2,048 pairs, where
    pairs are few for the degrees of freedom of the map, where it is exact, and where a few pairs
    have much of the leverage, of many pairs every second then. With ``units`` ``(n,)`` all pairs of
    a unit are left out together and errors are exact; all penalties are tried unless such pairs are
    few, as copies are. What asks for the pairs is computed on ``device``.

    Raises:
        MapError: there are fewer than two pairs, or units.
    """
    crude = generalised(moments)
    if not _tells(crude.errors, moments) or not _single(units):
        return leave_one_out(pairs, moments, units=units, device=device, progress=progress)
    grid = torch.tensor([one["penalty"] for one in crude.candidates], dtype=torch.float64)
    leverages = leverages_of(pairs.source, moments, device=device)
    many = [size for size in _SAMPLES if 2 * size <= len(pairs)]
    samples = many if units is None else []
    if units is not None:
        leverages = np.bincount(units, leverages)
    tried = _around(_minima(crude.errors.numpy(), moments), len(grid))
    if not many:
        tried = [*tried, *_plausible(crude.errors.numpy(), moments)[::_SPARSE]]
    if _uneven(leverages):
        if not samples:
            return leave_one_out(pairs, moments, units=units, device=device, progress=progress)
        tried = [*tried, *range(0, len(grid), _COARSE)]
    for size in samples:
        sample = Sample(pairs, moments, grid, size=size, leverages=leverages, device=device)
        while tried := _open(sample.errors, tried, len(grid)):
            sample.extend(tried)
        tried = sample.unsure
        if not tried:
            if progress:
                progress(len(pairs), len(pairs))
            return _selection(grid, sample.errors)
    errors: dict[int, float] = {}
    while tried := _open(errors, tried, len(grid)):
        found = leave_one_out(
            pairs, moments, units=units, penalties=grid[tried], device=device, progress=progress
        )
        errors |= dict(zip(tried, found.errors.tolist(), strict=True))
    return replace(_selection(grid, errors), n_units=found.n_units)


def _tells(errors: Tensor, moments: Moments) -> bool:
    """Whether generalised cross-validation says something of leave-one-out."""
    rank = len(moments.source_spectrum.values)
    total = float(moments.squares_y.sum()) / (moments.n * moments.q)
    least = max(_FEWEST, _FEW * (rank + 1))
    return moments.n >= least and float(errors.min()) > _EXACT * total


def _single(units: np.ndarray | None) -> bool:
    """Whether nearly all pairs are units by themselves."""
    if units is None:
        return True
    sizes = np.bincount(units)
    return int(sizes[sizes > 1].sum()) <= _SHARED * len(units)


def _uneven(leverages: np.ndarray) -> bool:
    """Whether so much leverage is with few pairs that minima of both criteria may lie apart."""
    mean = float(leverages.mean())
    squared = float(np.square(leverages).mean())
    return squared > _UNEVEN * mean**2 or float(leverages.max()) > _LARGE


def _minima(errors: np.ndarray, moments: Moments) -> list[int]:
    """Where generalised cross-validation has minima that leave-one-out may prefer."""
    padded = np.concatenate([[np.inf], errors, [np.inf]])
    lowest = (errors <= padded[:-2]) & (errors <= padded[2:])
    return [place for place in _plausible(errors, moments) if lowest[place]]


def _plausible(errors: np.ndarray, moments: Moments) -> list[int]:
    """Where leave-one-out may have its minimum, as near as both criteria are to each other."""
    rank = len(moments.source_spectrum.values)
    near = errors <= errors.min() * (1 + 4 * (rank + 1) / moments.n)
    places: list[int] = np.flatnonzero(near).tolist()
    return places


def _around(places: Iterable[int], count: int) -> list[int]:
    """The places and their neighbours among ``count``."""
    every = {place + step for place in places for step in (-1, 0, 1)}
    return sorted(place for place in every if 0 <= place < count)


def _open(errors: Mapping[int, float], first: Sequence[int], count: int) -> list[int]:
    """What is still to be tried: the ``first``, then the neighbours of every minimum of the errors
    so far and of the penalty that they choose.
    """
    if not errors:
        return sorted(set(first))
    places = sorted(errors)
    values = [errors[place] for place in places]
    padded = [np.inf, *values, np.inf]
    minima = [
        place
        for number, place in enumerate(places)
        if values[number] < np.inf and values[number] <= min(padded[number], padded[number + 2])
    ]
    equal = max(place for place in places if errors[place] <= min(values) * (1 + EQUAL))
    return [place for place in _around([*minima, equal], count) if place not in errors]


def _selection(grid: Tensor, errors: dict[int, float]) -> Selection:
    places = sorted(errors)
    values = torch.tensor([errors[place] for place in places], dtype=torch.float64)
    return Selection("loo", [{"penalty": float(grid[place])} for place in places], values)
