"""Opening sets of files: which kind they are, and all their images at once."""

from __future__ import annotations

from pathlib import Path

from latentmap.errors import ImageError
from latentmap.images.containers import Container
from latentmap.images.sets import FilesOfImages, Span, files_of_set, suffix_of_set
from latentmap.images.tar_sets import TarFiles
from latentmap.images.values import ValueRange

_KINDS = {".tar": TarFiles}


def open_set(path: Path, value_range: ValueRange | None = None) -> FilesOfImages:
    """The files that a name with ranges or wildcards stands for; nothing of them is read.

    Raises:
        ImageError: there are none, or they are of no kind that is read in sets.
    """
    files = files_of_set(path)
    kind = _KINDS.get(suffix_of_set(files, str(path)))
    if kind is None:
        raise ImageError(
            f"{path} names files such as {files[0].path.name}: sets are of {' or '.join(_KINDS)}"
        )
    return kind(files, str(path), value_range)


def whole_set(files: FilesOfImages) -> Container:
    """All images of a set.

    Raises:
        ImageError: a file cannot be read, or there are no images.
    """
    return files.container([Span(number) for number in range(len(files.files))])
