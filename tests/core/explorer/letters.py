"""Letters of the explorer, read by a few lines of their own."""

import io
import json
from typing import Any

import numpy as np
from PIL import Image


def read_letter(letter: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What is told in a letter, and its pictures as arrays ``(h, w, 3)``."""
    length = int.from_bytes(letter[:4], "little")
    told = json.loads(letter[4 : 4 + length])
    pictures, start = [], 4 + length
    for file in told["files"]:
        picture = Image.open(io.BytesIO(letter[start : start + file["length"]]))
        assert picture.size == (file["width"], file["height"])
        pictures.append(np.asarray(picture.convert("RGB")))
        start += file["length"]
    assert start == len(letter)
    return told, pictures
