"""Excluding images by a list of their ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular
from latentmap.images.naming import match_names
from latentmap.images.source import ImageSource


def without_listed(images: ImageSource, path: str | Path) -> tuple[ImageSource, str]:
    """The images whose ids, full or after the last slash, are not in a text file, one a line; and a
    line on ids in it that are of no image, empty where there are none.

    Raises:
        ImageError: the file cannot be read, or no image is left.
    """
    try:
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path} cannot be read as a list of ids ({error})") from error
    given = {line.strip() for line in lines if line.strip()}
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
