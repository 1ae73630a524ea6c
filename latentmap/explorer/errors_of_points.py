"""What a map loses of each point: of its code, and of its image, some points at a time.

Shapes: ``m`` points.
"""

from __future__ import annotations

import math

import numpy as np

from latentmap.codes import Pairs, find_ids
from latentmap.explorer.explored import Explored
from latentmap.images.finding import positions_of
from latentmap.relocation.measuring import measure
from latentmap.relocation.measuring_codes import code_rows

_PIXELS = 1 << 18  # That are decoded for one answer, so that it takes about a tenth of a second.
_FEWEST, _MOST = 2, 64  # Images of one answer; errors are measured on two at least.


def code_errors(explored: Explored, target: str, start: int) -> np.ndarray:
    """The mean squared error over variables of the codes that the map to a target (its number, as a
    text) makes, of points from one on; NaN where the target has no code of its own.
    """
    number = int(target)
    model = explored.targets[number].model
    widest = max(explored.source.latent_dim, model.latent_dim)
    part = explored.points.part(start, widest)
    values = np.full(part.stop - start, np.nan)
    known, pairs = _pairs(explored, number, part)
    if len(known):
        way = (explored.targets[number].linear_map, pairs.source)
        values[known] = code_rows([way], pairs.target, None)[0][2].numpy()
    return values


def image_errors(explored: Explored, target: str, start: int) -> np.ndarray:
    """The mean squared error over pixels and channels of the images that the target makes of the
    mapped codes, of points from one on; NaN where the target has no code of its own.
    """
    number = int(target)
    found = explored.targets[number]
    size = min(max(_PIXELS // math.prod(found.model.image_shape), _FEWEST), _MOST)
    n = len(explored.points)
    # The last part is not one image alone.
    stop = n if n - start - size < _FEWEST else start + size
    values = np.full(stop - start, np.nan)
    known, pairs = _pairs(explored, number, slice(start, stop))
    if len(known) < _FEWEST:
        return values
    images = explored.images.subset(np.sort(positions_of(explored.images, pairs.ids)))
    (measured,) = measure(
        [found.linear_map], pairs, explored.source, found.model, images, decoding=["target"]
    )
    errors = measured.errors
    values[known] = errors.relocation[find_ids(errors.ids, pairs.ids)]
    return values


def _pairs(explored: Explored, target: int, part: slice) -> tuple[np.ndarray, Pairs]:
    """Which of the points of a part have a code of the target's own, and their pairs of codes."""
    points = explored.points
    known = np.flatnonzero(points.rows_in(target + 1)[part] >= 0)
    chosen = known + part.start
    return known, Pairs(points.codes_in(0, chosen), points.codes_in(target + 1, chosen))
