"""Random draws of so many pairs: what their maps miss on the same images, and how draws differ.

Every map is judged by the codes of all images. Decoding is what takes time, so draws take turns in
it: an image is decoded from one of the maps of each size, in random order, and the mean over the
images is one over draws, too. How draws differ is told by how much more each misses than the others
do, on its own images, beside what else is known of these.

Shapes: ``n`` images, ``d`` draws, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from latentmap.codes import Codes, Rows, Space
from latentmap.intervals import student_quantile
from latentmap.mapping import LinearMap


@dataclass(frozen=True, eq=False)
class Missed:
    """What maps from so many pairs miss: the error of each image ``(n,)``, the mean over draws, and
    the mean error of each draw ``(d,)``.
    """

    errors: np.ndarray
    draws: np.ndarray

    @property
    def away(self) -> np.ndarray:
        """How far each draw is from the mean of them, ``(d,)``."""
        away: np.ndarray = self.draws - self.draws.mean()
        return away

    @property
    def range(self) -> tuple[float, float]:
        """Within which another draw is with 95 %, by Student's distribution of the logarithms of
        errors, or of the errors where one has none; not defined of one draw.

        Example:
            >>> Missed(np.ones(3), np.array([1.0, 1.0, 1.0])).range
            (1.0, 1.0)
        """
        d = len(self.draws)
        if d < 2 or not np.isfinite(self.draws).all():
            return (math.nan, math.nan)
        positive = bool((self.draws > 0).all())
        values = np.log(self.draws) if positive else self.draws
        reach = student_quantile(0.975, d - 1) * math.sqrt(1 + 1 / d) * values.std(ddof=1)
        ends = np.array([values.mean() - reach, values.mean() + reach])
        low, high = np.exp(ends) if positive else ends
        return (float(low), float(high))


def in_turn(errors: np.ndarray, turns: np.ndarray, known: np.ndarray) -> Missed:
    """What draws miss that took turns: the error of each image ``(n,)`` by the map of the draw
    whose turn it was ``(n,)``, and what is ``known`` of how hard the image is ``(n,)``: by the part
    of the errors that goes with it, draws that met hard images are not worse for it.

    Example:
        >>> hard = np.array([1.0, 1.0, 3.0, 3.0])
        >>> turns = np.array([0, 1, 0, 0])
        >>> in_turn(hard + np.array([0, 1, 0, 0]), turns, hard).draws
        array([2., 3.])
    """
    mine = [turns == number for number in np.unique(turns)]
    missed, hard = (np.array([row[of].mean() for of in mine]) for row in (errors, known))
    away = [(errors[of] - errors[of].mean(), known[of] - known[of].mean()) for of in mine]
    together = sum(float(error @ of) for error, of in away)
    spread = sum(float(of @ of) for _, of in away)
    part = together / spread if spread > 0 else 0.0
    return Missed(errors, missed - part * (hard - known.mean()))


def turns_of(n: int, draws: int, *, seed: int) -> np.ndarray:
    """Which of the draws each of ``n`` images is of, ``(n,)``: random, as many of each."""
    turns: np.ndarray = np.random.default_rng(seed).permutation(n) % draws
    return turns


def mapped_in_turn(
    maps: Sequence[LinearMap], codes: Codes, target: Space, turns: np.ndarray
) -> Codes:
    """Codes ``(n, p)`` as the map whose turn it is takes them to the target, when they are read."""
    return replace(codes, space=target, rows=_RowsInTurn(codes.rows, maps, turns, target.dim))


@dataclass(frozen=True, eq=False)
class _RowsInTurn:
    """Rows ``(n, p)``, each as one of the maps takes it to ``dim`` variables."""

    rows: Rows
    maps: Sequence[LinearMap]
    turns: np.ndarray
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.shape[0], self.dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Some of them, ``(stop - start, q)``."""
        return self._mapped(self.rows.read(start, stop), self.turns[start:stop])

    def take(self, index: np.ndarray) -> np.ndarray:
        """Those at the positions ``index`` ``(k,)``, ``(k, q)``."""
        return self._mapped(self.rows.take(index), self.turns[index])

    def _mapped(self, rows: np.ndarray, turns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), self.dim), np.float32)
        for number in np.unique(turns):
            mine = np.flatnonzero(turns == number)
            result[mine] = self.maps[number].apply(torch.from_numpy(rows[mine])).numpy()
        return result
