"""How large the errors of models typically are: on a random sample, a few images at a time.

Shapes: ``n`` images of the sample, ``m`` models.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import units_of
from latentmap.explorer.explored import Explored
from latentmap.explorer.making import Maker, makers_of, see
from latentmap.images.finding import groups_of
from latentmap.model.memory import count_seen

_MOST, _FEWEST, _NUMBERS = 1024, 64, 1 << 24  # Images, and numbers that are decoded by each model.
_BATCH = 4
_ROUNDING = 1e-5  # Of an error, where float32 images are decoded in batches of other sizes.
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Spread:
    """The median of ``n`` errors, and between what 90 % of them lie."""

    n: int
    low: float
    median: float
    high: float


class TypicalErrors:
    """The errors (mse) ``(m, n)`` of what the ``makers`` make of random images at ``rows`` of the
    source's codes, which are of some ``units`` ``(n,)``; those that are not measured are NaN.
    ``n_seen`` is how many of them each model was trained on, None where it does not know.
    """

    def __init__(self, explored: Explored, *, seed: int = 0) -> None:
        self._explored = explored
        self.makers: Sequence[Maker] = makers_of(explored)
        codes = explored.codes.codes
        largest = max((math.prod(one.model.image_shape) for one in self.makers), default=1)
        most = min(_MOST, max(_NUMBERS // largest, _FEWEST))
        self.rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
        few = codes.take(self.rows)
        self._names: list[str] = few.ids.tolist()
        groups = groups_of(explored.images, few.ids)
        self.units = units_of(few.digests, groups)
        self.n_seen = count_seen(explored.models, few.digests, groups)
        self.errors = np.full((len(self.makers), len(self.rows)), np.nan)
        # In random order, so that those that are there first stand for all.
        self._left: list[int] = np.random.default_rng(seed).permutation(len(self.rows)).tolist()

    @property
    def done(self) -> int:
        """How many images were looked at."""
        return len(self.rows) - len(self._left)

    @property
    def complete(self) -> bool:
        """Whether all were."""
        return not self._left

    def go_on(self, seconds: float) -> None:
        """Measures some more, for about so long."""
        end = time.monotonic() + seconds
        while self._left:
            places, self._left = self._left[:_BATCH], self._left[_BATCH:]
            self._measure(places)
            if time.monotonic() >= end:
                return

    def spread(self, number: int) -> Spread | None:
        """What is known of the errors of a maker; None of no error."""
        known = self._known(number)
        if not len(known):
            return None
        return Spread(len(known), *np.quantile(known, QUANTILES).tolist())

    def share_below(self, number: int, mse: float) -> float | None:
        """The share of the errors of a maker that are smaller than one; None of no error."""
        known = self._known(number)
        # That of the same image, decoded among others, is another by its rounding.
        return float((known < mse * (1 - _ROUNDING)).mean()) if len(known) else None

    def _known(self, number: int) -> np.ndarray:
        errors = self.errors[number]
        return np.asarray(errors[np.isfinite(errors)])

    def _measure(self, places: Sequence[int]) -> None:
        asked = [self._names[place] for place in places]
        views = [maker.model.view for maker in self.makers]
        names, shown = see(self._explored, views, asked)
        readable = [place for place, name in zip(places, asked, strict=True) if name in names]
        for number, (maker, images) in enumerate(zip(self.makers, shown, strict=True)):
            made = maker.make(names, images)
            self.errors[number, [readable[one] for one in made.places]] = made.mse.numpy()
