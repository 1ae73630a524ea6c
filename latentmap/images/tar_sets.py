"""Images in a set of tar archives, as WebDataset lays them out.

A sample is several members of one key, ``0001.jpg`` and ``0001.json``: those that are images count,
and the others are passed over. Archives are read where they lie, so that they may not be
compressed; of each the headers are walked through once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import Identity, identity_of, open_regular, reading
from latentmap.files.open_files import OpenFiles
from latentmap.files.tar_members import TarPlace, tar_members
from latentmap.images.archives import unique_members
from latentmap.images.companions import Companion, beside
from latentmap.images.containers import EncodedImages
from latentmap.images.contents import FileState, Marks, mark_of
from latentmap.images.formats import is_image_name, no_images
from latentmap.images.labels import folder_labels
from latentmap.images.naming import natural_key, ordered_ids
from latentmap.images.pixel_memory import require_memory
from latentmap.images.sets import FilesOfImages, SetFile, Span, require_count
from latentmap.images.tars import is_compressed
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance

_KEPT = 2  # Listings: parts that follow each other share a file at most.


@dataclass(frozen=True, eq=False)
class TarListing:
    """The images of a tar archive: their ``names`` in natural order, and ``places`` ``(n, 2)``,
    where their bytes begin and how many they are; ``others`` are its other files.
    """

    file: SetFile
    identity: Identity
    state: FileState
    names: list[str]
    places: np.ndarray
    others: list[str]


class TarFiles(FilesOfImages):
    """The archives of a set, of which ``title`` is the name."""

    def __init__(
        self, files: Sequence[SetFile], title: str, value_range: ValueRange | None = None
    ) -> None:
        super().__init__(files, title, value_range)
        self._opened = OpenFiles()
        self._listings: dict[int, TarListing] = {}

    def count(self, number: int) -> int:
        # In no order, which takes as long again.
        members, _, _ = _members_of(self.files[number])
        return sum(map(is_image_name, members))

    def container(self, spans: Sequence[Span]) -> TarSetImages:
        parts = []
        for span in spans:
            listing = self._listing(span.file)
            require_count(listing.file, span, len(listing.names))
            parts.append((listing, slice(span.start, span.stop)))
        return TarSetImages(parts, self.title, self._opened, self.value_range)

    def _listing(self, number: int) -> TarListing:
        listing = self._listings.pop(number, None) or list_tar(self.files[number])
        self._listings[number] = listing
        if len(self._listings) > _KEPT:
            del self._listings[next(iter(self._listings))]
        return listing


def list_tar(file: SetFile) -> TarListing:
    """What a tar archive holds.

    Raises:
        ImageError: it is compressed, is none, or cannot be read.
    """
    found, identity, state = _members_of(file)
    names = sorted(filter(is_image_name, found), key=natural_key)
    # Of tuples numpy makes an array slowly.
    numbers = (number for name in names for number in found[name])
    places = np.fromiter(numbers, np.int64, 2 * len(names)).reshape(-1, 2)
    others = [name for name in found if not is_image_name(name)]
    return TarListing(file, identity, state, names, places, others)


def _members_of(file: SetFile) -> tuple[dict[str, TarPlace], Identity, FileState]:
    """The files in a tar archive, in the order in which they lie there, and what it is.

    Raises:
        ImageError: it is compressed, is none, or cannot be read.
    """
    what = "is no tar archive, or is cut off"
    with reading(file.path, ImageError, "get it again", what=what), open_regular(file.path) as tar:
        if is_compressed(tar):
            raise ImageError(
                f"{file.path} is compressed, so that no image can be read by itself: unpack it, or "
                "give it alone"
            )
        status = os.fstat(tar.fileno())
        allowance = Allowance(str(file.path), status.st_size, ImageError)
        found = unique_members(file.path, tar_members(tar, status.st_size, allowance))
        return found, identity_of(tar), FileState.of(status)


class TarSetImages(EncodedImages):
    """Some images of archives: of each listing a slice. Members are read with ``pread``."""

    def __init__(
        self,
        parts: Sequence[tuple[TarListing, slice]],
        title: str,
        opened: OpenFiles,
        value_range: ValueRange | None = None,
    ) -> None:
        self.title = title
        self.value_range = value_range
        self._opened = opened
        self._listings = [listing for listing, _ in parts]
        names = [listing.names[part] for listing, part in parts]
        self._ends = np.cumsum([len(one) for one in names])
        self.others = [
            listing.file.named(name) for listing in self._listings for name in listing.others
        ]
        if not any(names):
            raise no_images(title, self.others)
        size = sum(listing.identity.size for listing in self._listings)
        ids = [
            one.file.named(name)
            for one, part in zip(self._listings, names, strict=True)
            for name in part
        ]
        self.ids = ordered_ids(ids, Allowance(title, size, ImageError))
        self._names = [name for part in names for name in part]
        self._places = np.concatenate([listing.places[part] for listing, part in parts])

    def read_bytes(self, position: int) -> bytes:
        listing, offset, size = self._place(position)
        require_memory(size, size)
        file = self._opened.get(listing.file.path, listing.identity)
        data = os.pread(file.descriptor, size, offset)
        if len(data) != size:
            raise ImageError("the archive is cut off")
        return data

    def marks(self, index: np.ndarray) -> Marks:
        values, settled = [], []
        for position in index:
            listing, *place = self._place(position)
            values.append(mark_of(listing.state.mark, self.value_range, *place))
            settled.append(listing.state.settled)
        marks = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)
        return Marks(marks, np.array(settled, np.bool_))

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        yield from beside(self._listings[0].file.path, names)

    def labels(self) -> np.ndarray | None:
        # What the archives are called is no label.
        return folder_labels(np.array(self._names, np.str_))

    def _place(self, position: int) -> tuple[TarListing, int, int]:
        offset, size = self._places[position].tolist()
        return self._listings[int(np.searchsorted(self._ends, position, "right"))], offset, size
