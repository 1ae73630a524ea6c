"""SharedFits: what several fits of the same pairs have in common, gathered once.

Shapes: ``n`` pairs, ``f`` folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from latentmap.codes import Pairs
from latentmap.mapping.methods import METHODS, Method, find_method
from latentmap.mapping.moment_sums import Targets
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.observed import Observed
from latentmap.mapping.options import FitOptions
from latentmap.mapping.patches import Patches
from latentmap.mapping.selection import Selection

_Kept = TypeVar("_Kept")


class SharedFits:
    """The moments of some pairs by folds, of the others of each fold, and of all, with their
    spectra, and what leave-one-out says of ridge: each found when it is first asked for, and kept.

    ``fit(..., shared=)`` takes from it, for any of the ``methods``, with the ``folds``, the
    precision of ``moments`` and the intercept of the ``options``, and the same ``pairs``,
    ``groups`` ``(n,)`` and ``seed``.
    """

    def __init__(
        self,
        pairs: Pairs,
        methods: Sequence[str | Method],
        options: FitOptions,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        needs = {need for method in methods for need in find_method(method).needs}
        self._targets: Targets = "products" if "products" in needs else "squares"
        self._seen = Observed.of(pairs, groups, options, METHODS["ridge"])
        self._options, self._seed = options, seed
        self._kept: dict[str, Any] = {}

    @property
    def patches(self) -> Patches | None:
        """Those that the maps read, None where these are of flat codes."""
        return self._seen.patches

    @property
    def gathered(self) -> Moments:
        """The moments of all pairs about their means."""
        return self._once("gathered", lambda: merge_all(self._by_fold()))

    @property
    def used(self) -> Moments:
        """Those that maps are solved from: about zero where there is no intercept."""
        if self._options.intercept:
            return self.gathered
        return self._once("used", lambda: self.gathered.about_zero())

    @property
    def parts(self) -> list[Moments]:
        """The same of each fold, ``f``."""
        if self._options.intercept:
            return self._by_fold()
        return self._once("parts", lambda: [part.about_zero() for part in self._by_fold()])

    @property
    def others(self) -> list[Moments]:
        """The same of all but each fold, ``f``."""

        def merged() -> list[Moments]:
            parts = self.parts
            if len(parts) < 2:
                return []
            return [merge_all([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]

        return self._once("others", merged)

    def left_out(self, find: Callable[[], Selection]) -> Selection:
        """What leave-one-out says of ridge, found once."""
        return self._once("left out", find)

    def _by_fold(self) -> list[Moments]:
        def gather() -> list[Moments]:
            n = len(self._seen.pairs)
            numbers = np.zeros(n, dtype=np.int64)
            if (self._seen.n_units or n) > 1:
                numbers = self._seen.folds(self._options.folds, seed=self._seed)
            return self._seen.moments_by_fold(
                numbers, targets=self._targets, precision=self._options.moments
            )

        return self._once("by fold", gather)

    def _once(self, name: str, make: Callable[[], _Kept]) -> _Kept:
        if name not in self._kept:
            self._kept[name] = make()
        kept: _Kept = self._kept[name]
        return kept
