"""ImageSource: some images, in order, with their ids, contents, splits and batches.

Pictures are uint8 ``(h, w, c)``; batches ``(n, c, h, w)``; ``c`` is 1 (grey) or 3 (RGB).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from latentmap.codes import Codes, Space
from latentmap.codes.codes import ArrayRows, SelectedRows
from latentmap.errors import ImageError
from latentmap.frames import Frame, Resize
from latentmap.images.arrays import ArrayImages
from latentmap.images.batching import batches_of
from latentmap.images.brightness import LOOKED_AT, Brightness, look_at
from latentmap.images.choice import Choice
from latentmap.images.companions import Companion
from latentmap.images.containers import Container, KnownBy
from latentmap.images.contents import Contents, ContentStore
from latentmap.images.kept import Needed
from latentmap.images.naming import base_name, fingerprint_of
from latentmap.images.packed import Packed, PackedImages
from latentmap.images.prefetch import default_threads
from latentmap.images.splits import (
    HASH_RULE,
    PARTITION_FILES,
    SPLITS,
    Partition,
    Split,
    find_partition,
    split_by_hash,
)
from latentmap.images.studied import Studied
from latentmap.images.values import ValueRange
from latentmap.images.views import Batch, View, native_channels, native_size
from latentmap.progress import ProgressLike, reporting
from latentmap.report import Cell, Shown, Table

OnError = Literal["stop", "skip"]
_NAMED = 3


class ImageSource(Shown):
    """Some images of a container, in order, with what is known of them.

    Made by ``open_images``; ``subset`` and ``split`` give parts. Contents are read when they are
    first asked for, once. ``choice`` is how they were chosen among those of the container.

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
        choice: Choice | None = None,
        groups: np.ndarray | None = None,
        studied: Studied | None = None,
    ) -> None:
        self._container = container
        self._index = index
        self._studied = studied or Studied(container)
        self._contents: Contents | None = None
        self.path = container.title
        self.choice = choice or Choice(container.title)
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
            "chosen": str(self.choice),
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
    def range_of_files(self) -> ValueRange | None:
        """What the user says is black and white in the files of these images; None where that is
        what each file says, and of arrays.
        """
        return None if isinstance(self._container, ArrayImages) else self._container.value_range

    @property
    def known_by(self) -> KnownBy:
        """What tells the images from others, and so what the ``digests`` are of."""
        return self._container.known_by

    @property
    def digests(self) -> np.ndarray:
        """The first 16 bytes of the sha256 of each image's content, uint8 ``(n, 16)``.

        The content of a file is its bytes, that of an array's row its shape and uint8 pixels.
        """
        return self.examine().digests

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of ids and contents: equal where the images are, whatever holds them."""
        return fingerprint_of(self.ids, self.digests)

    @property
    def channels(self) -> Literal[1, 3]:
        """1 when all images are grey, 3 when all are in colour.

        Raises:
            ImageError: some are grey and some are not.
        """
        return native_channels(self.shapes, self.ids, self.path)

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
        """The split of each image by CelebA's partition, if it lies with them."""
        return None if self._partition is None else self._partition.splits

    @cached_property
    def _partition(self) -> Partition | None:
        if isinstance(self._container, PackedImages):
            splits = self._container.splits
            return None if splits is None else Partition(splits[self._index], "the pack")
        return find_partition(self.ids, self.partition_files())

    def partition_files(self) -> Iterator[Companion]:
        """CelebA's partitions that lie with the images, or with others near them."""
        return self._container.companions(PARTITION_FILES)

    @property
    def split_rule(self) -> str:
        """What says which image is in which split."""
        if self.groups is not None:
            return "80/10/10 by a hash of the group"
        return HASH_RULE if self._partition is None else self._partition.title

    @cached_property
    def labels(self) -> np.ndarray | None:
        """What each image shows, as strings ``(n,)``, where that is known without a table (see
        ``latentmap.images.labels``).

        Raises:
            ImageError: there are labels with the images that do not fit them.
        """
        labels = self._container.labels()
        return None if labels is None else labels[self._index]

    @property
    def passed_over(self) -> list[str]:
        """The files beside the images that are neither images nor a partition."""
        others = self._container.others
        return [path for path in others if base_name(path) not in PARTITION_FILES]

    def brightness(self, *, most: int = LOOKED_AT, only_if_dark: bool = False) -> Brightness:
        """The values of the images as they are stored, of at most so many of them, evenly taken.

        With ``only_if_dark`` the first image that is not dark ends it: enough to know of dark ones.
        """
        return look_at(self._container, self._index, most=most, only_if_dark=only_if_dark)

    def mapped(self, view: View) -> np.ndarray | None:
        """All images as a view sees them, ``(n, h, w, c)`` on disk, if they lie there like that."""
        if isinstance(self._container, PackedImages):
            return self._container.mapped(self._index, view)
        return None

    def examine(
        self,
        progress: ProgressLike = None,
        *,
        store: ContentStore | None = None,
        ahead: tuple[Sequence[View], Needed] | None = None,
    ) -> Contents:
        """Reads what ``digests``, ``fingerprint``, ``channels`` and ``shapes`` need, in threads.

        Each is there without this call; it is for showing how far the reading is, and for a
        ``store``, such as ``Coder.contents``, which spares reading files that look as they did when
        they were read. What was read for one subset is not read for another. ``ahead`` are views,
        and which contents ``batches`` will be asked for as these next: they are decoded from the
        bytes that are read here, and kept until then, as far as 256 MB go.
        """
        if self._contents is None:
            with reporting(progress, "reading images") as told:
                self._contents = self._studied.contents(self._index, told, store, ahead)
        return self._contents

    def recheck(self, store: ContentStore, progress: ProgressLike = None) -> tuple[int, list[str]]:
        """Reads the images whose contents a store knows, though they look unchanged: how many they
        are, and the ids of those with another content.
        """
        with reporting(progress, "reading images") as told:
            checked, changed = self._studied.recheck(self._index, store, told)
        return checked, [str(self._container.ids[place]) for place in changed]

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Keeps the pixels of these images, as ``batches`` gives them within the block: who asks
        for them again does not decode them again, as far as 256 MB go.
        """
        self._studied.kept.remember(self._index)
        try:
            yield
        finally:
            self._studied.kept.forget(self._index)

    def read(self, i: int) -> np.ndarray:
        """One image as it is, uint8 ``(h, w, c)``.

        Raises:
            ImageError: it cannot be read; the message has its id.
        """
        return self._container.picture(self._index[i])

    def subset(
        self, index: np.ndarray | Sequence[int], choice: Choice | None = None
    ) -> ImageSource:
        """The images at some positions, in that order; ``choice`` is how they were chosen, where
        that is to be said.

        Raises:
            ImageError: there is none.
        """
        chosen = np.asarray(index, dtype=np.int64)
        if not len(chosen):
            raise ImageError(f"nothing is left of the {len(self)} images of {self.path}")
        return ImageSource(
            self._container,
            self._index[chosen],
            choice=choice or self.choice,
            groups=None if self.groups is None else self.groups[chosen],
            studied=self._studied,
        )

    def part(self, start: int, stop: int) -> ImageSource:
        """Images ``start`` to ``stop``, as all ``ImageParts`` give them."""
        return self.subset(np.arange(start, stop))

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
        return self.subset(chosen, replace(self.choice, split=name, by_split=False))

    def grouped(self, groups: np.ndarray) -> ImageSource:
        """The same images, of these ``groups`` ``(n,)``."""
        images = self.subset(np.arange(len(self)))
        images.groups = groups
        return images

    def first(self, n: int) -> ImageSource:
        """The first ``n`` images, or all where there are no more."""
        if len(self) <= n:
            return self
        return self.subset(np.arange(n), replace(self.choice, limit=n))

    def first_of(self, splits: Sequence[Split], n: int) -> ImageSource:
        """The first ``n`` images of each of some splits, in the order in which they stand.

        Raises:
            ImageError: there is none.
        """
        parts = [np.flatnonzero(self.splits == name) for name in splits]
        index = np.unique(np.concatenate([part[:n] for part in parts]))
        if all(len(part) <= n for part in parts):
            return self.subset(index)
        return self.subset(index, replace(self.choice, limit=n, by_split=True))

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
        threads: int | None = None,
    ) -> Iterator[Batch]:
        """All images from position ``start`` on, in order, each decoded once for all views.

        Threads decode ahead, by default one more than cores; a few batches are in memory. Closing
        the iterator, or losing it, ends the threads.

        Raises:
            ImageError: an image cannot be read and ``on_error`` is ``stop``; or the images are
                packed, and the pack does not show a view.
        """
        if batch_size < 1 or (threads is not None and threads < 1):
            raise ImageError(
                f"batch_size and threads must be at least 1, not {batch_size} and {threads}"
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
            threads=threads or default_threads(),
            kept=self._studied.kept,
        )
