"""Zero padding to the size that a network needs, as for MNIST from 28x28 to 32x32."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor


def pad_to(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images ``(n, c, h, w)`` centred on black at ``size``; an odd rest goes to the bottom and the
    right.
    """
    rows, columns = size[0] - images.shape[2], size[1] - images.shape[3]
    if rows == 0 and columns == 0:
        return images
    return functional.pad(
        images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    )


def crop_to(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of ``pad_to``."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]
