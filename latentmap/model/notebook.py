"""A model in a notebook: images of a few random codes."""

from __future__ import annotations

from latentmap.errors import LatentmapError
from latentmap.model.contract import Model
from latentmap.report import Picture
from latentmap.report.embedding import image_strip
from latentmap.report.page import as_html

_SHOWN = 8  # Images,
_PIXELS = 2**18  # or fewer large ones, which take their time.


def strip_of(model: Model) -> str | None:
    """Images of a few random codes as HTML; None where there is no code to draw."""
    height, width = model.image_shape[1:]
    n = min(max(_PIXELS // (height * width), 1), _SHOWN)
    try:
        images = model.decode(model.sample(n, seed=0))
    except LatentmapError:
        return None
    shown = image_strip(images, f"Images that {model.name} makes of random codes")
    return as_html([Picture(model.name, shown, str(model))])
