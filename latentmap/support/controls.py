"""Controls: what codes alone tell of gains, so that few images say what all would.

Most of a gain is known from the code, so that its mean over all images is estimated by regression
on the code (Cochran, "Sampling Techniques", 1977, section 7), which also guards against a few
extreme codes that a draw has missed.

Shapes: ``n`` images, ``d`` variables, of which ``c`` are ordered: all, or as channels of grids;
``m`` images that were measured; all float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import Codes
from latentmap.codes.channels import channel_numbers, channels_of

CONTROLS = 3
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Controls:
    """What is known of every image without decoding: t, abs(t) and t^2 of each variable, where t =
    (z - center) / unit, of a channel their means over positions; and the means of these over all
    ``n`` images, ``(c, 3)``.
    """

    codes: Codes
    center: np.ndarray
    unit: np.ndarray
    means: np.ndarray

    @classmethod
    def of(cls, codes: Codes, center: np.ndarray, variance: np.ndarray) -> Controls:
        """The controls of all rows of some codes, which are read once."""
        unit = np.where(variance > 0, np.sqrt(variance), 1.0)
        channels, _ = channels_of(codes.space.shape)
        sums = np.zeros((channels, CONTROLS))
        for block in codes.blocks():
            taken = (block.numpy() - center) / unit
            sums += _of_channels(taken, codes.space.shape).sum(axis=0)
        return cls(codes, center, unit, sums / len(codes))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The controls of some rows, ``(m, c, 3)``."""
        taken = (self.codes.rows.take(rows) - self.center) / self.unit
        return _of_channels(taken, self.codes.space.shape)

    def estimate(
        self, gains: np.ndarray, taken: np.ndarray, variables: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The means over all images ``(k,)`` that some gains ``(m, k)`` let expect, and what each
        image contributes to their errors ``(m, k)``.

        The variance of a mean, or of a difference of two, is the sum of squares of the (difference
        of) contributions: HC3 of MacKinnon & White (1985), which holds where large gains come with
        codes far out.
        """
        m = len(gains)
        if m == len(self.codes):
            means = gains.mean(axis=0)
            return means, (gains - means) / m
        means, contributions = np.empty(len(variables)), np.empty_like(gains)
        for column, variable in enumerate(variables):
            about = taken[:m, variable] - self.means[variable]
            design = np.column_stack([np.ones(m), about])
            solution = np.linalg.pinv(design)
            slopes = solution @ gains[:, column]
            leverage = (design * solution.T).sum(axis=1)
            residuals = (gains[:, column] - design @ slopes) / np.maximum(1 - leverage, _TINY)
            means[column] = slopes[0]
            contributions[:, column] = solution[0] * residuals
        return means, contributions


def _of_channels(t: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The controls ``(m, c, 3)`` of codes ``(m, d)`` of a shape, in units about their center."""
    powers = (t, np.abs(t), np.square(t))
    channels, positions = channels_of(shape)
    if positions == 1:
        return np.stack(powers, axis=-1)
    order = np.argsort(channel_numbers(shape), kind="stable")
    means = [one[:, order].reshape(-1, channels, positions).mean(axis=2) for one in powers]
    return np.stack(means, axis=-1)
