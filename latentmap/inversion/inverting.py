"""Inversion: a code for any image, by a model's encoder, by search, or by both.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], ``d`` latent variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, units_of
from latentmap.errors import ImageError, ModelError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.images.spooled import SpooledImages
from latentmap.intervals import mean_estimate
from latentmap.inversion.code_search import SearchSettings, search_batch_size, search_codes
from latentmap.inversion.distance_cells import distance_cells, distance_columns
from latentmap.inversion.ranges import range_of
from latentmap.inversion.starts import draw_samples
from latentmap.model import Model
from latentmap.model.late_check import LateCheck
from latentmap.progress import Progress, ProgressLike, reporting
from latentmap.report import Cell, Column, Measure, Row, Shown, Table
from latentmap.ssim import ssim
from latentmap.transfers import Arriving, a_batch_late

InversionMethod = Literal["network", "search", "hybrid"]
INVERSION_METHODS: tuple[InversionMethod, ...] = get_args(InversionMethod)

_READ = 256  # Images that are read at a time.


@dataclass(frozen=True, eq=False)
class Inverted(Shown):
    """Codes ``(n, d)`` of images, on the CPU, and how near their images come.

    ``mse`` ``(n,)`` is the mean squared error of pixels in [0, 1], ``ssim`` ``(n,)`` the structural
    similarity. ``steps`` ``(n,)`` is the number of steps that a search took from all starts, and
    ``chosen`` ``(n,)`` the start that the code came from; both are 0 without a search.
    ``distance`` ``(n,)`` is how far codes are from the mean of what the model samples, of which
    99.9 % are no further than ``limit`` (see ``CodeRange``).
    ``units`` ``(n,)`` are those of the images, None where each is one.
    """

    codes: Tensor
    mse: Tensor
    ssim: Tensor
    steps: Tensor
    chosen: Tensor
    distance: Tensor
    limit: float
    method: InversionMethod
    search: SearchSettings | None
    seed: int
    units: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<Inverted: {len(self.codes)} images by {self.method}>"

    def tables(self) -> list[Table]:
        errors = {"mse": self.mse, "SSIM": self.ssim}
        columns = [
            Column("mse", "mean squared error, pixels in [0, 1]", "low"),
            Column("SSIM", "structural similarity", "high"),
        ]
        cells: list[Cell] = [
            Measure.of(mean_estimate(part.double().numpy(), self.units, seed=self.seed))
            for part in errors.values()
        ]
        columns += distance_columns()
        cells += distance_cells(self.distance.double().numpy(), self.limit)
        return [Table("Errors", columns, [Row(cells)])]

    def to_json(self) -> dict[str, Any]:
        """The means and what made them; per image what is not the code."""
        return {
            "method": self.method,
            "settings": None if self.search is None else asdict(self.search),
            "seed": self.seed,
            "n": len(self.codes),
            "mse": float(self.mse.double().mean()),
            "ssim": float(self.ssim.double().mean()),
            "distance_limit": self.limit,
            "images": [
                {"mse": mse, "ssim": ssim, "steps": steps, "start": start, "distance": distance}
                for mse, ssim, steps, start, distance in zip(
                    self.mse.tolist(),
                    self.ssim.tolist(),
                    self.steps.tolist(),
                    self.chosen.tolist(),
                    self.distance.tolist(),
                    strict=True,
                )
            ],
        }


def invert_tensor(
    model: Model,
    images: Tensor | SpooledImages,
    *,
    method: InversionMethod,
    search: SearchSettings | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: ProgressLike = None,
) -> Inverted:
    """Codes of images in the space of ``model``, and how near their images come. The images are in
    memory, or on disk, from where a few are read at a time.

    ``network``: the model's encoder. ``search``: by gradients from several starts, see
    ``search_codes``; any model can be searched. ``hybrid``: a search whose first start is the
    encoder's code. ``progress`` counts the steps of a search, or else images.

    Raises:
        ModelError: wrong images, an unknown method, or one that needs an encoder which is not
            there.

    Example:
        >>> from latentmap.model.testing import LinearModel
        >>> model = LinearModel()
        >>> images = model.decode(model.sample(3, seed=1))
        >>> bool(invert_tensor(model, images, method="network").mse.max() < 1e-10)
        True
    """
    model.check_images(images)
    require_method(model, method)
    batch = batch_size or search_batch_size(model)
    start, found = None, None
    search = None if method == "network" else search or SearchSettings()
    if method != "search":
        start = encode_all(model, images, batch_size=batch)
    with reporting(progress, "inverting", counted_in(method)) as told:
        if search is not None:
            found = search_codes(
                model,
                images,
                start=start,
                search=search,
                seed=seed,
                batch_size=batch,
                progress=told,
            )
        none = torch.zeros(len(images), dtype=torch.long)
        codes = start if found is None else found.codes
        assert codes is not None, "every method gives codes"
        if found is None:
            distance, limit = distances_of(model, codes, seed=seed)
        else:
            distance, limit = found.distance, found.limit
        mse, similarity = decoding_errors(
            model, codes, images, batch_size=batch, progress=told if found is None else None
        )
    return Inverted(
        codes,
        mse,
        similarity,
        steps=none if found is None else found.steps,
        chosen=none if found is None else found.chosen,
        distance=distance,
        limit=limit,
        method=method,
        search=search,
        seed=seed,
    )


def counted_in(method: InversionMethod) -> str:
    """What the progress of ``invert_tensor`` counts."""
    return "images" if method == "network" else "steps"


def invert_images(
    model: Model,
    images: ImageSource,
    coder: CoderLike = None,
    *,
    method: InversionMethod = "search",
    search: SearchSettings | None = None,
    seed: int = 0,
    progress: bool = False,
) -> tuple[Codes, Tensor, Inverted]:
    """The codes of some images with their ids, the images as the model sees them, ``(n, c, h, w)``
    in [0, 1], and what ``invert_tensor`` says of them; all in memory.

    The codes that images were made of are not looked at, nor those of a cache: what is asked for is
    how well ``method`` finds them. So of the coder its batch size and what it does with bad images
    and with stages count; a search is in float32. ``progress=True`` shows how far it is.

    Raises:
        ImageError: an image cannot be read and the coder does not skip it, or none can be read.
        ModelError: as for ``invert_tensor``.
    """
    coder = Coder.of(coder, progress=progress)
    require_method(model, method)
    batches = list(images.batches([model.view], batch_size=_READ, on_error=coder.on_error))
    pixels = torch.cat([batch.floats(0) for batch in batches])
    kept = np.concatenate([batch.positions for batch in batches])
    if len(kept) == 0:
        raise ImageError(f"none of the {len(images)} images of {images.path} can be read")
    with coder.stage("inverting", counted_in(method)) as told:
        inverted = invert_tensor(
            model,
            pixels,
            method=method,
            search=search,
            seed=seed,
            batch_size=coder.batch_size,
            progress=told,
        )
    codes = Codes.from_array(
        images.ids[kept],
        inverted.codes,
        space=model.space,
        frame=model.frame,
        data=images.fingerprint,
        digests=images.digests[kept],
        skipped=[str(images.ids[at]) for batch in batches for at, _ in batch.failed],
    )
    groups = groups_of(images, codes.ids)
    return codes, pixels, replace(inverted, units=units_of(codes.digests, groups))


def require_method(model: Model, method: InversionMethod) -> None:
    """Refuses a method that is unknown or that the model has no encoder for.

    Raises:
        ModelError: so it is.
    """
    if method not in INVERSION_METHODS:
        raise ModelError(f"unknown method {method!r}: choose one of {', '.join(INVERSION_METHODS)}")
    if method != "search" and not model.can_encode:
        raise ModelError(
            f"{model.name} ({model.family}) has no encoder for the method {method}: use search "
            "(--method search), or give it one with `latentmap train inversion`"
        )


def distances_of(model: Model, codes: Tensor, *, seed: int = 0) -> tuple[Tensor, float]:
    """How far codes ``(n, d)`` are from the mean of what the model samples, on the CPU, and what
    99.9 % of samples do not exceed; see ``CodeRange``.
    """
    code_range = range_of(model, draw_samples(model, seed=seed), seed=seed)
    return code_range.distances(codes.to(code_range.mean)).cpu(), code_range.limit


def encode_all(model: Model, images: Tensor | SpooledImages, *, batch_size: int) -> Tensor:
    """The codes ``(n, d)`` of images by the model's encoder, on the CPU."""
    # Written to one place: small results of their own, each behind the freed memory of a batch of
    # images, would keep that from being used again.
    codes = torch.empty(len(images), model.latent_dim)
    for first in range(0, len(images), batch_size):
        codes[first : first + batch_size] = model.encode(images[first : first + batch_size])
    return codes


def decoding_errors(
    model: Model,
    codes: Tensor,
    images: Tensor | SpooledImages,
    *,
    batch_size: int,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """The squared error and the SSIM ``(n,)`` of images and what their codes decode to, on the
    CPU.
    """

    def launched() -> Iterator[tuple[slice, LateCheck, Arriving]]:
        for first in range(0, len(codes), batch_size):
            if progress is not None:
                progress(first, len(codes))
            rows = slice(first, first + batch_size)
            decoded, check = model.launch(codes[rows])
            shown = images[rows].to(decoded)
            errors = (decoded - shown).square().mean(dim=(1, 2, 3))
            yield rows, check, Arriving(torch.stack([errors, ssim(decoded, shown)]))

    measured = torch.empty(2, len(codes))
    for rows, check, found in a_batch_late(launched()):
        check.require()
        measured[:, rows] = found.wait()
    return measured[0], measured[1]
