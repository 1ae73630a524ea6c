"""Images: ``open_images`` finds them wherever they lie.

What it gives is an ``ImageSource`` (source.py); models see images as ``View`` and ``Batch``
(views.py); ``load_all`` takes them into memory (loading.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files.kinds import EMPTY, file_kind
from latentmap.images.archives import ZipImages
from latentmap.images.arrays import digits, open_hdf5, open_idx, open_numpy
from latentmap.images.choice import Choice
from latentmap.images.choosing import Missing, chosen_images, read_condition
from latentmap.images.containers import Container
from latentmap.images.folders import FolderImages, IndexedImages
from latentmap.images.formats import is_image_name
from latentmap.images.index_file import INDEX, Index, open_index
from latentmap.images.opening_sets import PARQUET, open_set, open_tables
from latentmap.images.packed import PackedImages, is_pack
from latentmap.images.sets import FilesOfImages, Span, is_set
from latentmap.images.source import ImageSource
from latentmap.images.splits import Split
from latentmap.images.tars import TarImages, is_tar
from latentmap.images.values import ValueRange

_SOURCES = (
    "a folder, a .zip, .tar, .parquet or .index, a set of tars or tables such as "
    "faces-{000..099}.tar or 'faces-*.parquet', an IDX file, .npy, .npz, file.h5:/dataset, a pack, "
    "or the word digits"
)
_HDF5 = (".h5", ".hdf5", ".hdf")


def open_images(
    path: str | Path,
    *,
    split: Split | None = None,
    limit: int | None = None,
    group_by: str | Path | None = None,
    ids: str | Path | None = None,
    exclude: str | Path | None = None,
    attributes: str | Path | None = None,
    where: str | None = None,
    missing: Missing = "stop",
    value_range: tuple[float, float] | None = None,
    notify: Callable[[str], None] | None = None,
) -> ImageSource:
    """The images at a path, in the natural order of their ids.

    ``path`` is a folder (searched deeply) or an ``.index`` of one, a ``.zip`` or ``.tar``
    (``.tar.gz`` too), a table (``.parquet``) with a column of image files, a set of tars or tables
    (``faces-{000..099}.tar``, ``faces-*.tar``), an IDX file, ``.npy``, ``.npz``, an HDF5 dataset
    (``file.h5:/images``), a pack, or the word ``digits``.
    ``ids`` and ``exclude`` are lists of images to take alone and to leave out, by full path or base
    name: a text with a name a line, or a csv whose first column has them. Of the others ``where``
    chooses by the columns of the table ``attributes``, then ``split``, then ``limit`` keeps the
    first images. ``group_by`` is a table of two columns: all images of one group are in one split.

    An image that a table lacks, or a name in ``ids`` that is of no image, is an error; with
    ``missing="skip"`` it is passed over, which is told to ``notify``. How many images a table
    lacks is in the ``choice`` of the images.

    ``value_range`` has the values that are black and white, where they are not those that the file
    says. Images that are all but black without it are told to ``notify``, else as a warning.

    Raises:
        ImageError: there are no such images, or nothing is left of them.
    """
    if limit is not None and limit < 1:
        raise ImageError(f"limit must be at least 1, not {limit}")
    condition = read_condition(attributes, where)
    said = None if value_range is None else ValueRange(*map(float, value_range))
    container = whole_of(open_place(path, said))
    images = chosen_images(
        ImageSource(container, np.arange(len(container.ids)), choice=Choice(name_of(path))),
        ids=ids,
        exclude=exclude,
        condition=condition,
        group_by=group_by,
        split=split,
        limit=limit,
        missing=missing,
        notify=notify,
    )
    if said is None:
        _tell_of_darkness(images, notify)
    return images


def _tell_of_darkness(images: ImageSource, notify: Callable[[str], None] | None) -> None:
    brightness = images.brightness(only_if_dark=True)
    remark = brightness.remark(images.path, packed=images.packed is not None)
    if remark is not None and notify is not None:
        notify(remark)
    elif remark is not None:
        warnings.warn(remark, stacklevel=3)


def open_place(path: str | Path, said: ValueRange | None) -> Container | Index | FilesOfImages:
    """Where images lie, or what says where they do; ``said`` is the range that a user gave.

    Raises:
        ImageError: there is nothing that could hold images.
    """
    try:
        return _open_place(path, said)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def _open_place(path: str | Path, said: ValueRange | None) -> Container | Index | FilesOfImages:
    if str(path) == "digits":
        return digits(said)
    path, name = _split_name(Path(path))
    if path.is_dir():
        return FolderImages(path, said)
    if not path.exists() and is_set(path):
        return open_set(path, said, name)
    if not path.exists():
        raise ImageError(f"{path} does not exist: give {_SOURCES}")
    kind = file_kind(path)
    if kind not in (None, EMPTY) and kind.broken:
        raise ImageError(f"{path} is {kind.what}: {kind.advice}")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return ZipImages(path, said)
    if is_tar(path):
        return TarImages(path, said)
    if suffix == INDEX:
        return open_index(path, said)
    if suffix == PARQUET:
        return open_tables(path, said, name)
    if suffix in (".npy", ".npz"):
        return open_numpy(path, name, said)
    if suffix in _HDF5 and is_pack(path):
        if said is not None:
            raise ImageError(
                f"{path} is a pack, which holds black and white as they were packed: pack the "
                "original images with that range"
            )
        return PackedImages(path)
    if suffix in _HDF5:
        return open_hdf5(path, name, said)
    if suffix in (".idx", ".gz") or "ubyte" in path.name:
        return open_idx(path, said)
    if is_image_name(path.name):
        what = "one image"
    else:
        what = "of no kind that is known" if kind is None or kind.name == "text" else kind.what
    raise ImageError(f"{path} is {what}: give {_SOURCES}")


def whole_of(place: Container | Index | FilesOfImages) -> Container:
    """All images of a place.

    Raises:
        ImageError: they cannot be read, or there are none.
    """
    if isinstance(place, Container):
        return place
    if isinstance(place, Index):
        return IndexedImages(place, 0, place.count)
    return place.container([Span(number) for number in range(len(place.files))])


def name_of(path: str | Path) -> str:
    """The last part of a path, with the name of an array in the file."""
    file, name = _split_name(Path(path))
    return (file.name or file.resolve().name) + ("" if name is None else f":/{name}")


def _split_name(path: Path) -> tuple[Path, str | None]:
    """``file.h5:/images`` as the file and the name in it."""
    file, separator, name = str(path).rpartition(":/")
    if separator and not path.exists() and Path(file).suffix.lower() in (*_HDF5, ".npz", PARQUET):
        return Path(file), name
    return path, None
