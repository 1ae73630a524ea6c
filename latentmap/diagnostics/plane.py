"""What the latent space of a VAE looks like: codes in a plane, images over the prior, and how far
the one is from the other.

Of two or three variables all are seen, of more the two of most information gain. Shapes: ``n``
images, ``d`` latent variables, ``v`` variables that are drawn, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.diagnostics.label_colours import group_by_label
from latentmap.diagnostics.prior_distances import (
    PriorDistances,
    prior_distances,
    rows_of,
)
from latentmap.diagnostics.prior_grid import PriorGrid, prior_grid
from latentmap.diagnostics.worth import measure_worth
from latentmap.errors import ImageError, ModelError
from latentmap.images import ImageSource, OnError
from latentmap.model import Model, Precision
from latentmap.progress import Progress, Stage, silent
from latentmap.report import Cell, Column, Shown, Table

_ROWS = 2000  # Images; each has a disc, and distances to all others.
_NUMBERS = 2**25  # Of their pixels: larger images are fewer, but
_LEAST = 100  # so many.
_FEWEST = 10  # Two halves of five.
_BATCH = 256


@dataclass(frozen=True, eq=False)
class LatentPlane(Shown):
    """Codes of ``n`` images in the ``variables`` that are drawn, of ``latent_dim``, with the grid
    of the prior and the distances between both.

    ``mean`` and ``variance`` (n, v) are those of the posteriors; ``groups`` (n,) numbers the
    labels, whose only name is empty where they are not known. ``gains`` (2,) are the information
    gains by which two of more than three variables were chosen, else None. ``skipped`` are the ids
    of images that could not be read. ``prior`` says in words what the model samples from, where
    that was fitted: ``distances`` are from it, the grid is over N(0, 1) all the same.
    """

    name: str
    fingerprint: str
    latent_dim: int
    variables: tuple[int, ...]
    gains: tuple[float, ...] | None
    mean: np.ndarray
    variance: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]
    grid: PriorGrid
    distances: PriorDistances
    skipped: tuple[str, ...] = ()
    prior: str | None = None

    @property
    def ruler(self) -> str:
        """What the codes are seen against, and the grid goes over, in words."""
        return "the prior" if self.prior is None else "N(0, 1)"

    def __repr__(self) -> str:
        drawn = ", ".join(map(str, self.variables))
        return f"<LatentPlane of {self.name}: {len(self.mean)} codes in variables {drawn}>"

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The planes that are drawn, as places in ``variables``."""
        return list(itertools.combinations(range(len(self.variables)), 2))

    def radii(self, pair: tuple[int, int]) -> np.ndarray:
        """The radii ``(n,)`` of discs in a plane: their squares are the geometric means of the two
        posterior variances.
        """
        radii: np.ndarray = self.variance[:, list(pair)].prod(1) ** 0.25
        return radii

    def tables(self) -> list[Table]:
        """What is drawn, and the energy distances."""
        drawn = ", ".join(map(str, self.variables))
        cells: dict[str | Column, Cell] = {
            "variables drawn": f"{drawn} of {self.latent_dim}",
            "images drawn": len(self.mean),
            "skipped": len(self.skipped) or None,
            "labels": len(self.names) if any(self.names) else None,
            "prior": self.prior,
        }
        if self.gains is not None:
            column = Column("information gain", "of these two, in mse: no others have more")
            cells[column] = ", ".join(f"{gain:.5f}" for gain in self.gains)
        return [Table.of_one("Plane", cells), self.distances.table()]

    def to_json(self) -> dict[str, object]:
        """All figures, ready for ``json.dumps``."""
        return {
            "plane_variables": list(self.variables),
            "plane_gains": None if self.gains is None else list(self.gains),
            "plane_images": len(self.mean),
            "plane_skipped": list(self.skipped),
            "plane_labels": list(self.names) if any(self.names) else None,
            "plane_prior": self.prior,
            **self.distances.to_json(),
        }


def require_plane(model: Model, encoder: Model | None = None) -> None:
    """Passes where the codes of a model lie in a plane, or in more, and an ``encoder`` by which
    images are compared sees of a picture what the model makes.

    Raises:
        ModelError: it has one latent variable, or the encoder sees another part, or encodes none.
    """
    if model.latent_dim < 2:
        raise ModelError(
            f"{model.name} has one latent variable, and a plane needs two: leave the plane out"
        )
    if encoder is None:
        return
    encoder.require_encoder()
    if encoder.frame.name != model.frame.name:
        raise ModelError(
            f"{encoder.name} sees frame {encoder.frame.name} of a picture, and {model.name} makes "
            f"frame {model.frame.name}: give an encoder of the same, or none for pixels"
        )


def look_at_plane(
    model: Model,
    images: ImageSource,
    *,
    labels: Sequence[str] | np.ndarray | None = None,
    encoder: Model | None = None,
    gains: np.ndarray | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    on_error: OnError = "stop",
    stage: Stage = silent,
) -> LatentPlane:
    """The plane of a VAE on some images, of more than 2,000 (fewer where they are large) on as
    many, which ``seed`` draws; ``labels`` ``(n,)`` are those of all of them.

    Images are compared in the codes of ``encoder``, else by their pixels. ``gains`` ``(d,)`` are
    the information gains of the variables, as ``diagnose`` gives them; without, they are measured
    where they are needed.

    Raises:
        ModelError: as ``require_plane``, or the model has no posterior.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``; or fewer than 10 can.
    """
    require_plane(model, encoder)
    most = min(_ROWS, max(_NUMBERS // math.prod(model.image_shape), _LEAST))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:most])
    part = images.subset(chosen)
    with stage("encoding") as progress:
        seen = _read(model, part, encoder, precision, batch_size or _BATCH, on_error, progress)
    mean, variance = seen.mean, seen.variance
    # Not what the seed draws from the prior, from which they are to be independent.
    noise = np.random.default_rng((seed, 1)).standard_normal(tuple(mean.shape), np.float32)
    codes = mean + variance.sqrt() * torch.from_numpy(noise)
    variables: tuple[int, ...] = tuple(range(model.latent_dim))
    of_these: tuple[float, float] | None = None
    if model.latent_dim > 3:
        if gains is None:
            gains = _gains(model, part.subset(seen.positions), mean, precision, seed, stage)
        variables = tuple(np.argsort(-gains, kind="stable")[:2].tolist())
        of_these = (float(gains[variables[0]]), float(gains[variables[1]]))
    known = np.full(len(images), "") if labels is None else np.asarray(labels)
    names, groups = group_by_label(known[chosen[seen.positions]])
    return LatentPlane(
        model.name,
        model.fingerprint,
        model.latent_dim,
        variables,
        of_these,
        mean[:, variables].numpy(),
        variance[:, variables].numpy(),
        groups,
        names,
        prior_grid(model, (variables[0], variables[1]), mean.mean(0)),
        prior_distances(model, codes, seen.rows, encoder=encoder, seed=seed, stage=stage),
        tuple(str(part.ids[position]) for position in seen.failed),
        None if model.prior is None else str(model.prior),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of the images that could be read: their ``positions``, ``mean`` and ``variance``
    (n, d), and the ``rows`` by which they are compared; ``failed`` are those of the others.
    """

    positions: np.ndarray
    mean: Tensor
    variance: Tensor
    rows: Tensor
    failed: list[int]


def _read(
    model: Model,
    images: ImageSource,
    encoder: Model | None,
    precision: Precision,
    batch_size: int,
    on_error: OnError,
    progress: Progress | None,
) -> _Seen:
    parts: list[tuple[np.ndarray, Tensor, Tensor, Tensor]] = []
    failed: list[int] = []
    for batch in images.batches([model.view], batch_size=batch_size, on_error=on_error):
        failed += [position for position, _ in batch.failed]
        if progress is not None:
            progress(batch.stop, len(images))
        if not len(batch.positions):
            continue
        x = batch.floats(0)
        found = model.posterior(x, precision=precision)
        parts.append((batch.positions, found.mean.cpu(), found.variance.cpu(), rows_of(x, encoder)))
    n = len(images) - len(failed)
    if n < _FEWEST:
        raise ImageError(
            f"codes and prior are compared on at least {_FEWEST} images that can be read, and "
            f"there are {n}: give more images"
        )
    positions, mean, variance, rows = zip(*parts, strict=True)
    return _Seen(
        np.concatenate(positions), torch.cat(mean), torch.cat(variance), torch.cat(rows), failed
    )


def _gains(
    model: Model, images: ImageSource, mean: Tensor, precision: Precision, seed: int, stage: Stage
) -> np.ndarray:
    """The information gains of the variables ``(d,)`` on random ones of readable images."""
    with stage("choosing variables", "decodes") as progress:
        worth = measure_worth(
            model,
            images,
            np.arange(len(mean)),
            center=mean.mean(0).double().numpy(),
            inactive=np.zeros(model.latent_dim, bool),
            gain_images=None,
            precision=precision,
            seed=seed,
            progress=progress,
        )
    return np.array([gain.value for gain in worth.gain])
