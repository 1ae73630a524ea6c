"""Probing a map: fitting probes on the target's own codes, and judging them on mapped ones.

Shapes: ``n`` images, ``d`` target variables, ``k`` outputs of a probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import Codes, Pairs
from latentmap.codes.units import contains, draw_of_units
from latentmap.errors import MapError
from latentmap.images.attribute_values import Attribute
from latentmap.mapping import LinearMap
from latentmap.progress import ProgressLike, reporting
from latentmap.relocation.probe_figures import class_figures, number_figures
from latentmap.relocation.probe_fits import FOLDS, LinearProbe, fit_probe, probabilities
from latentmap.relocation.probes import Probe, Probes

FEWEST = 10  # Units that a probe is fitted on, of each class.
MOST_CLASSES = 100
_MOST = 20_000  # Images that probes are fitted on, and the numbers that their codes have.
_NUMBERS = 1 << 26
_SAID = 3  # Reasons in one line.


@dataclass(frozen=True, eq=False)
class _Task:
    """One attribute: its values of the images to fit on ``fitted``, and of those to judge
    ``judged``; of classes their positions among those ``classes`` that there are.
    """

    name: str
    classes: tuple[str, ...]
    fitted: np.ndarray
    judged: np.ndarray

    @classmethod
    def of(cls, attribute: Attribute, fitted: np.ndarray, judged: np.ndarray) -> _Task:
        """That of images with some ids."""
        values = attribute.of(fitted), attribute.of(judged)
        if not attribute.classes:
            return cls(attribute.name, (), *values)
        both = np.concatenate(values)
        there = np.unique(both[np.isfinite(both)])
        fitted, judged = (
            np.where(np.isfinite(one), np.searchsorted(there, one), np.nan) for one in values
        )
        names = tuple(attribute.classes[int(place)] for place in there)
        return cls(attribute.name, names or attribute.classes[:1], fitted, judged)

    def fault(self, units: np.ndarray) -> str:
        """Why there can be no probe, of images to fit on of some ``units``; empty where it can."""
        known = np.isfinite(self.fitted)
        values, units = self.fitted[known], units[known]
        if not np.isfinite(self.judged).any():
            return "it is not known of any image to judge"
        if len(self.classes) == 1:
            return f"it is {self.classes[0]} in all images"
        if len(self.classes) > MOST_CLASSES:
            return f"it has {len(self.classes):,} classes, and a probe at most {MOST_CLASSES}"
        what, count = "", len(np.unique(units))
        if self.classes:
            counts = [len(np.unique(units[values == place])) for place in range(len(self.classes))]
            least = int(np.argmin(counts))
            what, count = f" that are {self.classes[least]}", counts[least]
        if count < FEWEST:
            return f"a probe takes {FEWEST} images or groups to fit on{what}, not {count}"
        if values.min() == values.max():
            return f"it is {values[0]:.6g} in all images to fit on"
        return ""

    def fit(self, codes: np.ndarray, units: np.ndarray, *, seed: int) -> LinearProbe:
        """The probe by ``codes`` ``(n, d)`` of the images to fit on."""
        known = np.isfinite(self.fitted)
        values = self.fitted[known]
        folds = assign_folds(values if self.classes else np.zeros(len(values)), units[known], seed)
        return fit_probe(
            codes[known].astype(np.float64), values, classes=len(self.classes), folds=folds
        )


def assign_folds(values: np.ndarray, units: np.ndarray, seed: int) -> np.ndarray:
    """One of ``FOLDS`` folds for each image ``(n,)``: images of a unit are in one, and units of one
    value (that of their first image) are spread over all.
    """
    _, first, numbers = np.unique(units, return_index=True, return_inverse=True)
    chance = np.random.default_rng(seed).permutation(len(first))
    folds = np.empty(len(first), np.int64)
    folds[np.lexsort([chance, values[first]])] = np.arange(len(first)) % FOLDS
    return folds[numbers]


def probe_map(
    linear_map: LinearMap,
    fitted: Codes,
    pairs: Pairs,
    attributes: Sequence[Attribute],
    *,
    fitted_units: np.ndarray,
    units: np.ndarray,
    seed: int = 0,
    progress: ProgressLike = None,
) -> Probes:
    """What a map keeps of ``attributes``, on ``pairs`` of some ``units`` ``(n,)``.

    Probes are fitted on the target's own codes ``fitted`` of other images, 20,000 random ones at
    most, of units ``fitted_units``, which are not divided between folds; see ``fit_probe``.
    Intervals are by bootstrap over units, with map and probes held fixed.

    Raises:
        SpaceError: the codes are not of the spaces of the map.
        MapError: an image is both to be fitted on and to be judged; or there is no probe at all.
    """
    linear_map.target.require(fitted.space, "codes that probes are fitted on")
    linear_map.source.require(pairs.source.space, "the source codes of these pairs")
    linear_map.target.require(pairs.target.space, "the target codes of these pairs")
    if contains(fitted.digests, pairs.digests).any():
        raise MapError(
            "probes are judged on images that they were not fitted on, and some of these are the "
            "same: fit them on others"
        )
    if not attributes:
        raise MapError("probes need at least one attribute")
    most = min(_MOST, max(1, _NUMBERS // fitted.space.dim))
    there = np.isfinite([one.of(fitted.ids) for one in attributes])
    known, unknown = np.flatnonzero(there.any(0)), (~there).sum(1).tolist()
    chosen = draw_of_units(fitted_units[known], most, seed=seed)
    fitted, fitted_units = fitted.take(known[chosen]), fitted_units[known[chosen]]
    codes = fitted.vectors.numpy()
    tasks, failed = [], {}
    with reporting(progress, "fitting probes", "probes") as told:
        for number, one in enumerate(attributes):
            task = _Task.of(one, fitted.ids, pairs.ids)
            fault = task.fault(fitted_units)
            if fault:
                failed[one.name] = fault
            else:
                tasks.append((task, task.fit(codes, fitted_units, seed=seed), unknown[number]))
            if told is not None:
                told(number + 1, len(attributes))
    if not tasks:
        reasons = "; ".join(f"{name}: {why}" for name, why in [*failed.items()][:_SAID])
        raise MapError(f"no probe can be fitted of these attributes: {reasons}")
    read = _read([probe for _, probe, _ in tasks], linear_map, pairs)
    probes = [
        _judged(task, probe, *outputs, fitted_units, units, n_unknown, seed)
        for (task, probe, n_unknown), outputs in zip(tasks, read, strict=True)
    ]
    return Probes(tuple(probes), failed)


def _read(
    probes: Sequence[LinearProbe], linear_map: LinearMap, pairs: Pairs
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each probe reads from mapped codes and from own ones, ``(n, k)`` each."""
    found: list[tuple[list[np.ndarray], list[np.ndarray]]] = [([], []) for _ in probes]
    for source, target in pairs.blocks():
        mapped, own = linear_map.apply(source).double().numpy(), target.double().numpy()
        for probe, (by_map, by_target) in zip(probes, found, strict=True):
            by_map.append(probe.read(mapped))
            by_target.append(probe.read(own))
    return [(np.concatenate(one), np.concatenate(other)) for one, other in found]


def _judged(
    task: _Task,
    probe: LinearProbe,
    mapped: np.ndarray,
    own: np.ndarray,
    fitted_units: np.ndarray,
    units: np.ndarray,
    n_unknown: int,
    seed: int,
) -> Probe:
    """The figures of a probe that reads this from mapped codes and from own ones ``(n, k)``; of
    ``n_unknown`` images to fit on the attribute is not known.
    """
    there, learnt = np.isfinite(task.judged), np.isfinite(task.fitted)
    truth, units, mapped, own = task.judged[there], units[there], mapped[there], own[there]
    if task.classes:
        figures = class_figures(
            truth,
            probabilities(mapped),
            probabilities(own),
            units,
            common=int(np.bincount(task.fitted[learnt].astype(np.int64)).argmax()),
            seed=seed,
        )
    else:
        centre = float(task.fitted[learnt].mean())
        figures = number_figures(truth, mapped[:, 0], own[:, 0], units, centre=centre, seed=seed)
    return Probe(
        task.name,
        task.classes,
        n_fitted=int(learnt.sum()),
        n_fitted_units=len(np.unique(fitted_units[learnt])),
        n_fitted_unknown=n_unknown,
        n_test=len(truth),
        n_units=len(np.unique(units)),
        n_rarest_units=_rarest(truth if task.classes else np.zeros(len(truth)), units),
        n_test_unknown=int((~there).sum()),
        penalty=probe.penalty,
        figures=figures,
    )


def _rarest(classes: np.ndarray, units: np.ndarray) -> int:
    """The least number of ``units`` ``(n,)`` that have an image of one of the ``classes`` ``(n,)``
    that there are.
    """
    return min(len(np.unique(units[classes == one])) for one in np.unique(classes))
