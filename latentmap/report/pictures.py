"""The blocks of a report that are made of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture as a data URI, its size in pixels, and what it shows in words.

    It is ``count`` images of one size side by side, without gaps.
    """

    uri: str
    width: int
    height: int
    alternative: str
    count: int = 1


@dataclass(frozen=True)
class ImageRow:
    """One or more pictures beside a label; ``captions`` stand below their images, one below each,
    or there are none.
    """

    label: str
    images: Sequence[EmbeddedImage]
    captions: Sequence[str] = ()


@dataclass(frozen=True)
class ImageRows:
    """Rows of images one above the other, such as the three rows of a relocation.

    ``heads`` stand above the pictures of a row, where a row has several.
    """

    id: str
    title: str
    rows: Sequence[ImageRow]
    note: str = ""
    heads: Sequence[str] = ()
    kind: Literal["image rows"] = "image rows"


@dataclass(frozen=True)
class Picture:
    """One picture that was drawn elsewhere."""

    title: str
    image: EmbeddedImage
    note: str = ""
    kind: Literal["picture"] = "picture"
