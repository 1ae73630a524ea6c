"""Letters of the explorer, read by a few lines of their own."""

import io
import json
from typing import Any

import numpy as np
from PIL import Image


def read_letter(letter: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What is told in a letter, and its pictures as arrays ``(h, w, 3)``; of one with arrays too,
    read these by ``read_arrays``.
    """
    length = int.from_bytes(letter[:4], "little")
    told = json.loads(letter[4 : 4 + length])
    pictures, start = [], 4 + length
    for file in told["files"]:
        picture = Image.open(io.BytesIO(letter[start : start + file["length"]]))
        assert picture.size == (file["width"], file["height"])
        pictures.append(np.asarray(picture.convert("RGB")))
        start += file["length"]
    assert start + sum(told["arrays"]) == len(letter)
    return told, pictures


def read_arrays(letter: bytes) -> list[np.ndarray]:
    """The arrays of a letter, flat."""
    told, _ = read_letter(letter)
    found, start = [], len(letter) - sum(told["arrays"])
    for size in told["arrays"]:
        found.append(np.frombuffer(letter[start : start + size], "<f4"))
        start += size
    return found
