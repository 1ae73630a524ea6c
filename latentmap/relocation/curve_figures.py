"""The figures of a learning curve: over images, over draws, and how many pairs are enough.

Shapes: ``n`` images, ``d`` draws, ``s`` sizes, ``b`` resamplings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.intervals import Estimate, Resampled, resample, shares
from latentmap.relocation.draws import Missed
from latentmap.relocation.enough import Enough, enough_pairs
from latentmap.relocation.measuring import ImageErrors


@dataclass(frozen=True, eq=False)
class CurveFigures:
    """What maps of ``s`` sizes, and after these maps of baselines, miss of ``codes`` and of
    ``images``, with the means over images, and
    in resamplings of them: of the variance of codes, and then what is missed of codes at every
    size, ``(1 + s,)``; of floor and baseline, and then of images, ``(2 + s,)``.
    """

    codes: Sequence[Missed]
    images: Sequence[Missed]
    in_codes: Resampled
    in_images: Resampled

    @classmethod
    def of(
        cls,
        errors: ImageErrors,
        decoded: ImageErrors,
        codes: Sequence[Missed],
        images: Sequence[Missed],
        seed: int,
    ) -> CurveFigures:
        """From the errors of all images, which have the variance of codes, and of those that were
        ``decoded``, which have floor and baseline.
        """
        rows = np.stack([errors.code_variance, *(one.errors for one in codes)])
        shown = np.stack([decoded.floor, decoded.baseline, *(one.errors for one in images)])
        return cls(
            codes,
            images,
            resample(rows, errors.units, seed=seed),
            resample(shown, decoded.units, seed=seed),
        )

    @property
    def floor(self) -> float:
        return float(self.in_images.every[0])

    @property
    def baseline(self) -> float:
        return float(self.in_images.every[1])

    def at(self, number: int) -> tuple[dict[str, Estimate], dict[str, tuple[float, float]]]:
        """The figures of a size, and within what they are of other draws."""
        code, moved = self.in_codes.means.T, self.in_images.means.T
        figures = {
            **_estimates(self.in_codes, of_codes(code[0], code[1 + number])),
            **_estimates(self.in_images, of_images(moved[0], moved[1], moved[2 + number])),
        }
        # An error from the low end of its range to the high one; a share the other way round.
        ranges = {
            **of_codes(self.in_codes.every[:1], np.array(self.codes[number].range)),
            **of_images(
                self.in_images.every[:1],
                self.in_images.every[1:2],
                np.array(self.images[number].range),
            ),
        }
        return figures, {name: (min(ends), max(ends)) for name, ends in ranges.items()}

    def enough(self, sizes: Sequence[int], *, seed: int) -> dict[str, Enough]:
        """How many pairs are enough, of R2, and of efficiency where there is one."""
        random = np.random.default_rng(seed)
        code, moved = self.in_codes, self.in_images
        found = {}
        parts: list[tuple[str, Resampled, Sequence[Missed], int, Callable[..., Any]]] = [
            ("r2", code, self.codes, 1, of_codes),
            ("efficiency", moved, self.images, 2, of_images),
        ]
        for name, resampled, missed, bounds, figures in parts:
            drawn = resampled.drawn.copy()
            for at, one in enumerate(missed):
                drawn[:, bounds + at] += _other_draws(one, len(drawn), random)
            values, others = (
                np.stack(
                    [figures(*rows[:bounds], rows[bounds + at])[name] for at in range(len(sizes))],
                    axis=-1,
                )
                for rows in (resampled.every[:, None], drawn.T)
            )
            if np.isfinite(values).all():
                found[name] = enough_pairs(sizes, values[0], others)
        return found


def _estimates(resampled: Resampled, figures: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    return {name: resampled.estimate(values) for name, values in figures.items()}


def _other_draws(missed: Missed, rounds: int, random: np.random.Generator) -> np.ndarray:
    """How far the mean of other draws is from that of these, ``(b,)``: of one draw fewer, drawn
    with replacement, which vary as the mean of all does (Rao & Wu 1988).
    """
    away = missed.away
    if len(away) < 2:
        return np.zeros(rounds)
    moved: np.ndarray = away[random.integers(0, len(away), (rounds, len(away) - 1))].mean(1)
    return moved


def of_codes(variance: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
    """The figures of codes from the mean errors, and the variance that R2 is the share of."""
    return {"l_mse": error, "r2": 1 - shares(error, np.broadcast_to(variance, error.shape))}


def of_images(floor: np.ndarray, baseline: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
    """The figures of images from the mean errors, and those that they lie between."""
    whole = np.broadcast_to(baseline - floor, error.shape)
    return {"m_mse": error, "efficiency": shares(baseline - error, whole)}
