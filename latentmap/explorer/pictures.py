"""The images of the data as the page asks for them: ids by position, and pixels by id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, text_in, texts_in, whole_in
from latentmap.explorer.explored import Explored

_MOST = 64  # Images at a time.


def list_images(explored: Explored, asked: Asked) -> Answer:
    """Ids of images from a position on, of those whose id holds the text ``like``."""
    ids = explored.codes.codes.ids
    like = text_in(asked, "like", "")
    found = ids if not like else ids[np.char.find(ids, like) >= 0]
    start = whole_in(asked, "start", most=max(len(ids), 1))
    count = whole_in(asked, "count", least=1, most=_MOST)
    return Answer({"ids": found[start : start + count].tolist(), "n": len(found)})


def show_images(explored: Explored, asked: Asked) -> Answer:
    """The pixels of images by their ids, as the source sees them."""
    names = texts_in(asked, "ids", most=_MOST)
    if not names:
        raise ExplorerError("ids must name at least one image")
    shown, pictures = as_source_sees(explored, names)
    return Answer({"ids": shown}, pictures)


def as_source_sees(explored: Explored, names: Sequence[str]) -> tuple[list[str], list[np.ndarray]]:
    """Those images of these ids that can be read, and their pixels, uint8 ``(h, w, c)``.

    Raises:
        ExplorerError: there is no such image.
    """
    places = explored.images_called(names)
    few = explored.images.subset(places)
    (batch,) = few.batches(explored.views[:1], batch_size=len(places), on_error="skip", threads=1)
    pixels = batch.images[0].permute(0, 2, 3, 1).numpy()
    return [names[place] for place in batch.positions], list(pixels)
