"""Thumbnails: what pixels alone say of an image, as the codes of a model.

Shapes: images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentmap.codes import PIXELS
from latentmap.images import View
from latentmap.model.contract import Model


class Thumbnail(Model):
    """The means of the pixels in ``rows x columns`` parts of an image; an encoder alone.

    Codes are ``(c f g, rows / f, columns / g)``: with a ``fold`` ``(f, g)`` above 1, parts that lie
    together are channels of one cell. Parts are whole pixels, and differ by one pixel where the
    size of the image is no multiple.
    """

    family = "thumbnail"
    can_decode = False

    def __init__(self, view: View, parts: tuple[int, int], *, fold: tuple[int, int] = (1, 1)):
        (rows, columns), (height, width) = parts, view.size
        self._fold = fold
        network = nn.Module()
        for axis, n, m in (("rows", height, rows), ("columns", width, columns)):
            network.register_buffer(axis, means_of(torch.arange(n) * m // n))
        shape = (view.channels * fold[0] * fold[1], rows // fold[0], columns // fold[1])
        super().__init__(
            network,
            name=f"pixels:{rows}x{columns}",
            config={"image_shape": [view.channels, height, width], "latent_shape": [*shape]},
            latent_dim=view.channels * rows * columns,
            latent_shape=shape,
            image_shape=(view.channels, height, width),
            frame=view.frame,
            space_kind=PIXELS,
        )

    def _encode(self, images: Tensor) -> Tensor:
        means = means_in_parts(
            images, self.network.get_buffer("rows"), self.network.get_buffer("columns")
        )
        n, c, height, width = means.shape
        f, g = self._fold
        cells = means.reshape(n, c, height // f, f, width // g, g).permute(0, 1, 3, 5, 2, 4)
        return cells.reshape(n, *self.latent_shape)


def means_in_parts(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The means of the pixels in parts of images ``(n, c, height, width)``, by a matrix of
    ``means_of`` for each axis; in float32, whatever the precision: half of the digits of a mean
    would be lost in less.
    """
    with torch.autocast(images.device.type, enabled=False):
        return rows @ images.float() @ columns.T


def means_of(parts: Tensor) -> Tensor:
    """The matrix ``(m, n)`` that takes the mean over each of the ``m`` parts of ``n`` numbers, of
    which ``parts`` ``(n,)`` says which part each is of.

    >>> means_of(torch.tensor([0, 0, 1])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    members = nn.functional.one_hot(parts).T.float()
    return members / members.sum(1, keepdim=True)
