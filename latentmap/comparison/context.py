"""What stands beside the maps of a comparison: baselines, and what a nonlinear map reaches.

Shapes: ``m`` models, ``c`` baselines of all of them, ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    threadpool_limits,
)

from latentmap.codes import Codes, pair
from latentmap.comparison.journeys import CodeErrors, direct_errors, direct_figures
from latentmap.comparison.material import Material
from latentmap.comparison.pictures import CodeMaps, ImageFigures, Maps
from latentmap.errors import MapError
from latentmap.intervals import UNDEFINED
from latentmap.mapping.nonlinear import NonlinearMap, fit_nonlinear
from latentmap.progress import Stage
from latentmap.relocation.baselines import BASELINES
from latentmap.relocation.beside import Beside, BesideKind, Ceiling
from latentmap.relocation.gains import Drawn, Gain, MapErrors
from latentmap.relocation.scored_figures import Figures

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Context:
    """What stands beside the map from a model to another."""

    baselines: tuple[Beside, ...] = ()
    gain: Gain | None = None
    ceiling: Ceiling | None = None


@dataclass(frozen=True, eq=False)
class BesideMaps:
    """The maps that stand beside those between models: ``controls``, which read baselines, by the
    numbers of these after those of the models; and ``ceilings`` by those of both models, with what
    is to be said where there is none.
    """

    material: Material
    controls: Maps
    ceilings: Mapping[Place, NonlinearMap] = field(default_factory=dict)
    failed: Mapping[Place, str] = field(default_factory=dict)

    @property
    def codes(self) -> list[Codes]:
        """The codes to judge by that the maps of ``placed`` read, by their numbers: those of
        models, of baselines, and of the models once more.
        """
        test = self.material.test
        return [*test, *self.material.controls[1], *test]

    @property
    def placed(self) -> CodeMaps:
        """All maps, by the numbers of what they read and of their targets."""
        return {
            **self.controls,
            **{self._ceiling_at(place): one for place, one in self.ceilings.items()},
        }

    def context(
        self,
        place: Place,
        errors: CodeErrors,
        pictures: ImageFigures,
        scored: np.ndarray,
        seed: int,
    ) -> Context:
        """What stands beside one map, of which ``errors`` of codes and ``pictures`` tell, the
        latter of the images at ``scored``.
        """
        i, j = place
        m, units = len(self.material.test), self.material.units
        missed, spread = errors.missed[place], errors.spread[j]
        drawn, few = Drawn(units, seed), Drawn(units[scored], seed)
        mine = MapErrors(missed, spread, drawn, pictures.bounded(place), few)
        at = {
            kind: (m + self.material.controls_of[i][kind], j)
            for kind in BASELINES
            if kind in self.material.controls_of[i]
        }
        beside, by_code, by_image = [], {}, {}
        for kind, there in at.items():
            one, error = self._beside(kind, there, spread, pictures, seed)
            beside.append(one)
            by_code[one.model], by_image[one.model] = error, pictures.moved[there]
        gain = mine.gain(by_code, by_image) if beside else None
        ceiling = None
        if place in self.ceilings:
            there = self._ceiling_at(place)
            one, error = self._beside("ceiling", there, spread, pictures, seed)
            linearity = mine.linearity(error, pictures.moved[there])
            ceiling = Ceiling(self.ceilings[place].by, one, linearity, "ridge")
        return Context(tuple(beside), gain, ceiling)

    def _ceiling_at(self, place: Place) -> Place:
        before = len(self.material.test) + len(self.material.controls[1])
        return (before + place[0], place[1])

    def _beside(
        self,
        kind: BesideKind,
        there: Place,
        spread: np.ndarray,
        pictures: ImageFigures,
        seed: int,
    ) -> tuple[Beside, np.ndarray]:
        """The figures of a map, and its errors of codes ``(n,)``."""
        read, j = self.codes[there[0]], there[1]
        with threadpool_limits(1):
            error = direct_errors(self.placed[there], read, self.material.test[j])
        l_mse, r2 = direct_figures(error, spread, units=self.material.units, seed=seed)
        figures = Figures(
            r_mse=UNDEFINED,
            l_mse=l_mse,
            r2=r2,
            r2_cells=UNDEFINED,
            m_mse=pictures.relocated[there],
            floor_mse=pictures.reconstruction[j],
            baseline_mse=pictures.baseline[j],
            efficiency=pictures.efficiency[there],
        )
        return Beside(kind, read.space.model, read.space.dim, figures), error


def with_ceilings(
    beside: BesideMaps, places: Sequence[Place], *, seed: int, stage: Stage
) -> BesideMaps:
    """The same with a nonlinear map for each of some places, where there can be one."""
    material, found, failed = beside.material, {}, {}
    with stage("fitting nonlinear maps", "pairs of models") as progress:
        for done, (i, j) in enumerate(places):
            pairs = pair(material.train[i], material.train[j])
            try:
                found[i, j] = fit_nonlinear(pairs, groups=material.train_groups, seed=seed)
            except MapError as error:
                failed[i, j] = str(error)
            if progress:
                progress(done + 1, len(places))
    return BesideMaps(material, beside.controls, found, failed)
