"""Excluding images by a list of their ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular
from latentmap.images.naming import match_names
from latentmap.images.source import ImageSource
from latentmap.images.tables import text_lines
from latentmap.limits import Allowance

_ID = 200  # Bytes of memory that an id takes until its image is found.


def without_listed(images: ImageSource, path: str | Path) -> tuple[ImageSource, str]:
    """The images whose ids, full or after the last slash, are not in a text file, one a line; and a
    line on ids in it that are of no image, empty where there are none.

    Raises:
        ImageError: the file cannot be read, or no image is left.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read as a list of ids ({error.strerror}): give a text, one id a line"
        ) from error
    allowance = Allowance(str(path), len(data), ImageError)
    given: set[str] = set()
    for line in text_lines(
        data, f"{path} cannot be read as a list of ids: it must be text in UTF-8"
    ):
        allowance.spend(_ID + len(line), f"{len(given) + 1} ids")
        given.add(line.strip())
    left_out, unknown = match_names(images.ids, given)
    if left_out.all():
        raise ImageError(
            f"{path} excludes all {len(images)} images of {images.path}: nothing is left to choose "
            "from"
        )
    told = (
        f"{len(unknown)} of {len(given)} ids of {path} are not among the {len(images)} images "
        f"({min(unknown)} is one)"
        if unknown
        else ""
    )
    return images.subset(np.flatnonzero(~left_out)), told
