"""Other methods than ridge between the same spaces, judged by their codes.

Shapes: ``n`` images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.errors import MapError, ModelError
from latentmap.images import ImageSource
from latentmap.intervals import Estimate, interval, resample
from latentmap.mapping.fitting import FitOptions
from latentmap.mapping.solvers import SOLVERS
from latentmap.model import Model
from latentmap.pairing import TrainingPairs
from latentmap.relocation import fit_training


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
        result: dict[str, Any] = {"method": self.method, "settings": dict(self.settings)}
        for name in ("l_mse", "r2"):
            value, low, high = (
                number if math.isfinite(number) else None for number in getattr(self, name)
            )
            result |= {name: value, f"{name}_low": low, f"{name}_high": high}
        return result | {"seconds": self.seconds}


def require_methods(methods: Sequence[str]) -> None:
    """Refuses names of no method.

    Raises:
        MapError: a name is not in ``SOLVERS``.
    """
    for method in methods:
        if method not in SOLVERS:
            raise MapError(f"unknown method {method!r}: choose among {', '.join(SOLVERS)}")


def compare_methods_of_pair(
    training: TrainingPairs,
    source: Model,
    images: ImageSource,
    *,
    test: tuple[Codes, Codes],
    methods: Sequence[str],
    seed: int,
) -> tuple[list[MethodFigures], dict[str, str]]:
    """The figures of each method on the codes ``test`` of other images in both spaces, and for
    those that have no map, why.
    """
    x, y = (codes.vectors for codes in test)
    spread = (y.double() - y.double().mean(0)).square().mean(1).numpy()
    found, failed = [], {}
    for method in methods:
        started = time.perf_counter()
        try:
            linear_map = fit_training(
                training, source, images, options=FitOptions(method), seed=seed
            )
        except (MapError, ModelError) as error:
            failed[method] = str(error)
            continue
        seconds = time.perf_counter() - started
        missed = (y.double() - linear_map.apply(x)).square().mean(1).numpy()
        rows = np.stack([missed, spread])
        means = np.stack([rows.mean(1), *resample(rows, 1000, seed)])
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - means[:, 0] / means[:, 1]
        found.append(
            MethodFigures(
                method,
                dict(linear_map.settings),
                Estimate(float(means[0, 0]), *interval(means[1:, 0])),
                Estimate(float(r2[0]) if np.isfinite(r2[0]) else math.nan, *interval(r2[1:])),
                seconds,
            )
        )
    return found, failed
