"""Intervals of figures over very many images, by bootstrap over blocks of them.

The units of the images (see ``latentmap.codes.units_of``) are dealt at random to at most 200
blocks, and sums over blocks are all that is kept, so that memory does not grow with the number of
images. Blocks are drawn with replacement, as units would be. Where there are no more units than
blocks, each is a block, and this is the bootstrap over units. Of more units, means have the same
variance and skewness by blocks; both are known from 200 sums, so the width of an interval is
uncertain by 1 / sqrt(2 * 200) = 5 %, which Student's distribution takes into account.

Shapes: ``n`` images, ``u`` blocks, ``p`` pixels (times channels), ``w`` weightings: every block
once, the resamplings, and all but one block.
"""

from __future__ import annotations

import numpy as np

from latentmap.intervals import Estimate, resample

_MOST, _FEWEST = 200, 50
_NUMBERS = 2**22  # Of the sums of blocks, 32 MB, above which there are fewer blocks.


def blocks_of(units: np.ndarray, *, pixels: int, seed: int) -> np.ndarray:
    """The block of each image ``(n,)``, from the ``units`` ``(n,)`` that are numbered from 0; of
    images with many ``pixels`` there are fewer.

    >>> blocks_of(np.array([0, 1, 0]), pixels=4, seed=0).tolist()
    [0, 1, 0]
    """
    most = max(_FEWEST, min(_MOST, _NUMBERS // pixels))
    n_units = int(units.max()) + 1
    if n_units <= most:
        return units
    dealt = np.random.default_rng(seed).permutation(n_units) % most
    return np.asarray(dealt[units])


class Blocks:
    """Figures of sums over blocks, and their intervals; ``sizes`` ``(u,)`` are the images of each
    block, all above 0.
    """

    def __init__(self, sizes: np.ndarray, *, seed: int = 0) -> None:
        # The means of the rows of a unit matrix are the shares that the blocks have.
        self._resampled = resample(np.eye(len(sizes)), seed=seed)
        self._shares = self._resampled.means
        self._images = self._shares @ sizes

    def means(self, sums: np.ndarray) -> np.ndarray:
        """The means over images of what has ``sums`` ``(u, k)`` over blocks, ``(w, k)``."""
        return np.asarray((self._shares @ sums) / self._images[:, None])

    def squared_means(self, sums: np.ndarray) -> np.ndarray:
        """The mean over pixels of the squares of their means over images, ``(w,)``, from sums
        ``(u, p)`` of pixels over blocks: s' G s / p, where G are the products of the sums.
        """
        products = sums @ sums.T / sums.shape[1]
        squares = ((self._shares @ products) * self._shares).sum(1)
        return np.asarray(squares / self._images**2)

    def estimate(self, values: np.ndarray) -> Estimate:
        """A figure from its values ``(w,)``, with its interval over units."""
        return self._resampled.estimate(values)

    def estimates(self, values: np.ndarray) -> tuple[Estimate, ...]:
        """The same of several figures ``(w, k)``."""
        return tuple(map(self.estimate, values.T))
