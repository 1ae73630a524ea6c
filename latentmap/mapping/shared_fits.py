"""SharedFits: what several fits of the same pairs have in common, gathered once.

Shapes: ``n`` pairs, ``f`` folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from latentmap.codes import Pairs, units_of
from latentmap.mapping.gathering import moments_by_fold
from latentmap.mapping.methods import Method, find_method
from latentmap.mapping.moment_sums import Targets
from latentmap.mapping.moments import Moments, merge_all
from latentmap.mapping.options import FitOptions
from latentmap.mapping.selection import Selection, assign_folds

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
        self._pairs, self._options, self._groups, self._seed = pairs, options, groups, seed
        self._kept: dict[str, Any] = {}

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
            n, units = len(self._pairs), units_of(self._pairs.digests, self._groups)
            most = int(units.max(initial=-1)) + 1
            numbers = np.zeros(n, dtype=np.int64)
            if most > 1:
                numbers = assign_folds(
                    n,
                    folds=min(self._options.folds, most),
                    seed=self._seed,
                    groups=None if most == n else units,
                )
            return moments_by_fold(
                self._pairs, numbers, targets=self._targets, precision=self._options.moments
            )

        return self._once("by fold", gather)

    def _once(self, name: str, make: Callable[[], _Kept]) -> _Kept:
        if name not in self._kept:
            self._kept[name] = make()
        kept: _Kept = self._kept[name]
        return kept
