"""What is a picture: a figure that a notebook shows."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod

from PIL import Image


class Pictured(ABC):
    """A figure that can be had as pixels, which a notebook shows in place of its parts."""

    @abstractmethod
    def picture(self) -> Image.Image:
        """The figure as pixels, in its own size."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.picture().save(buffer, "PNG")
        return buffer.getvalue()
