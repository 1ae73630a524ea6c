"""What more than a linear map reaches: the ceiling that a linear one is held against.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from latentmap.arrays import Numbers, as_tensor
from latentmap.codes import Pairs, units_of
from latentmap.errors import MapError
from latentmap.mapping.fitting import fit
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.patches import patches_between
from latentmap.mapping.perceptron import Stop, fit_perceptron
from latentmap.mapping.random_features import fit_features
from latentmap.mapping.selection import assign_folds
from latentmap.progress import Progress, ProgressLike, reporting

_FOLDS = 10  # Of units: by one training stops, by another the maps are judged.
_MOST = 8192  # Variables of both spaces together.


class _Applies(Protocol):
    def apply(self, codes: Tensor, /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class NonlinearMap:
    """The best of some maps on pairs that were kept back: ``random features``, ``perceptron``, or
    ``linear`` where neither is better; ``errors`` are the mean squared ones there, by name, and
    ``settings`` (JSON) those of the best.
    """

    by: str
    function: _Applies
    settings: Mapping[str, Any]
    errors: Mapping[str, float]
    n_pairs: int

    def apply(self, codes: Numbers, /) -> Tensor:
        """The codes ``(n, q)`` in the target space, float32."""
        return self.function.apply(as_tensor(codes, "codes for this map", error=MapError))

    def to_json(self) -> dict[str, Any]:
        """What was chosen, and by what."""
        return {"by": self.by, "settings": dict(self.settings), "held_back": dict(self.errors)}


def fit_nonlinear(
    pairs: Pairs,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    progress: ProgressLike = None,
) -> NonlinearMap:
    """A nonlinear map of flat codes: kernel ridge by random features, or a small perceptron,
    whichever is better on a tenth of the units that neither has seen; linear ridge where it is
    better than both. The chosen one is then of all pairs, but that a perceptron leaves out those by
    which it was stopped and judged.

    Raises:
        MapError: maps between these spaces are of patches, or the spaces are too large; or there
            are fewer than 20 units.
    """
    _check(pairs)
    units = units_of(pairs.digests, groups)
    n_units = int(units.max()) + 1
    if n_units < 2 * _FOLDS:
        raise MapError(
            f"a nonlinear map needs at least {2 * _FOLDS} pairs, or groups of these, not {n_units}"
        )
    fold = assign_folds(len(pairs), folds=_FOLDS, seed=seed, groups=units)
    judged, held = np.flatnonzero(fold == 0), np.flatnonzero(fold == 1)
    train, seen = np.flatnonzero(fold > 1), np.flatnonzero(fold > 0)

    def of(index: np.ndarray) -> dict[str, Any]:
        return {"groups": None if groups is None else groups[index], "seed": seed}

    linear = fit(pairs.take(train), **of(train))
    candidates: dict[str, _Applies] = {"linear": linear}
    with reporting(progress, "fitting nonlinear maps", "steps") as told:
        steps = _Steps(told)
        candidates["perceptron"] = perceptron = fit_perceptron(
            pairs, linear, Stop(train, held), seed=seed, progress=steps.part(0, 2)
        )
        candidates["random features"] = features = fit_features(
            pairs.take(seen), progress=steps.part(1, 2), **of(seen)
        )
    errors = {name: _error(one, pairs, judged) for name, one in candidates.items()}
    best = min(errors, key=lambda name: errors[name])
    if best == "perceptron":
        return NonlinearMap(best, perceptron, perceptron.settings, errors, len(train))
    if best == "random features":
        whole = features.refit(pairs, **of(np.arange(len(pairs))))
        return NonlinearMap(best, whole, whole.settings, errors, len(pairs))
    whole_linear: LinearMap = fit(pairs, groups=groups, seed=seed)
    return NonlinearMap(best, whole_linear, whole_linear.settings, errors, len(pairs))


def _check(pairs: Pairs) -> None:
    spaces = (pairs.source.space, pairs.target.space)
    if patches_between(*spaces, None) is not None:
        raise MapError(
            "a nonlinear ceiling is of flat codes, and maps between grids are of patches"
        )
    if sum(space.dim for space in spaces) > _MOST:
        raise MapError(
            f"a nonlinear ceiling is of at most {_MOST} variables of both spaces together, not "
            f"{' and '.join(str(space.dim) for space in spaces)}"
        )


def _error(one: _Applies, pairs: Pairs, index: np.ndarray) -> float:
    """The mean squared error over some pairs and all variables."""
    total = 0.0
    for x, y in pairs.take(index).blocks():
        total += float((y.double() - one.apply(x)).square().sum())
    return total / (len(index) * pairs.target.space.dim)


@dataclass(frozen=True)
class _Steps:
    """The progress of parts, as one."""

    progress: Progress | None

    def part(self, number: int, count: int) -> Progress | None:
        progress = self.progress
        if progress is None:
            return None
        return lambda done, total: progress(number * total + done, count * total)
