"""What passes between images and models: what a model sees of an image, and batches of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from latentmap.errors import ImageError
from latentmap.frames import Frame, crop_resize_stack
from latentmap.printing import shortened


@dataclass(frozen=True)
class View:
    """What is seen of an image: a frame at ``size`` (height, width) in 1 (grey) or 3 channels."""

    frame: Frame
    size: tuple[int, int]
    channels: int

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.channels not in (1, 3):
            raise ImageError(
                f"a view has a size of at least 1x1 and 1 or 3 channels, "
                f"not {self.size} and {self.channels}"
            )

    def render(self, stack: np.ndarray, out: np.ndarray) -> None:
        """Puts what is seen of pictures of one size, uint8 ``(n, h, w, c)``, into ``out``."""
        crop_resize_stack(to_channels(stack, self.channels), self.frame, out)


@dataclass(frozen=True, eq=False)
class Batch:
    """Images from position ``start`` to ``stop``, as each view sees them.

    ``positions`` are those that could be read, int64 ``(k,)``; ``images`` holds for each view uint8
    ``(k, c, h, w)`` in channels-last memory; ``failed`` are the others, each with what is wrong.
    """

    start: int
    stop: int
    positions: np.ndarray
    images: tuple[torch.Tensor, ...]
    failed: tuple[tuple[int, str], ...]

    def floats(self, view: int, device: torch.device | None = None) -> torch.Tensor:
        """The images of one view as float32 ``(k, c, h, w)`` in [0, 1], converted on ``device``."""
        return self.images[view].to(device).float().div_(255)


def native_size(frame: Frame, shapes: np.ndarray, ids: np.ndarray, title: str) -> tuple[int, int]:
    """The size of what a frame shows of images with ``shapes`` ``(n, 3)``, without any filter.

    Raises:
        ImageError: it differs from image to image; the message has some ``ids`` ``(n,)``.
    """
    sizes: dict[tuple[int, int], int] = {}
    originals, firsts = np.unique(shapes[:, :2], axis=0, return_index=True)
    for (height, width), first in zip(originals.tolist(), firsts.tolist(), strict=True):
        if height:
            top, left, bottom, right = frame.pixels(height, width)
            sizes.setdefault((bottom - top, right - left), first)
    if len(sizes) != 1:
        examples = ", ".join(
            f"{height}x{width} ({shortened(str(ids[first]))})"
            for (height, width), first in list(sizes.items())[:3]
        )
        found = f"have several sizes, such as {examples}" if sizes else "cannot be read"
        raise ImageError(f"the images of {title} {found}: say which size is wanted")
    return next(iter(sizes))


def native_channels(shapes: np.ndarray, ids: np.ndarray, title: str) -> Literal[1, 3]:
    """1 when all images with ``shapes`` ``(n, 3)`` are grey, 3 when all are in colour.

    Raises:
        ImageError: some are grey and some are not; the message has some ``ids`` ``(n,)``.
    """
    grey, colour = np.flatnonzero(shapes[:, 2] == 1), np.flatnonzero(shapes[:, 2] == 3)
    if len(grey) and len(colour):
        raise ImageError(
            f"{title} holds {len(grey)} grey images such as {shortened(str(ids[grey[0]]))!r} and "
            f"{len(colour)} in colour such as {shortened(str(ids[colour[0]]))!r}: "
            "choose 1 or 3 channels (--channels)"
        )
    return 1 if len(grey) else 3


def squashed_size(
    frame: Frame, shapes: np.ndarray, size: tuple[int, int]
) -> tuple[int, int] | None:
    """The size of what a frame shows of most images with ``shapes`` ``(n, 3)`` whose proportions
    are not those of ``size``; None where all keep theirs, as far as whole pixels can.
    """
    height, width = size
    originals, counts = np.unique(shapes[:, :2], axis=0, return_counts=True)
    for original in originals[np.argsort(-counts, kind="stable")].tolist():
        if not original[0]:
            continue
        top, left, bottom, right = frame.pixels(*original)
        seen = (bottom - top, right - left)
        # Half a pixel more or less, on either side, is what rounding to whole pixels may do.
        slack = 0.5 / height + 0.5 / width + 0.5 / seen[0] + 0.5 / seen[1]
        if abs(math.log(seen[0] * width / (seen[1] * height))) > slack:
            return seen
    return None


def to_channels(stack: np.ndarray, channels: int) -> np.ndarray:
    """Pictures ``(n, h, w, c)`` in 1 or 3 channels: grey by Pillow's weights (ITU-R 601-2)."""
    if stack.shape[3] == channels:
        return stack
    if channels == 3:
        # Faster than np.repeat, during which no other thread runs.
        seen = np.empty((*stack.shape[:3], 3), stack.dtype)
        for channel in range(3):
            seen[..., channel] = stack[..., 0]
        return seen
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((stack @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]
