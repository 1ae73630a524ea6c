"""Images inside a page: as data URIs, with what they show in words.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1] with 1 or 3 channels.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from latentmap.report.figures import Figure
from latentmap.report.pictures import EmbeddedImage

_QUALITY = 90
_MOST = 16  # Images of a strip among several: no format takes a line of any length.


def image_strips(images: torch.Tensor, alternative: str) -> list[EmbeddedImage]:
    """Any number of images, in strips of a few."""
    return [
        image_strip(images[start : start + _MOST], alternative)
        for start in range(0, len(images), _MOST)
    ]


def image_strip(images: torch.Tensor, alternative: str) -> EmbeddedImage:
    """Images side by side without gaps, so that columns of several strips stand under each other.

    Grey ones are kept exactly (PNG), colour ones as JPEG of quality 90.

    Example:
        >>> image_strip(torch.zeros(4, 3, 8, 8), "four black images").width
        32
    """
    pixels = (images.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8)
    side_by_side = np.concatenate(list(pixels.permute(0, 2, 3, 1).numpy()), axis=1)
    grey = side_by_side.shape[2] == 1
    picture = Image.fromarray(side_by_side[..., 0] if grey else side_by_side)
    data = _png(picture) if grey else _jpeg(picture)
    return _embedded(picture, data, alternative, count=len(images))


def embed_figure(figure: Figure, alternative: str) -> EmbeddedImage:
    """A chart, or images with labels: exactly (PNG), unless JPEG of quality 90 is smaller, as where
    it is of photographs.
    """
    picture = figure.picture()
    return _embedded(picture, min(_png(picture), _jpeg(picture), key=len), alternative)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Full colour resolution: the edges of small images would run.
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()


def _embedded(
    picture: Image.Image, data: bytes, alternative: str, *, count: int = 1
) -> EmbeddedImage:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return EmbeddedImage(uri, picture.width, picture.height, alternative, count)
