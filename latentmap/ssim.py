"""SSIM: how alike two images are in brightness, contrast and structure, window by window.

Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural
similarity", 2004. Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentmap.errors import ImageError

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """The mean structural similarity ``(n,)`` of image ``i`` and other image ``i``, from -1 to 1.

    Only equal images have 1. Windows of 11 pixels weighted by a Gaussian of sigma 1.5, only those
    that lie within the image; the mean is over windows and channels. Of images of less than 11
    pixels the window is the largest odd one that fits. Both have gradients.

    Raises:
        ImageError: the shapes differ, or are not those of images.

    Example:
        >>> ramp = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
        >>> ssim(ramp, ramp), ssim(ramp, 1 - ramp) < 0
        (tensor([1.]), tensor([True]))
    """
    if images.ndim != 4 or images.shape != others.shape:
        raise ImageError(
            f"SSIM compares two batches of images of one shape (n, c, h, w), not "
            f"{tuple(images.shape)} and {tuple(others.shape)}"
        )
    size = min(_WINDOW, *(side - 1 + side % 2 for side in images.shape[2:]))
    # A variance is a small difference of large sums; it is divided by one that may be near _C2, so
    # that float32 would lose half of its digits where an image is flat.
    x, y = images.double(), others.double()
    rows, columns = (_windows(side, size, x.device) for side in images.shape[2:])

    def windowed(pixels: Tensor) -> Tensor:
        # As products with matrices, which processors do far faster than narrow convolutions.
        return rows @ pixels @ columns.t()

    mean_x, mean_y = windowed(x), windowed(y)
    means, mean_squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = windowed(x * y) - means
    variances = windowed(x * x + y * y) - mean_squares
    luminance = (2 * means + _C1) / (mean_squares + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return (luminance * structure).mean(dim=(1, 2, 3)).to(images.dtype)


def _windows(pixels: int, size: int, device: torch.device) -> Tensor:
    """A row ``(pixels - size + 1, pixels)`` for each place of the window: the Gaussian there."""
    starts = torch.arange(pixels - size + 1, dtype=torch.float64, device=device)[:, None]
    places = torch.arange(pixels, device=device) - starts
    weights = torch.exp((places - (size - 1) / 2).square() / (-2 * _SIGMA**2))
    weights = weights * ((places >= 0) & (places < size))
    return weights / weights.sum(dim=1, keepdim=True)
