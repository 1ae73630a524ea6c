"""How far what a VAE is given is from what its prior makes: of codes, and of images.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.diagnostics.energy import energy_distance, halves_distance
from latentmap.frames import Frame
from latentmap.images import View
from latentmap.intervals import Estimate
from latentmap.model import Model
from latentmap.model.sampling import decode_all
from latentmap.progress import Stage, silent
from latentmap.report import Column, Measure, Row, Table

_BATCH = 64


@dataclass(frozen=True)
class PriorDistances:
    """Energy distances between ``n`` images and as many samples of the prior.

    ``codes`` is that of codes, one sample of the posterior of each image, which together are a
    sample of the aggregate posterior, and samples of the prior; ``images`` that of the images and
    the decoded samples, in ``space``: their pixels, or the codes of a named encoder. The floors are
    those of two random halves of the codes, and of the images.
    """

    n: int
    space: str
    codes: Estimate
    codes_floor: Estimate
    images: Estimate
    images_floor: Estimate

    def table(self) -> Table:
        """The distances, each beside its floor."""
        columns = [
            Column("between"),
            Column("energy distance", "2 E|X - Y| - E|X - X'| - E|Y - Y'|", "low", 5),
            Column("halves", "the same of two random halves of the data", decimals=5),
        ]
        codes = ("codes (one sample of each posterior) and prior", self.codes, self.codes_floor)
        images = (
            f"images and decoded prior, in {self.space}",
            self.images,
            self.images_floor,
        )
        rows = [
            Row([what, Measure.of(found), Measure.of(floor)])
            for what, found, floor in (codes, images)
        ]
        return Table(
            "Energy distances",
            columns,
            rows,
            note=f"of {self.n:,} images and samples each, of halves {self.n // 2:,}; 0 in the mean "
            "where both have one distribution. Each space has its own unit.",
        )

    def to_json(self) -> dict[str, object]:
        """The distances, ready for ``json.dumps``."""
        return {
            **self.codes.to_json("energy_codes"),
            **self.codes_floor.to_json("energy_codes_floor"),
            **self.images.to_json("energy_images"),
            **self.images_floor.to_json("energy_images_floor"),
            "energy_images_in": self.space,
            "energy_n": self.n,
        }


def rows_of(images: Tensor, encoder: Model | None) -> Tensor:
    """Images that a model makes, or sees, as rows in the space where they are compared, on the CPU:
    pixels, or codes. For these they are brought to the size and the channels of the encoder.
    """
    if encoder is None:
        return images.flatten(1)
    if images.shape[1:] != encoder.image_shape:
        channels, height, width = encoder.image_shape
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        out = np.empty((len(images), height, width, channels), np.uint8)
        View(Frame("full", encoder.frame.resize), (height, width), channels).render(pixels, out)
        images = torch.from_numpy(out).permute(0, 3, 1, 2).float() / 255
    return encoder.encode(images).cpu()


def prior_distances(
    model: Model,
    codes: Tensor,
    images: Tensor,
    *,
    encoder: Model | None = None,
    seed: int,
    stage: Stage = silent,
) -> PriorDistances:
    """The distances of ``codes`` ``(n, d)``, samples of posteriors, and of ``images``, as rows of
    ``rows_of``, from as many samples of the prior.

    Raises:
        ModelError: there are fewer than 10.
    """
    n = len(codes)
    prior = model.sample(n, seed=seed).cpu()
    with stage("decoding") as progress:
        made = []
        for start in range(0, n, _BATCH):
            decoded = decode_all(model, prior[start : start + _BATCH], batch_size=_BATCH)
            made.append(rows_of(decoded, encoder))
            if progress is not None:
                progress(min(start + _BATCH, n), n)
    generated = torch.cat(made)
    with stage("comparing", "rows") as progress:
        found = [energy_distance(codes, prior, seed=seed, progress=progress)]
    with stage("comparing images", "rows") as progress:
        found.append(energy_distance(images, generated, seed=seed, progress=progress))
    floors = [halves_distance(rows, seed=seed) for rows in (codes, images)]
    space = "pixels" if encoder is None else f"codes of {encoder.name}"
    return PriorDistances(n, space, found[0], floors[0], found[1], floors[1])
