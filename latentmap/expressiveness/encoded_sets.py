"""A set in the codes of an encoder: its groups, the errors of the encoder, and coverage; and a
generator's own images beside it.

Shapes: ``n`` images, ``d`` variables of the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import one_of_each, units_of
from latentmap.expressiveness.blindness import Cells, group_codes
from latentmap.expressiveness.coverage import Coverage, measure_coverage
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.reproducing import Runs, see
from latentmap.expressiveness.scoring import Grouping
from latentmap.images.spooled import SpooledImages
from latentmap.inversion.inverting import decoding_errors, encode_all
from latentmap.model import Model, generated_images, images_between

_BATCH = 64


@dataclass(frozen=True, eq=False)
class EncodedSet:
    """The codes of a set in the encoder, for coverage, the positions ``kept`` of their images, the
    cells that they are in, and the encoder's own error of every image, if it has a decoder.
    """

    codes: Tensor
    kept: np.ndarray
    cells: Cells
    mse: np.ndarray | None


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A generator's own images as it sees them, and their codes in the encoder."""

    images: SpooledImages
    ids: np.ndarray
    encoded: Tensor | None


def grouping_of(
    image_set: ImageSet, kept: np.ndarray, group: EncodedSet | None, own: OwnImages
) -> Grouping | None:
    """The sectors of a support set, or else the cells that the encoder makes of the images."""
    reference = None if group is None or group.mse is None else group.mse[kept]
    if image_set.sector is not None:
        return Grouping(image_set.sector[kept], reference, variables=image_set.variables)
    if group is None:
        return None
    own_sector = None if own.encoded is None else group.cells.nearest(own.encoded)
    return Grouping(group.cells.number[kept], reference, own_sector)


def own_images(model: Model, runs: Runs) -> OwnImages:
    """Images of the generator, the same every time."""
    n, encoder, folder = runs.options.own, runs.encoder, runs.coder.keep_generated()
    drawn: Any = {"seed": runs.seed, "truncation": runs.options.truncation}
    with runs.coder.stage(f"generating with {model.name}") as progress:
        if encoder is None:
            images = generated_images(model, n, **drawn, folder=folder, progress=progress)
            maker = model
        else:
            images, maker, encoder = images_between(
                model, encoder, n, **drawn, folder=folder, progress=progress
            )
    seen = see(images, maker, runs)
    if encoder is None:
        return OwnImages(seen, images.ids, None)
    return OwnImages(
        seen, images.ids, encode_all(encoder, see(images, encoder, runs), batch_size=_BATCH)
    )


def encode_set(image_set: ImageSet, encoder: Model, runs: Runs) -> EncodedSet:
    """What the encoder makes of an image set; cells and errors have a place for every image."""
    with runs.coder.stage(f"grouping {image_set.name}") as progress:
        seer = image_set.seen_by(encoder)
        images = see(image_set.images, seer, runs)
        codes = encode_all(encoder, images, batch_size=_BATCH)
        cells = group_codes(codes, seed=runs.seed)
        mse = None
        if encoder.can_decode:
            errors, _ = decoding_errors(
                encoder, codes, images, batch_size=_BATCH, progress=progress
            )
            mse = np.full(len(image_set.ids), np.nan)
            mse[images.positions] = errors.double().numpy()
    number = np.full(len(image_set.ids), -1)
    number[images.positions] = cells.number
    return EncodedSet(codes, images.positions, Cells(number, cells.centers), mse)


def coverage_of(
    image_set: ImageSet, group: EncodedSet | None, own: OwnImages, runs: Runs
) -> Coverage | None:
    """The figures of the images of a set that the encoder can read, without copies: the ball of an
    image whose copies are its neighbours has no size.
    """
    encoder = runs.encoder
    if group is None or own.encoded is None or encoder is None:
        return None
    made_by = {"encoder": encoder.name, "encoder_fingerprint": encoder.fingerprint}
    distinct = one_of_each(units_of(image_set.digests[group.kept]), seed=runs.seed)
    return measure_coverage(
        group.codes[torch.from_numpy(distinct)],
        own.encoded,
        units=image_set.held_out(group.kept[distinct]).units,
        seed=runs.seed,
        record=made_by,
    )
