"""Answers as bytes: one letter holds the numbers and all pictures, so that a step is one request.

A letter is the length of its head (4 bytes, little endian), the head (JSON) and the files of the
pictures one after the other; ``files`` in the head says of each how long it is.
"""

from __future__ import annotations

import io
import json
import struct

import numpy as np
from PIL import Image

from latentmap.explorer.answers import Answer

MEDIA_TYPE = "application/octet-stream"


def letter_of(answer: Answer) -> bytes:
    """An answer as one letter."""
    files = [_file_of(pixels) for pixels in answer.pictures]
    heads = [
        {"length": len(file), "height": pixels.shape[0], "width": pixels.shape[1]}
        for file, pixels in zip(files, answer.pictures, strict=True)
    ]
    head = json.dumps({**answer.told, "files": heads}, allow_nan=False).encode()
    return b"".join([struct.pack("<I", len(head)), head, *files])


def _file_of(pixels: np.ndarray) -> bytes:
    """A PNG, in which no pixel is lost; packed as fast as can be, since every step of a slider
    makes new ones.
    """
    grey = pixels.shape[2] == 1
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if grey else pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
