"""Augmentation that keeps a discriminator from learning a small data set by heart.

Real and generated images go through the same random changes, through which gradients flow, so that
the generator learns the images as they were, as long as enough of them stay unchanged (Karras et
al., "Training generative adversarial networks with limited data", arXiv 2006.06676).

Shapes: ``n`` images ``(n, c, h, w)`` in about [-1, 1], what is drawn for them ``(n,)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

# What a generator is known to take over into its images where more of them are changed.
MOST = 0.8
# Share of positive answers about real images that is asked for, as mean of their signs.
_TARGET = 0.6
# Images in which the probability may go from 0 to 1.
_IMAGES = 500_000
_SHIFT = 1 / 8
_SCALE = 0.2
_LIGHT = 0.2
_CONTRAST = 0.5
_SATURATION = 1.0
_CUT = 0.5


def augment(images: Tensor, probability: Tensor, kinds: Sequence[str]) -> Tensor:
    """The images, each of the ``kinds`` of change made to each with this probability ``()``."""
    for kind in kinds:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
        images = torch.where(chosen, AUGMENTATIONS[kind](images), images)
    return images


def adapt(probability: Tensor, signs: Tensor, images: int) -> Tensor:
    """The probability after so many images more, whose logits had the mean sign ``signs`` ``()``.

    It grows while the discriminator is surer of real images than it should be.
    """
    step = torch.sign(signs - _TARGET) * (images / _IMAGES)
    return (probability + step).clamp(0, MOST)


def flip(images: Tensor) -> Tensor:
    """The images, half of them mirrored left to right."""
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(chosen, images.flip(3), images)


def translate(images: Tensor) -> Tensor:
    """The images moved by whole pixels, up to an eighth of the side; edge pixels are repeated."""
    n, channels, height, width = images.shape
    rows = _moved(n, height, images.device)[:, None, :, None].expand(-1, channels, -1, width)
    columns = _moved(n, width, images.device)[:, None, None, :].expand(-1, channels, height, -1)
    return images.gather(2, rows).gather(3, columns)


def scale(images: Tensor) -> Tensor:
    """The images enlarged or reduced about their centre, by a factor of 2**N(0, 0.2)."""
    factors = torch.exp2(_SCALE * torch.randn(len(images), 1, 1, device=images.device))
    grid = functional.affine_grid(
        factors * torch.eye(2, 3, device=images.device), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def color(images: Tensor) -> Tensor:
    """The images with another brightness, contrast, and saturation where there are colours."""
    n, device = len(images), images.device
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        factors = torch.exp2(_SATURATION * torch.randn(n, 1, 1, 1, device=device))
        images = grey + factors * (images - grey)
    factors = torch.exp2(_CONTRAST * torch.randn(n, 1, 1, 1, device=device))
    return images * factors + _LIGHT * torch.randn(n, 1, 1, 1, device=device)


def cutout(images: Tensor) -> Tensor:
    """The images with a square of half the side grey, anywhere."""
    n, _, height, width = images.shape
    hidden = _near(n, height, images.device)[:, :, None] & _near(n, width, images.device)[:, None]
    return images.masked_fill(hidden[:, None], 0.0)


# Name, as users choose it -> change.
AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "flip": flip,
    "translate": translate,
    "scale": scale,
    "color": color,
    "cutout": cutout,
}


def _moved(n: int, length: int, device: torch.device) -> Tensor:
    """The places ``(n, length)`` that images moved at random along one side take pixels from."""
    most = round(length * _SHIFT)
    shifts = torch.randint(-most, most + 1, (n, 1), device=device)
    return (torch.arange(length, device=device) + shifts).clamp(0, length - 1)


def _near(n: int, length: int, device: torch.device) -> Tensor:
    """Which places ``(n, length)`` along one side are within a stretch at random."""
    centres = length * torch.rand(n, 1, device=device)
    places = torch.arange(length, device=device) + 0.5
    return (places - centres).abs() < length * _CUT / 2
