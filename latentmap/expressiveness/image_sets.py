"""Image sets: what generators are asked to reproduce.

They are a generator's own, those of a data set, or a support set. Shapes: ``n`` images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes import HeldOut, Seen, hold_out
from latentmap.errors import ImageError, SupportError
from latentmap.frames import Frame
from latentmap.images import Choice, ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.images.attribute_groups import ImageGroups
from latentmap.model import Model
from latentmap.support import SupportSet

OWN = "own"
_MOST = 2**31 - 1  # Images of a set.


@dataclass(frozen=True)
class SetName:
    """An image set as a user names it: ``own:256``, ``faces.zip:256`` or ``support.h5``.

    ``path`` is None for a generator's own images; ``n`` is None for all of the images.
    """

    text: str
    path: str | None
    n: int | None

    @property
    def title(self) -> str:
        """The same without the folders."""
        return self.text if self.path is None else Path(self.text).name

    @classmethod
    def parse(cls, text: str) -> SetName:
        """What a text names: the number is what stands after the last colon.

        Raises:
            ImageError: own images without their number, or a number of images below 2, or beyond
                what can be counted.
        """
        path, colon, number = text.rpartition(":")
        if not colon or not number.removeprefix("-").isdecimal():
            path, n = text, None
        else:
            n = int(number) if len(number) <= len(str(_MOST)) else _MOST + 1
        if n is not None and not 2 <= n <= _MOST:
            raise ImageError(
                f"the image set {text!r} must have 2 to {_MOST} images: give another number"
            )
        if path != OWN:
            return cls(text, path, n)
        if n is None:
            raise ImageError("say how many own images a generator shall reproduce, such as own:256")
        return cls(text, None, n)


def titles_of(names: Sequence[SetName]) -> list[str]:
    """What image sets are called: by their titles, but in full where several have one."""
    counts = Counter(name.title for name in names)
    return [name.title if counts[name.title] == 1 else name.text for name in names]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of a data set or of a support set, with what is known of them.

    ``ids`` ``(n,)`` are their names. ``sector`` ``(n,)`` and ``variables`` are those of a support
    set (see ``Sectors``). ``shown`` is the frame that the images are cut to already, where they
    come from the support set's file, and ``contents`` ``(n, 16)`` are the digests of the images
    that it was built from; without them, those of the images. ``by`` are groups of the images by
    what is known of them (see ``cut_sets``), and ``sectors_digest`` tells the sectors of a support
    set from others.
    """

    name: str
    images: ImageSource
    ids: np.ndarray
    sector: np.ndarray | None = None
    variables: tuple[int, ...] = ()
    shown: Frame | None = None
    contents: np.ndarray | None = None
    by: tuple[ImageGroups, ...] = ()
    sectors_digest: str = ""

    @property
    def digests(self) -> np.ndarray:
        """What the images are, ``(n, 16)`` uint8."""
        return self.images.digests if self.contents is None else self.contents

    @property
    def choice(self) -> Choice:
        """How the images were chosen, as those of the set's name."""
        return replace(self.images.choice, file=self.name)

    def held_out(self, kept: np.ndarray, seen: Iterable[Seen] = ()) -> HeldOut:
        """Which of the images at ``kept`` ``(k,)`` may be judged, and their units."""
        groups = self.images.groups
        given = None if groups is None else groups[kept]
        return hold_out(self.digests[kept], seen, groups=given)

    @classmethod
    def of_images(cls, images: ImageSource, n: int | None, *, name: str, seed: int = 0) -> ImageSet:
        """``n`` random images of a data set, or all of them.

        Raises:
            ImageError: there are fewer.
        """
        if n is None:
            return cls(name, images, images.ids)
        if n > len(images):
            raise ImageError(
                f"{name} asks for {n} images, but there are {len(images)}: give a smaller number"
            )
        chosen = np.random.default_rng(seed).choice(len(images), n, replace=False)
        part = images.subset(np.sort(chosen))
        return cls(name, part, part.ids)

    @classmethod
    def of_support(
        cls,
        support: SupportSet,
        images: ImageSource | None,
        *,
        n: int | None = None,
        name: str,
        seed: int = 0,
    ) -> ImageSet:
        """The images of a support set, or ``n`` random ones of it; out of the data set that it was
        built from, or else as its file holds them.

        Raises:
            SupportError: it has fewer, the data set lacks some, or neither holds the images.
        """
        if n is not None:
            if n > len(support):
                raise SupportError(
                    f"{name} asks for {n} images, but the support set has {len(support)}: give a "
                    "smaller number"
                )
            chosen = np.random.default_rng(seed).choice(len(support), n, replace=False)
            support = support.take(np.sort(chosen))
        image_set = cls(
            name,
            _images_of(support, images, name),
            support.ids,
            support.sector,
            tuple(support.settings["variables"]),
            contents=support.digests,
            sectors_digest=support.sectors_digest,
        )
        return image_set if images is not None else replace(image_set, shown=support.frame)

    def seen_by(self, model: Model) -> Model:
        """The model as it sees these images.

        Raises:
            ImageError: they are cut to a frame that is not the model's.
        """
        if self.shown is None:
            return model
        if model.frame.name != self.shown.name:
            raise ImageError(
                f"the images in {self.name} are cut to the frame {self.shown.name}, but "
                f"{model.name} sees {model.frame.name}: give the data set that the support set was "
                "built from (--data)"
            )
        return model.seen_through(Frame("full", model.frame.resize))


def choices_of(image_sets: Sequence[ImageSet]) -> dict[str, Any]:
    """How the images of several sets were chosen, as the record of a result has it."""
    return {
        "in_words": "; ".join(str(one.choice) for one in image_sets),
        "sets": [one.choice.to_json() for one in image_sets],
    }


def _images_of(support: SupportSet, images: ImageSource | None, name: str) -> ImageSource:
    if images is not None:
        return support.select_in(images)
    if support.images is None:
        raise SupportError(
            f"{name} holds no images, only which they are: give the data set that it was built "
            "from (--data), or build it with --with-images"
        )
    kept = ArrayImages(support.images, name)
    return ImageSource(kept, np.arange(len(support)), choice=Choice(name))
