"""Files that lie with images and say something of them, such as CelebA's partition.

They are looked for in the order in which they are meant for the images: in the folder or archive
itself, beside it, and one folder further up where the folders are those of CelebA: ``Eval`` beside
``Img`` (the original), or a folder in one of its own name (Kaggle's archive, unpacked), or both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentmap.errors import ImageError
from latentmap.files import read_regular
from latentmap.images.naming import base_name

_EVAL = "Eval"


@dataclass(frozen=True)
class Companion:
    """A file that was found; ``far`` tells that it may belong to other images."""

    title: str
    read: Callable[[], bytes]
    far: bool = False


def beside(place: Path, names: Sequence[str]) -> Iterator[Companion]:
    """The files called so beside a folder or an archive, and further up."""
    place = place.absolute()
    parent = place.parent
    doubled = place.name == parent.name
    folders = [(parent, False), (parent / _EVAL, False)]
    outer = parent.parent
    folders += [(outer, True)] * doubled + [(outer / _EVAL, True)]
    folders += [(outer.parent / _EVAL, True)] * doubled
    for folder, far in folders:
        for name in names:
            if (folder / name).is_file():
                read = functools.partial(read_regular, folder / name)
                yield Companion(str(folder / name), read, far)


def within(title: str, paths: Sequence[str], names: Sequence[str]) -> list[str]:
    """The paths of files called so in a folder or archive, the first name and least depth first.

    Raises:
        ImageError: two of one name lie at the same depth, so that neither goes before the other.
    """
    found = []
    for name in names:
        same = sorted(path for path in paths if base_name(path) == name)
        same.sort(key=_depth)
        if len(same) > 1 and _depth(same[0]) == _depth(same[1]):
            raise ImageError(
                f"{title} holds {', '.join(same)}: leave one of them, or give the folder of one"
            )
        found.extend(same[:1])
    return found


def _depth(path: str) -> int:
    return path.count("/")
