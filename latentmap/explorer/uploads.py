"""Uploads: images that were sent to the explorer, and their codes, in memory alone.

Shapes: codes ``(d,)`` float64, pixels uint8 ``(h, w, c)``.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ExplorerError, ImageError
from latentmap.images.decoding import decode
from latentmap.images.values import ValueRange
from latentmap.images.views import View
from latentmap.limits import advice
from latentmap.model import Model

MOST = 16
MOST_BYTES = 1 << 25  # Of a file that is sent.


@dataclass(frozen=True, eq=False)
class Seen:
    """An image by its ``id``, as each of some models sees it."""

    id: str
    pixels: Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class Upload:
    """An image by its ``id``: as each of some models sees it, and its code in each, None where the
    model has no encoder.
    """

    id: str
    pixels: Sequence[np.ndarray]
    codes: Sequence[Tensor | None]


class Uploads:
    """The last few uploads: of more, those that were asked for least lately are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Upload] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def keep(self, upload: Upload) -> None:
        """Remembers an upload."""
        self._known[upload.id] = upload
        self._known.move_to_end(upload.id)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def require(self, name: str) -> Upload:
        """The upload of this id.

        Raises:
            ExplorerError: it is not kept, or not any more.
        """
        if name not in self._known:
            raise not_here(name)
        self._known.move_to_end(name)
        return self._known[name]


def not_here(name: str) -> ExplorerError:
    """That there is no upload of this id."""
    return ExplorerError(
        f"the image {name[:40]!r} of your own is not here any more: the last {MOST} are kept as "
        "long as the explorer runs; drop it again, or start with its file (--image)"
    )


def see_upload(data: bytes, views: Sequence[View], values: ValueRange | None = None) -> Seen:
    """The image of a file, as each of some models sees it.

    It is decoded as the files of a data set are, under the same limits, with the same ``values``
    for black and white; its id is that of its bytes, so that a link to it holds again when it is
    sent again.

    Raises:
        ImageError: the file is no image, damaged, or larger than the limits allow. What raises a
            limit is not said: whoever sends images has no command to give.
    """
    if not data:
        raise ImageError("an empty file")
    try:
        picture = decode(data, values)
    except ImageError as error:
        raise ImageError(str(error).removesuffix(f": {advice('memory')}")) from error
    pixels = [_rendered(picture, view) for view in views]
    return Seen(id_of(data), pixels)


def id_of(data: bytes) -> str:
    """The id of the image of a file."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def encode_upload(seen: Seen, models: Sequence[Model]) -> Upload:
    """An image that was sent, encoded by all models that can."""
    codes = [_code_of(model, pixels) for model, pixels in zip(models, seen.pixels, strict=True)]
    return Upload(seen.id, seen.pixels, codes)


def as_image(pixels: np.ndarray) -> Tensor:
    """Pixels as an image ``(c, h, w)`` in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(255)


def _rendered(picture: np.ndarray, view: View) -> np.ndarray:
    seen = np.empty((1, *view.size, view.channels), np.uint8)
    view.render(picture[None], seen)
    found: np.ndarray = seen[0]
    return found


def _code_of(model: Model, pixels: np.ndarray) -> Tensor | None:
    if not model.can_encode:
        return None
    return model.encode(as_image(pixels)[None])[0].double().cpu()
