"""Framing: which box of some pictures shows what a model was trained to see.

Two models may show one kind of picture in different frames, a generator whole portraits, a VAE only
the faces. The box is found by trying: where the model sees what it knows, it rebuilds it best, for
what is there. The error alone would be least in an empty corner. So it stands in relation to the
least error that 16 directions fitted to the same crops can reach: what is plain is plain to both,
and a model that knows its subject beats them. (On CelebA's whole pictures, for the frame celeba:
0.60 there, 0.65 with two per cent off, 1.0 to 3.3 elsewhere; the error alone was as small at 0.6
times the size and seven times smaller in a corner.)

Shapes: ``n`` pictures, uint8 ``(n, h, w, c)``; a box is (top, left, bottom, right) from 0 to 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from latentmap.errors import ImageError
from latentmap.frames import Box, Frame
from latentmap.images import View
from latentmap.model.contract import Model
from latentmap.model.sampling import decode_all
from latentmap.progress import Progress, Stage, silent

_SIZES = np.linspace(1, 0.4, 7)
_PLACES = np.linspace(0, 1, 5)
_STARTS = 3  # Boxes that are refined.
_STEPS = 50  # Of each refinement, at most.
_DIRECTIONS = 16
_FEWEST = 4 * _DIRECTIONS


@dataclass(frozen=True)
class Framing:
    """The box that was found, and the mean squared error of the model there and in the largest box.

    ``relation`` and ``relation_whole`` are these errors in relation to what 16 directions miss.
    """

    box: Box
    mse: float
    mse_whole: float
    relation: float
    relation_whole: float

    @property
    def frame_name(self) -> str:
        """The box as it stands in options and frames: ``top,left,bottom,right``."""
        return ",".join(f"{edge:.4f}" for edge in self.box)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {**asdict(self), "box": list(self.box)}


def find_box(
    maker: Model,
    other: Model,
    samples: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    batch_size: int = 8,
    stage: Stage = silent,
) -> Framing:
    """The box of the images of ``maker``, of which it makes so many, that ``other`` sees; see
    ``estimate_box``. ``seed`` and ``truncation`` decide the codes.

    Raises:
        ModelError: ``maker`` cannot truncate codes.
        ImageError: there are fewer than 64 samples.
    """
    codes = maker.sample(samples, seed=seed, truncation=truncation)
    with stage("generating") as progress:
        images = decode_all(maker, codes, batch_size=batch_size, progress=progress)
    pictures = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with stage("trying boxes", "boxes") as progress:
        return estimate_box(pictures, other, progress=progress)


def estimate_box(
    pictures: np.ndarray, model: Model, *, progress: Progress | None = None
) -> Framing:
    """The box of ``pictures`` that ``model`` rebuilds best, with the shape of the model's images.

    Best is the least error in relation to what 16 directions fitted to the crops miss (see the head
    of this module). Boxes on a grid are tried first, then the best is refined (Nelder and Mead).

    Raises:
        ImageError: there are fewer than 64 pictures, which say too little.
    """
    if len(pictures) < _FEWEST:
        raise ImageError(
            f"at least {_FEWEST} pictures are needed to find a frame, not {len(pictures)}"
        )
    height, width = pictures.shape[1:3]
    # The largest box of the model's shape, in relation to the picture.
    shape = model.image_shape[1] / model.image_shape[2] * width / height
    largest = (min(1.0, shape), min(1.0, 1 / shape))
    done, total = 0, len(_SIZES) * len(_PLACES) ** 2 + _STARTS * _STEPS

    from scipy.optimize import minimize

    def box(place: np.ndarray) -> Box:
        down, right, size = np.clip(place, (0, 0, 0.1), 1)
        rows, columns = size * largest[0], size * largest[1]
        top, left = down * (1 - rows), right * (1 - columns)
        return (float(top), float(left), float(top + rows), float(left + columns))

    def relation(place: np.ndarray) -> float:
        nonlocal done
        if progress:
            progress(min(done, total), total)
        done += 1
        return _errors(pictures, model, box(place))[1]

    # The size is tried from the outside, so that of equal boxes the largest is kept.
    grid = [np.array(place) for place in product(_PLACES, _PLACES, _SIZES)]
    starts = sorted(grid, key=relation)[:_STARTS]
    refined = [
        minimize(
            relation,
            start,
            method="Nelder-Mead",
            options={
                "maxfev": _STEPS,
                "initial_simplex": start + 0.08 * np.vstack([np.zeros(3), -np.eye(3)]),
            },
        )
        for start in starts
    ]
    found = min(refined, key=lambda result: result.fun)
    mse, least = _errors(pictures, model, box(found.x))
    mse_whole, whole = _errors(pictures, model, box(np.array([0.5, 0.5, 1])))
    return Framing(box(found.x), mse, mse_whole, least, whole)


def _errors(pictures: np.ndarray, model: Model, box: Box) -> tuple[float, float]:
    """The mean squared error with which the model rebuilds a box of the pictures, and the same in
    relation to that of the best affine rebuilding from 16 numbers.
    """
    channels, *size = model.image_shape
    frame = Frame(",".join(map(repr, box)), model.frame.resize)
    seen = np.empty((len(pictures), *size, channels), np.uint8)
    View(frame, (size[0], size[1]), channels).render(pictures, seen)
    images = torch.from_numpy(seen).permute(0, 3, 1, 2).float().div(255)
    rebuilt = torch.cat([model.decode(model.encode(part)).cpu() for part in images.split(64)])
    centred = (images - images.mean(0)).flatten(1).double()
    variances = torch.linalg.eigvalsh(centred @ centred.T)
    error = (images - rebuilt).square().mean().double()
    least = variances[:-_DIRECTIONS].clamp(min=0).sum() / images.numel()
    # Pictures that are all alike leave nothing to tell.
    return float(error), float(error / least.clamp(min=1e-12))
