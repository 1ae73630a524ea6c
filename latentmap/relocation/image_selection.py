"""The penalty of a map by the error of the images that it leads to, in place of that of codes.

Codes and images can disagree: a decoder makes much of some directions and nothing of others. What
is held out are folds of images; the maps are those of the moments of the other folds.

Shapes: ``n`` pairs, ``m`` penalties.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from latentmap.codes import find_ids
from latentmap.errors import MapError
from latentmap.mapping import FitOptions
from latentmap.mapping.methods import find_method
from latentmap.mapping.moments import merge_all
from latentmap.mapping.observed import Observed
from latentmap.mapping.patch_maps import mapped
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import Selection, penalty_grid
from latentmap.progress import Progress
from latentmap.relocation.pairing import TrainingPairs

# Every so manieth of the penalties that codes are tried with, not quite a decade: each is decoded.
_COARSE = 4
# Images that are decoded: their errors, which are compared with each other, say enough.
_IMAGES = 64
_BATCH = 32


def chooses_by_images(options: FitOptions) -> bool:
    """Whether something is left to be chosen by images."""
    return any(criterion == "image" for criterion, _ in options.choices)


def penalty_by_images(
    training: TrainingPairs,
    options: FitOptions,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """The mean squared errors of decoded images, over pixels and channels, for a grid of penalties.

    Of at most 64 images, of as many units as there can be, each is decoded from what the maps of
    the other folds make of its source code. Penalties are about a decade apart.

    Raises:
        MapError: the method has no penalty that images can choose, or there are too few pairs.
        ModelError: the target has no decoder.
    """
    method = find_method(options.method)
    if "pairs" in method.needs:
        raise MapError(
            f"image chooses the penalty of maps from moments, and {method.name} needs the pairs: "
            "choose loo, or give its penalty"
        )
    training.target.require_decoder()
    seen = Observed.of(training.pairs, training.groups, options, method)
    folds = seen.folds(options.folds, seed=seed)
    parts = seen.moments_by_fold(folds, targets="squares", precision=options.moments)
    if not options.intercept:
        parts = [part.about_zero() for part in parts]
    penalties = penalty_grid(merge_all(parts))[::_COARSE].tolist()
    drawn = training.pairs.draw(min(len(training), _IMAGES), groups=training.groups, seed=seed)
    errors, done = torch.zeros(len(penalties), dtype=torch.float64), 0
    for number in np.unique(folds[drawn]).tolist():
        train = merge_all([part for other, part in enumerate(parts) if other != number])
        solutions = [solve_ridge(train, penalty=one) for one in penalties]
        for codes, images in _batches(training, drawn[folds[drawn] == number]):
            for place, one in enumerate(solutions):
                made = training.target.decode(mapped(codes, one.weight, one.bias, seen.patches))
                missed = (made.cpu() - images).square().flatten(1).mean(1, dtype=torch.float64)
                errors[place] += missed.sum()
            done += len(codes)
            if progress:
                progress(done, len(drawn))
    candidates = [{"penalty": one} for one in penalties]
    return Selection("image", candidates, errors / len(drawn), n_units=seen.n_units)


def _batches(
    training: TrainingPairs, index: np.ndarray
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The source codes of the pairs at ``index``, and their images as the target sees them."""
    pairs = training.pairs.take(index)
    row = find_ids(pairs.ids, training.images.ids)
    shown = np.flatnonzero(row >= 0)
    pairs, view = pairs.take(row[shown]), training.target.view
    for batch in training.images.subset(shown).batches([view], batch_size=_BATCH):
        yield pairs.source.read(batch.start, batch.stop), batch.floats(0)
