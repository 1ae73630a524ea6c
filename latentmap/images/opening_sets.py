"""Opening sets of files: which kind they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentmap.errors import ImageError
from latentmap.images.parquet_sets import ParquetFiles
from latentmap.images.sets import FilesOfImages, SetFile, files_of_set, suffix_of_set
from latentmap.images.tar_sets import TarFiles
from latentmap.images.values import ValueRange

PARQUET = ".parquet"


def open_set(
    path: Path, value_range: ValueRange | None = None, name: str | None = None
) -> FilesOfImages:
    """The files that a name with ranges or wildcards stands for; nothing of them is read. ``name``
    is that of the column of images in tables, where it is said.

    Raises:
        ImageError: there are none, or they are of no kind that is read in sets.
    """
    files = files_of_set(path)
    suffix = suffix_of_set(files, str(path))
    if suffix == PARQUET:
        return open_tables(path, value_range, name, files)
    if suffix == ".tar":
        return TarFiles(files, str(path), value_range)
    raise ImageError(
        f"{path} names files such as {files[0].path.name}: sets are of .tar or {PARQUET}"
    )


def open_tables(
    path: Path,
    value_range: ValueRange | None,
    name: str | None,
    files: Sequence[SetFile] | None = None,
) -> ParquetFiles:
    """A Parquet file, or the ``files`` of a set of them; nothing of them is read."""
    title = str(path) if name is None else f"{path}:/{name}"
    return ParquetFiles(files or [SetFile(path)], title, value_range, name)
