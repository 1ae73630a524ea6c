"""ImageSource: some images, in order, with their ids, contents, splits and batches.

Pictures are uint8 ``(h, w, c)``; batches ``(n, c, h, w)``; ``c`` is 1 (grey) or 3 (RGB).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from latentmap.codes import Codes, Space
from latentmap.codes.codes import ArrayRows, SelectedRows
from latentmap.errors import ImageError
from latentmap.frames import Frame, Resize
from latentmap.images.batching import batches_of
from latentmap.images.containers import Container, Contents
from latentmap.images.packed import Packed, PackedImages
from latentmap.images.prefetch import default_workers, in_order
from latentmap.images.splits import PARTITION_FILE, SPLITS, Split, split_by_hash, split_by_partition
from latentmap.images.tables import parse_table
from latentmap.images.views import Batch, View, native_size
from latentmap.progress import Progress
from latentmap.report import Cell, Shown, Table

OnError = Literal["stop", "skip"]
_NAMED = 3


class ImageSource(Shown):
    """Some images of a container, in order, with what is known of them.

    Made by ``open_images``; ``subset`` and ``split`` give parts. Contents are read when they are
    first asked for, once.

    >>> from latentmap.images.opening import open_images
    >>> source = open_images("digits", limit=3)
    >>> len(source), source.channels, source.read(0).shape
    (3, 1, (8, 8, 1))
    """

    def __init__(
        self,
        container: Container,
        index: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        contents: Contents | None = None,
    ) -> None:
        self._container = container
        self._index = index
        self._contents = contents
        self.path = container.title
        self.groups = groups
        self.ids: np.ndarray = container.ids[index]

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"<{len(self)} images of {self.path}>"

    def tables(self) -> list[Table]:
        """What is known of the images without reading them."""
        cells: dict[str, Cell] = {
            "images": len(self),
            "of": self.path,
            "such as": ", ".join(map(str, self.ids[:_NAMED])) or None,
            "groups": None if self.groups is None else len(np.unique(self.groups)),
            "packed": None if self.packed is None else f"frame {self.packed.view.frame.name}",
        }
        return [Table.of_one("Images", cells)]

    @property
    def packed(self) -> Packed | None:
        """What was done to the images before, when they come from a pack."""
        return self._container.packed if isinstance(self._container, PackedImages) else None

    def codes_in(self, space: Space) -> Codes | None:
        """The codes that these images were made from, when a model made them from codes in
        ``space``.
        """
        container = self._container
        if not isinstance(container, PackedImages) or container.codes is None:
            return None
        made_in, vectors = container.codes
        if not made_in.same_as(space):
            return None
        return Codes(
            self.ids,
            SelectedRows(ArrayRows(vectors), self._index),
            space,
            container.packed.view.frame,
            self.fingerprint,
            self.digests,
        )

    @property
    def digests(self) -> np.ndarray:
        """The first 16 bytes of the sha256 of each image's content, uint8 ``(n, 16)``.

        The content of a file is its bytes, that of an array's row its shape and uint8 pixels.
        """
        return self.examine().digests

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of ids and contents: equal where the images are, whatever holds them."""
        digest = hashlib.sha256()
        for name in self.ids:
            encoded = str(name).encode("utf-8", "surrogateescape")
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        digest.update(np.ascontiguousarray(self.digests).tobytes())
        return digest.hexdigest()

    @property
    def channels(self) -> Literal[1, 3]:
        """1 when all images are grey, 3 when all are in colour.

        Raises:
            ImageError: some are grey and some are not.
        """
        found = self.examine().shapes[:, 2]
        grey, colour = np.flatnonzero(found == 1), np.flatnonzero(found == 3)
        if len(grey) and len(colour):
            raise ImageError(
                f"{self.path} holds {len(grey)} grey images such as {str(self.ids[grey[0]])!r} and "
                f"{len(colour)} in colour such as {str(self.ids[colour[0]])!r}: "
                "choose 1 or 3 channels (--channels)"
            )
        return 1 if len(grey) else 3

    @property
    def shapes(self) -> np.ndarray:
        """Height, width and channels of each image, ``(n, 3)``; zeros where one cannot be read."""
        return self.examine().shapes

    @cached_property
    def splits(self) -> np.ndarray:
        """``train``, ``val`` or ``test`` for each image: by group, CelebA's partition, or its id.

        Raises:
            ImageError: a partition lies beside the images and lacks some.
        """
        if self.groups is not None:
            return split_by_hash(self.groups)
        partition = self.partition()
        return split_by_hash(self.ids) if partition is None else partition

    def partition(self) -> np.ndarray | None:
        """The split of each image by CelebA's ``list_eval_partition.txt``, if it lies with them."""
        if isinstance(self._container, PackedImages):
            splits = self._container.splits
            return None if splits is None else splits[self._index]
        text = self._container.companion(PARTITION_FILE)
        if text is None:
            return None
        return split_by_partition(self.ids, parse_table(text, PARTITION_FILE))

    def mapped(self, view: View) -> np.ndarray | None:
        """All images as a view sees them, ``(n, h, w, c)`` on disk, if they lie there like that."""
        if isinstance(self._container, PackedImages):
            return self._container.mapped(self._index, view)
        return None

    def examine(self, progress: Progress | None = None) -> Contents:
        """Reads what ``digests``, ``fingerprint``, ``channels`` and ``shapes`` need, in threads.

        Each is there without this call; it is for showing how far the reading is.
        """
        if self._contents is None:
            describe = self._container.describe
            size = 4 * self._container.task_size
            starts = range(0, len(self), size)
            tasks = [partial(describe, self._index[first : first + size]) for first in starts]
            workers = min(default_workers(), len(tasks))
            parts = []
            done = 0
            for part in in_order(tasks, workers=workers, ahead=4 * workers):
                parts.append(part)
                done += len(part.digests)
                if progress is not None:
                    progress(done, len(self))
            self._contents = Contents(
                np.concatenate([part.digests for part in parts]),
                np.concatenate([part.shapes for part in parts]),
            )
        return self._contents

    def read(self, i: int) -> np.ndarray:
        """One image as it is, uint8 ``(h, w, c)``.

        Raises:
            ImageError: it cannot be read; the message has its id.
        """
        return self._container.picture(self._index[i])

    def subset(self, index: np.ndarray | Sequence[int]) -> ImageSource:
        """The images at some positions, in that order.

        Raises:
            ImageError: there is none.
        """
        chosen = np.asarray(index, dtype=np.int64)
        if not len(chosen):
            raise ImageError(f"nothing is left of the {len(self)} images of {self.path}")
        contents = self._contents
        return ImageSource(
            self._container,
            self._index[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            contents=contents and Contents(contents.digests[chosen], contents.shapes[chosen]),
        )

    def split(self, name: Split) -> ImageSource:
        """The images of one split.

        Raises:
            ImageError: it has none, or the name is unknown.
        """
        if name not in SPLITS:
            raise ImageError(f"unknown split {name!r}: choose one of {', '.join(SPLITS)}")
        chosen = np.flatnonzero(self.splits == name)
        if not len(chosen):
            raise ImageError(
                f"the split {name!r} of the {len(self)} images of {self.path} is empty: "
                "choose another, or take more images"
            )
        return self.subset(chosen)

    def first_of(self, splits: Sequence[Split], n: int) -> ImageSource:
        """The first ``n`` images of each of some splits, in the order in which they stand.

        Raises:
            ImageError: there is none.
        """
        parts = [np.flatnonzero(self.splits == name)[:n] for name in splits]
        return self.subset(np.unique(np.concatenate(parts)))

    def view(
        self,
        *,
        frame: str | None = None,
        resize: Resize | None = None,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> View:
        """A view of these images: what is not given is as they are, so that no filter is needed.

        Without a frame it is the whole picture, or what a pack shows.

        Raises:
            ImageError: the images have different sizes, or are grey and in colour, and it is not
                said which is wanted.
        """
        own = self.packed.view if self.packed is not None else None
        default = own.frame if own is not None else Frame()
        seen = Frame(frame or default.name, resize or default.resize)
        if own is not None and seen == own.frame:
            return View(seen, size or own.size, channels or own.channels)
        return View(
            seen,
            size or native_size(seen, self.shapes, self.ids, self.path),
            channels or self.channels,
        )

    def view_key(self, view: View) -> dict[str, Any]:
        """What changed the pixels of a view before; empty when they are the original files'.

        Raises:
            ImageError: the images are packed, and the pack does not show that view.
        """
        if self.packed is None:
            return {}
        self.packed.translate(view)
        return {} if self.packed.is_exact(view) else self.packed.to_json()

    def batches(
        self,
        views: Sequence[View],
        *,
        batch_size: int,
        start: int = 0,
        on_error: OnError = "stop",
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """All images from position ``start`` on, in order, each decoded once for all views.

        Threads decode ahead, by default one more than cores; a few batches are in memory. Closing
        the iterator, or losing it, ends the threads.

        Raises:
            ImageError: an image cannot be read and ``on_error`` is ``stop``; or the images are
                packed, and the pack does not show a view.
        """
        if batch_size < 1 or (workers is not None and workers < 1):
            raise ImageError(
                f"batch_size and workers must be at least 1, not {batch_size} and {workers}"
            )
        for view in views:
            self.view_key(view)
        return batches_of(
            self._container,
            self._index,
            list(views),
            batch_size=batch_size,
            start=start,
            skip=on_error == "skip",
            workers=workers or default_workers(),
        )
