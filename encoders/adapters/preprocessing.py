"""What an encoder wants to see of an image, as ``preprocessor_config.json`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentmap.encoders.adapters.hub import LARGEST_SIDE, read_config
from latentmap.encoders.adapters.scaling import Scaling, read_numbers
from latentmap.errors import ModelError
from latentmap.frames import Frame, Resize

_FILE = "preprocessor_config.json"
# Pillow's numbers of its filters -> ours; nearest (0) and Hamming (5) are not here.
_FILTERS: dict[int, Resize] = {
    1: "pillow-lanczos",
    2: "torch-bilinear",
    3: "torch-bicubic",
    4: "pillow-box",
}


@dataclass(frozen=True)
class Preprocessing:
    """The shape ``(c, h, w)`` of images, the part of a picture that they show, and the scaling of
    their pixels.
    """

    image_shape: tuple[int, int, int]
    frame: Frame
    pixels: Scaling

    def resized(self, height: int, width: int) -> Preprocessing:
        return replace(self, image_shape=(self.image_shape[0], height, width))


def read_preprocessing(
    folder: Path,
    said: Mapping[str, Any],
    options: Mapping[str, str],
    size: tuple[int, int] | None,
) -> Preprocessing:
    """What the encoder in a folder wants to see. ``said`` is its configuration, which may know the
    size; ``options`` (``mean``, ``std``) and ``size`` (height, width) go before what stands there.

    Raises:
        ModelError: nothing says how images are normalised, or how large they are; or they are
            resized by a filter that is not here.
    """
    found = read_config(folder, _FILE) if (folder / _FILE).is_file() else {}
    mean, std = options.get("mean"), options.get("std")
    if (mean is None) != (std is None) or (mean is None and not found):
        raise ModelError(
            f"{folder} has no {_FILE}, which says how images are normalised: add it, or give "
            "both, as in ?mean=0.5,0.5,0.5&std=0.5,0.5,0.5"
            if mean is std
            else "mean and std belong together: give both"
        )
    if mean is None or std is None:
        pixels = _scaling(folder, found)
    else:
        pixels = Scaling(read_numbers(mean, "mean"), read_numbers(std, "std", positive=True))
    height, width = size or _size(folder, found, said)
    channels = 1 if said.get("num_channels") == 1 else 3
    return Preprocessing((channels, height, width), _frame(folder, found), pixels)


def _scaling(folder: Path, found: Mapping[str, Any]) -> Scaling:
    factor = 1.0
    if found.get("do_rescale", True) and found.get("rescale_factor") is not None:
        what = f"rescale_factor in {_FILE}"
        (factor, *_) = read_numbers(found["rescale_factor"], what, positive=True)
        factor *= 255
    if not found.get("do_normalize", True):
        return Scaling((0.0,), (1 / factor,))
    if found.get("image_mean") is None or found.get("image_std") is None:
        # What is meant then depends on the class of the processor, and the library's version.
        raise ModelError(
            f"{_FILE} in {folder} does not say the mean and the deviation of pixels: give both, as "
            "in ?mean=0.5,0.5,0.5&std=0.5,0.5,0.5"
        )
    mean = read_numbers(found["image_mean"], f"image_mean in {_FILE}")
    std = read_numbers(found["image_std"], f"image_std in {_FILE}", positive=True)
    # A factor that is 1 but for rounding leaves the numbers of the file as they are.
    scale = 1.0 if abs(factor - 1) < 1e-6 else factor
    return Scaling(tuple(one / scale for one in mean), tuple(one / scale for one in std))


def _size(folder: Path, found: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[int, int]:
    cropped = found.get("crop_size") if found.get("do_center_crop") else None
    for value in (cropped, found.get("size"), said.get("image_size")):
        if isinstance(value, Mapping):
            short = value.get("shortest_edge")
            value = [value.get("height", short), value.get("width", short)]
        sides: Any = value if isinstance(value, list) else [value, value]
        if len(sides) == 2 and all(type(one) is int and 0 < one <= LARGEST_SIDE for one in sides):
            return sides[0], sides[1]
    raise ModelError(f"{folder} does not say how large images are: give --size HxW")


def _frame(folder: Path, found: Mapping[str, Any]) -> Frame:
    size = found.get("size")
    square = found.get("do_center_crop") or (isinstance(size, Mapping) and "shortest_edge" in size)
    resample = found.get("resample")
    if resample is not None and (type(resample) is not int or resample not in _FILTERS):
        # Another filter gives other codes.
        raise ModelError(
            f"{_FILE} in {folder} resizes images by the filter {resample!r:.40}, and known are "
            f"{', '.join(map(str, _FILTERS))} (Lanczos, bilinear, bicubic, box): write one of them "
            "there"
        )
    return Frame("center" if square else "full", _FILTERS[resample or 3])
