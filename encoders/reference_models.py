"""Reference models: exact models without trained weights, that others are compared with.

    pixels:8     the image shrunk by 8 in each direction: a thumbnail; pixels:4x5 has 4 by 5 cells
    pca:64       the leading 64 principal components of training images
    mean         the mean of training images, whatever the image

They see what another model sees (``View``). What is fitted is fitted by ``completed``, on training
images alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from latentmap.codes import PIXELS
from latentmap.encoders import LATENT
from latentmap.encoders.references import Given
from latentmap.errors import ImageError, ModelError
from latentmap.frames import RESIZES, Frame
from latentmap.images import ImageSource, View
from latentmap.model import Model
from latentmap.model.clamping import clamp_to_unit
from latentmap.model.seen import SeenImages
from latentmap.model.thumbnails import means_in_parts, means_of

_FITTED = 4096  # Images that principal components are fitted on, at most,
_BYTES = 1 << 29  # and bytes that these take.
_BATCH = 64
_SEED = 0
_COUNT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_CELLS = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)


class PixelsModel(Model):
    """The means of the pixels in the cells of a grid of ``rows`` by ``columns``.

    Codes are grids ``(c, rows, columns)`` of numbers in [0, 1]; a code decodes to an image in which
    every cell has one colour, of which it is the code. Cells are whole pixels, and differ by one
    pixel where the size of the image is no multiple.
    """

    family = "pixels"
    any_size = True

    def __init__(
        self, view: View, cells: tuple[int, int], *, name: str, factor: int | None = None
    ) -> None:
        height, width = view.size
        if cells[0] > height or cells[1] > width:
            raise ModelError(
                f"{name} has {cells[0]}x{cells[1]} cells, more than images of {height}x{width} "
                "have pixels: give a coarser grid"
            )
        self._cells, self._factor = cells, factor
        network = nn.Module()
        for axis, n, m in (("rows", height, cells[0]), ("columns", width, cells[1])):
            network.register_buffer(axis, torch.arange(n) * m // n)
        super().__init__(
            network,
            name=name,
            config={
                "image_shape": [view.channels, height, width],
                "latent_dim": view.channels * cells[0] * cells[1],
                "latent_shape": [view.channels, *cells],
            },
            latent_dim=view.channels * cells[0] * cells[1],
            latent_shape=(view.channels, *cells),
            image_shape=(view.channels, height, width),
            frame=view.frame,
            space_kind=PIXELS,
        )

    @classmethod
    def shrunk(cls, view: View, factor: int, *, name: str) -> PixelsModel:
        """The image shrunk by ``factor`` in each direction.

        Raises:
            ModelError: its height or width is no multiple of it.
        """
        height, width = view.size
        if height % factor or width % factor:
            raise ModelError(
                f"{name} shrinks images whose height and width are multiples of {factor}, not "
                f"{height}x{width}: give the number of cells, such as "
                f"pixels:{max(height // factor, 1)}x{max(width // factor, 1)}, or another --size"
            )
        cells = (height // factor, width // factor)
        return cls(view, cells, name=name, factor=factor)

    def resized(self, height: int, width: int) -> PixelsModel:
        """The same factor, or the same cells, for images of another size."""
        view = View(self.frame, (height, width), self.image_shape[0])
        if self._factor is not None:
            return self.shrunk(view, self._factor, name=self.name)
        return PixelsModel(view, self._cells, name=self.name)

    def _encode(self, images: Tensor) -> Tensor:
        return means_in_parts(images, *self._means)

    def _decode(self, codes: Tensor) -> Tensor:
        rows, columns = self.network.get_buffer("rows"), self.network.get_buffer("columns")
        return clamp_to_unit(codes.index_select(2, rows).index_select(3, columns))

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Thumbnails of independent uniform numbers: of no image in particular."""
        return torch.rand(n, self.latent_dim, generator=generator)

    def _truncate(self, codes: Tensor, truncation: float) -> Tensor:
        return 0.5 + (codes - 0.5) * truncation

    @property
    def _means(self) -> list[Tensor]:
        """For both axes the matrix that takes the mean of the pixels in each cell."""
        return [means_of(self.network.get_buffer(axis)) for axis in ("rows", "columns")]


class FittedModel(Model):
    """A model that is fitted on training images, and refuses to work before."""

    def require_fitted(self) -> None:
        """Passes where it is fitted.

        Raises:
            ModelError: it is not.
        """
        if not self.is_complete:
            raise ModelError(
                f"{self.name} is fitted on training images, and there are none here: give --data, "
                "or `model.completed(images)` in Python"
            )

    def require_encoder(self) -> None:
        """Passes where it is fitted; a ``ModelError`` where it is not."""
        self.require_fitted()

    def require_decoder(self) -> None:
        """Passes where it is fitted; a ``ModelError`` where it is not."""
        self.require_fitted()


class PCAModel(FittedModel):
    """The leading principal components of training images, of unit length, about their mean.

    A code ``(k,)`` is the projection of an image, in units of grey levels in [0, 1] times the root
    of the number of pixels; it decodes to the nearest image that they span.
    """

    family = "pca"

    def __init__(
        self, view: View, k: int, *, name: str, fitted: tuple[Tensor, Tensor] | None = None
    ) -> None:
        height, width = view.size
        pixels = view.channels * height * width
        if k > pixels:
            raise ModelError(f"{name} has more components than images have numbers, {pixels}")
        self.is_complete = fitted is not None
        network = nn.Module()
        mean, components = fitted or (torch.zeros(pixels), torch.zeros(0, pixels))
        network.register_buffer("mean", mean)
        network.register_buffer("components", components)
        shape = (view.channels, height, width)
        super().__init__(
            network,
            name=name,
            config={"image_shape": list(shape), "latent_dim": k},
            latent_dim=k,
            space_kind=LATENT,
            image_shape=shape,
            frame=view.frame,
        )

    def completed(self, images: ImageSource) -> PCAModel:
        """The components of training images: of all, or of random ones that 512 MB hold, 4,096 at
        most.

        Raises:
            ModelError: there are fewer images that can be read than components.
        """
        if self.is_complete:
            return self
        from sklearn.decomposition import PCA
        from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
            threadpool_limits,
        )

        pixels = int(np.prod(self.image_shape))
        n = min(len(images), _FITTED, max(_BYTES // (4 * pixels), 2 * self.latent_dim))
        order = np.random.default_rng(_SEED).permutation(len(images))[:n]
        fitted_on = images.subset(np.sort(order))
        rows = _floats_of(fitted_on, self.view)
        if len(rows) < self.latent_dim:
            raise ModelError(
                f"{self.name} needs as many training images as components, and there are "
                f"{len(rows)}: give fewer components"
            )
        # Of more threads the last digits depend on their number, and with them the fingerprint.
        with threadpool_limits(1):
            found = PCA(self.latent_dim, svd_solver="randomized", random_state=_SEED).fit(rows)
        fitted = (torch.from_numpy(found.mean_), torch.from_numpy(found.components_))
        model = PCAModel(
            self.view,
            self.latent_dim,
            name=self.name,
            fitted=(fitted[0].float(), fitted[1].float().contiguous()),
        )
        model.seen = SeenImages.of(fitted_on.digests)
        model.deviations = tuple(np.sqrt(found.explained_variance_).tolist())
        model.to(self.device)
        return model

    # Of the codes of the training images, for what is sampled.
    deviations: Sequence[float] = ()

    def _encode(self, images: Tensor) -> Tensor:
        mean, components = map(self.network.get_buffer, ("mean", "components"))
        # In float32, whatever the precision, as the means of pixels are.
        with torch.autocast(images.device.type, enabled=False):
            return (images.flatten(1) - mean) @ components.T

    def _decode(self, codes: Tensor) -> Tensor:
        network = self.network
        images = network.get_buffer("mean") + codes @ network.get_buffer("components")
        return clamp_to_unit(images).reshape(-1, *self.image_shape)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Normal codes with the variances of the training images."""
        noise = torch.randn(n, self.latent_dim, generator=generator)
        return noise * torch.tensor(self.deviations)


class MeanModel(FittedModel):
    """The mean of training images for every code; every image has the code 0."""

    family = "mean"

    def __init__(self, view: View, *, name: str, fitted: Tensor | None = None) -> None:
        shape = (view.channels, *view.size)
        self.is_complete = fitted is not None
        network = nn.Module()
        network.register_buffer("mean", torch.zeros(shape) if fitted is None else fitted)
        super().__init__(
            network,
            name=name,
            config={"image_shape": list(shape), "latent_dim": 1},
            latent_dim=1,
            space_kind=LATENT,
            image_shape=shape,
            frame=view.frame,
        )

    def completed(self, images: ImageSource) -> MeanModel:
        """The mean of training images."""
        if self.is_complete:
            return self
        total = torch.zeros(self.image_shape, dtype=torch.float64)
        n = 0
        for batch in images.batches([self.view], batch_size=_BATCH, on_error="skip"):
            total += batch.images[0].sum(0, dtype=torch.float64) / 255
            n += len(batch.positions)
        model = MeanModel(self.view, name=self.name, fitted=(total / max(n, 1)).float())
        model.seen = SeenImages.of(images.digests)
        model.to(self.device)
        return model

    def _encode(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), 1)

    def _decode(self, codes: Tensor) -> Tensor:
        # Gradients there are, and they are 0.
        return self.network.get_buffer("mean") + 0 * codes[:, :, None, None]


def load_pixels(given: Given) -> Model:
    """``pixels:8`` or ``pixels:4x5``.

    Raises:
        ModelError: it is neither, or does not fit the images.
    """
    view = _view_of(given)
    cells = _CELLS.fullmatch(given.name)
    if cells is not None:
        return PixelsModel(view, (int(cells[1]), int(cells[2])), name=given.short)
    return PixelsModel.shrunk(view, _count_of(given, "pixels:8 or pixels:4x5"), name=given.short)


def load_pca(given: Given) -> Model:
    """``pca:64``, not fitted yet.

    Raises:
        ModelError: it is none, or has more components than the images have numbers.
    """
    return PCAModel(_view_of(given), _count_of(given, "pca:64"), name=given.short)


def load_mean(given: Given) -> Model:
    """``mean``, not fitted yet."""
    return MeanModel(_view_of(given), name=given.short)


def _count_of(given: Given, such: str) -> int:
    if not _COUNT.fullmatch(given.name):
        raise ModelError(f"{given.text} is no reference model: give {such}")
    return int(given.name)


def _view_of(given: Given) -> View:
    """What it sees: what another model does, but for what is said in the options and the size."""
    options = given.take_options("channels", "frame", "resize")
    view = given.view
    if view is None and given.size is None:
        raise ModelError(
            f"{given.text} sees what another model sees, and there is none here: say how large its "
            f"images are, {given.short}?size=64x64"
        )
    other = View(Frame(), given.size or (1, 1), 3) if view is None else view
    channels = options.get("channels", str(other.channels))
    if channels not in ("1", "3"):
        raise ModelError(f"{given.text}: images have 1 or 3 channels, not {channels}")
    name, resize = options.get("frame", other.frame.name), options.get("resize", other.frame.resize)
    if resize not in RESIZES:
        raise ModelError(f"{given.text}: unknown resize filter {resize!r}")
    try:
        frame = Frame(name, resize)
    except ImageError as error:
        raise ModelError(f"{given.text}: {error}") from None
    return View(frame, given.size or other.size, int(channels))


def _floats_of(images: ImageSource, view: View) -> np.ndarray:
    """Images as rows of float32 in [0, 1]; those that cannot be read are left out."""
    parts = [np.empty((0, view.channels * math.prod(view.size)), np.float32)]
    parts += [
        batch.images[0].flatten(1).numpy()
        for batch in images.batches([view], batch_size=_BATCH, on_error="skip")
    ]
    rows: np.ndarray = np.concatenate(parts)
    rows /= 255
    return rows
