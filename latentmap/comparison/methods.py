"""Other methods than ridge between the same spaces, judged by their codes.

Shapes: ``n`` images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.comparison.journeys import spread_of
from latentmap.errors import MapError, ModelError
from latentmap.intervals import Estimate, resample, shares
from latentmap.mapping import FitOptions, Method
from latentmap.mapping.methods import find_method
from latentmap.mapping.shared_fits import SharedFits
from latentmap.relocation import TrainingPairs, fit_training


@dataclass(frozen=True)
class MethodFigures:
    """The held-out figures of a map by one method, and how long fitting it took, selection
    included.
    """

    method: str
    settings: Mapping[str, Any]
    l_mse: Estimate
    r2: Estimate
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """All of it; estimates with ``_low`` and ``_high``, None where not defined."""
        return {
            "method": self.method,
            "settings": dict(self.settings),
            **self.l_mse.to_json("l_mse"),
            **self.r2.to_json("r2"),
            "seconds": self.seconds,
        }


def compare_methods_of_pair(
    training: TrainingPairs,
    *,
    test: tuple[Codes, Codes],
    methods: Sequence[str | Method],
    units: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[list[MethodFigures], dict[str, str]]:
    """The figures of each method on the codes ``test`` of other images, of ``units`` ``(n,)``, in
    both spaces, and for those that have no map, why.
    """
    x, y = (codes.vectors for codes in test)
    spread = spread_of(test[1], units)
    training = training.in_memory()
    shared = SharedFits(training.pairs, methods, FitOptions(), groups=training.groups, seed=seed)
    found, failed = [], {}
    for method in methods:
        started = time.perf_counter()
        try:
            linear_map = fit_training(
                training, options=FitOptions(method), seed=seed, shared=shared
            )
        except (MapError, ModelError) as error:
            failed[find_method(method).name] = str(error)
            continue
        seconds = time.perf_counter() - started
        missed = (y.double() - linear_map.apply(x)).square().mean(1).numpy()
        resampled = resample(np.stack([missed, spread]), units, seed=seed)
        missed, varied = resampled.means.T
        found.append(
            MethodFigures(
                linear_map.method,
                dict(linear_map.settings),
                resampled.estimate(missed),
                resampled.estimate(1 - shares(missed, varied)),
                seconds,
            )
        )
    return found, failed
