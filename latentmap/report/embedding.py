"""Images inside a page: as data URIs, with what they show in words.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1] with 1 or 3 channels.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from latentmap.report.parts import EmbeddedImage

_QUALITY = 90


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
    return _embedded(picture, "PNG" if grey else "JPEG", alternative)


def embed_figure(figure: Image.Image, alternative: str) -> EmbeddedImage:
    """A figure of images with labels, as JPEG of quality 90."""
    return _embedded(figure, "JPEG", alternative)


def _embedded(picture: Image.Image, kind: str, alternative: str) -> EmbeddedImage:
    buffer = io.BytesIO()
    if kind == "JPEG":
        # Full colour resolution: the edges of small images would run.
        picture.save(buffer, kind, quality=_QUALITY, subsampling=0, optimize=True)
    else:
        picture.save(buffer, kind, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    uri = f"data:image/{kind.lower()};base64,{data}"
    return EmbeddedImage(uri, picture.width, picture.height, alternative)
