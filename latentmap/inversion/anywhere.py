"""What a model makes of codes anywhere in its space, beside those that it samples.

A search that is held inside the range ends, for images that the model cannot make, at the border of
it. From there it goes on without the bound. Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentmap.images.spooled import SpooledImages
from latentmap.inversion.code_search import search_batch_size, search_codes
from latentmap.inversion.inverting import Inverted, decoding_errors
from latentmap.inversion.ranges import at_border
from latentmap.model import Model
from latentmap.progress import Progress, ProgressLike, reporting

_AT_ONCE = 256  # Images whose pixels are in memory.


@dataclass(frozen=True, eq=False)
class Anywhere:
    """The errors ``mse`` ``(n,)`` of codes that may lie anywhere, and how far these are from the
    mean of sampled ones: ``distance`` ``(n,)``. ``n_gone_on`` is the number of images whose codes
    lay at the border; all others keep the code that they had.
    """

    mse: Tensor
    distance: Tensor
    n_gone_on: int


def go_on_anywhere(
    model: Model,
    images: Tensor | SpooledImages,
    inside: Inverted,
    *,
    batch_size: int | None = None,
    progress: ProgressLike = None,
) -> Anywhere:
    """What becomes of codes that a search held ``inside`` the range, when it goes on from them
    without the bound, for half as many steps as it had.

    Only codes that lie at the border are gone on from: an inner one is where the search would have
    come to rest without the bound. None is worse than it was.

    Raises:
        ModelError: as for ``search_codes``.
    """
    assert inside.search is not None, "codes of a search"
    settings = inside.search
    free = replace(settings, inside=False, starts=1, steps=max(1, settings.steps // 2))
    batch = batch_size or search_batch_size(model)
    mse, distance = inside.mse.clone(), inside.distance.clone()
    every = at_border(inside.distance, inside.limit).nonzero()[:, 0]
    done = 0
    with reporting(progress, "searching anywhere", "steps") as told:
        for rows in every.split(_AT_ONCE):
            shown = images[rows]
            found = search_codes(
                model,
                shown,
                start=inside.codes[rows],
                search=free,
                seed=inside.seed,
                batch_size=batch,
                progress=_later(told, done, len(every) * free.steps),
            )
            done += len(rows) * free.steps
            errors, _ = decoding_errors(model, found.codes, shown, batch_size=batch)
            better = errors < mse[rows]
            mse[rows] = torch.where(better, errors, mse[rows])
            distance[rows] = torch.where(better, found.distance, distance[rows])
    return Anywhere(mse, distance, len(every))


def _later(progress: Progress | None, done: int, total: int) -> Progress | None:
    """The progress of a part, ``done`` steps after the first one, of ``total`` in all."""
    return None if progress is None else lambda part, _: progress(done + part, total)
