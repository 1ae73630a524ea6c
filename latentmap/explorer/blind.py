"""To which sectors models are blind: the verdicts of the benchmark on the sampled errors.

Shapes: ``n`` images of the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

import numpy as np

from latentmap.explorer.sectors import LeadingSectors, Signs
from latentmap.explorer.typical import TypicalErrors
from latentmap.expressiveness.blindness import SectorErrors, errors_by_sector
from latentmap.images.group_ratios import FEWEST
from latentmap.support.sectors import are_members, sector_numbers


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The errors of one model in the sectors of some signs, the worst first, over those of the
    ``reference`` model, where there is one.
    """

    sectors: Sequence[SectorErrors]
    reference: str | None

    def of(self, number: int) -> SectorErrors | None:
        """Those of one sector; None where the sample has no image of it."""
        return next((one for one in self.sectors if one.number == number), None)


class BlindSectors:
    """The verdicts on all sectors of the variables that have a sign, kept for the last ones that
    were asked for. They take seconds, and are found in a thread of their own.
    """

    def __init__(self, leading: LeadingSectors, typical: TypicalErrors) -> None:
        self._leading, self._typical = leading, typical
        self._asked: tuple[object, ...] | None = None
        self._found: Future[list[Verdicts]] = Future()

    def can_be_told(self, signs: Signs) -> bool:
        """Whether there are signs, and so few that sectors can have enough images."""
        j = len(signs.places)
        return 0 < j and FEWEST * 2**j <= len(self._typical.rows)

    def verdicts(self, signs: Signs) -> list[Verdicts] | None:
        """Those of each maker; None as long as they are not found. As in the benchmark, how bad an
        image is for a target is its error over that of the source, where this decodes; for the
        source it is the error itself.
        """
        key = (*signs.places, signs.threshold)
        if self._asked != key:
            if self._asked is not None and not self._found.done():
                return None  # One after the other.
            self._asked, self._found = key, Future()
            Thread(target=self._find, args=(signs, self._found), daemon=True).start()
        return self._found.result() if self._found.done() else None

    def _find(self, signs: Signs, found: Future[list[Verdicts]]) -> None:
        try:
            found.set_result(self._judge(signs))
        except Exception as error:  # Whoever asks gets it.
            found.set_exception(error)

    def _judge(self, signs: Signs) -> list[Verdicts]:
        typical = self._typical
        coordinates = self._leading.coordinates[typical.rows][:, signs.places]
        inside = are_members(coordinates, threshold=signs.threshold)
        inside &= np.isfinite(typical.errors).all(axis=0)
        if not inside.any():
            return [Verdicts([], None) for _ in typical.makers]
        numbers, units = sector_numbers(coordinates[inside]), typical.units[inside]
        first = typical.makers[0]
        found = []
        for maker, errors in zip(typical.makers, typical.errors, strict=True):
            held = first.role == "source" and maker is not first
            reference = typical.errors[0][inside] if held else None
            sectors = errors_by_sector(errors[inside], numbers, reference=reference, units=units)
            found.append(Verdicts(sectors, first.model.name if held else None))
        return found
