"""Frames: the box of a picture that a model sees, and how it is brought to the model's size.

A box is (top, left, bottom, right) in relative coordinates: 0 and 1 are the edges of the picture.
The resize filter belongs to the frame, because other pixels give other codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from latentmap.errors import ImageError

Box = tuple[float, float, float, float]
Resize = Literal[
    "torch-bicubic",
    "torch-bilinear",
    "pillow-lanczos",
    "pillow-bicubic",
    "pillow-bilinear",
    "pillow-box",
]
RESIZES: tuple[Resize, ...] = get_args(Resize)

# The central 128x128 pixels of CelebA's aligned 218x178 images: rows 45..173, columns 25..153
# (Asperti & Tonelli, arXiv 2207.06812).
CELEBA_BOX: Box = (45 / 218, 25 / 178, 173 / 218, 153 / 178)
_NAMED: dict[str, Box | None] = {"full": (0.0, 0.0, 1.0, 1.0), "center": None, "celeba": CELEBA_BOX}


@dataclass(frozen=True)
class Frame:
    """A box of the picture and the filter that resizes it.

    ``name`` is ``full``, ``center`` (the largest centred square), ``celeba`` or four numbers
    ``top,left,bottom,right`` between 0 and 1.
    """

    name: str = "full"
    resize: Resize = "torch-bicubic"

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise ImageError(
                f"unknown resize filter {self.resize!r}: choose one of {', '.join(RESIZES)}"
            )
        if self.name not in _NAMED:
            _parse_box(self.name)

    def box(self, height: int, width: int) -> Box:
        """The relative box for a picture of ``height`` x ``width`` pixels."""
        if self.name == "center":
            side = min(height, width)
            top, left = (height - side) / 2 / height, (width - side) / 2 / width
            return (top, left, 1 - top, 1 - left)
        return _NAMED.get(self.name) or _parse_box(self.name)

    def pixels(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The box in whole pixels of a ``height`` x ``width`` picture: top, left, bottom, right.

        It is never empty.
        """
        top, left, bottom, right = self.box(height, width)
        rows = _whole(top, bottom, height)
        columns = _whole(left, right, width)
        return (rows[0], columns[0], rows[1], columns[1])

    def within(self, outer: Frame, height: int, width: int) -> Frame | None:
        """The same box of a ``height`` x ``width`` picture, relative to what ``outer`` shows of it.

        None when it is not inside. Whole pixels stay whole pixels.
        """
        top, left, bottom, right = self.pixels(height, width)
        outer_top, outer_left, outer_bottom, outer_right = outer.pixels(height, width)
        if (top, left, bottom, right) == (outer_top, outer_left, outer_bottom, outer_right):
            return Frame("full", self.resize)
        if top < outer_top or left < outer_left or bottom > outer_bottom or right > outer_right:
            return None
        rows, columns = outer_bottom - outer_top, outer_right - outer_left
        box = (
            (top - outer_top) / rows,
            (left - outer_left) / columns,
            (bottom - outer_top) / rows,
            (right - outer_left) / columns,
        )
        return Frame(",".join(map(repr, box)), self.resize)

    def to_json(self) -> dict[str, str]:
        """The frame as it stands in files and digests."""
        return {"name": self.name, "resize": self.resize}

    @classmethod
    def from_json(cls, record: Any) -> Frame:
        """The frame that ``to_json`` wrote.

        Raises:
            ImageError: it is something else.
        """
        try:
            name, resize = record["name"], record["resize"]
        except (KeyError, TypeError):
            name, resize = None, None
        if not isinstance(name, str) or not isinstance(resize, str):
            raise ImageError("a frame has a name and a resize filter, both of them texts")
        return cls(name, resize)  # type: ignore[arg-type]


def crop_resize(pixels: np.ndarray, frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """The part of a picture that a frame shows, at ``size`` (height, width).

    ``pixels`` is uint8 ``(h, w, c)``; so is the result. Downsizing is antialiased. A box that
    already has the size is copied without any filter.
    """
    result = np.empty((1, *size, pixels.shape[2]), np.uint8)
    crop_resize_stack(pixels[None], frame, result)
    picture: np.ndarray = result[0]
    return picture


def crop_resize_stack(stack: np.ndarray, frame: Frame, out: np.ndarray) -> None:
    """``crop_resize`` of several pictures of one size: uint8 ``(n, h, w, c)`` into ``out``.

    The same pixels as one by one, for less: a call costs as much as the filter.
    """
    size = out.shape[1:3]
    top, left, bottom, right = frame.pixels(*stack.shape[1:3])
    crops = stack[:, top:bottom, left:right]
    if crops.shape[1:3] == size:
        out[...] = crops
        return
    library, _, filter_name = frame.resize.partition("-")
    if library == "pillow":
        for crop, place in zip(crops, out, strict=True):
            place[...] = _resize_with_pillow(crop, filter_name, size)
        return
    import torch

    if not crops.flags.writeable:
        # torch warns of memory that it could not write to, though it only reads.
        crops = np.array(crops)
    # Channels-last memory as decoded: torch packs it faster than a contiguous copy would.
    tensor = torch.from_numpy(crops).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(
        tensor, size=size, mode=filter_name, antialias=True, align_corners=False
    )
    out[...] = resized.permute(0, 2, 3, 1).numpy()


def _resize_with_pillow(crop: np.ndarray, filter_name: str, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    squeezed = crop[:, :, 0] if crop.shape[2] == 1 else crop
    image = Image.fromarray(np.ascontiguousarray(squeezed))
    resized = np.asarray(image.resize(size[::-1], Image.Resampling[filter_name.upper()]))
    return resized[:, :, None] if crop.shape[2] == 1 else resized


def _whole(low: float, high: float, length: int) -> tuple[int, int]:
    first = min(math.floor(low * length + 0.5), length - 1)
    return first, max(math.floor(high * length + 0.5), first + 1)


def _parse_box(text: str) -> Box:
    try:
        top, left, bottom, right = (float(part) for part in text.split(","))
    except ValueError:
        raise ImageError(
            f"unknown frame {text!r}: choose {', '.join(_NAMED)} "
            "or four numbers top,left,bottom,right"
        ) from None
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise ImageError(
            f"frame {text!r} is not inside the picture: give 0 <= top < bottom <= 1 "
            "and 0 <= left < right <= 1"
        )
    return (top, left, bottom, right)
