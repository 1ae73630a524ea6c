"""Sets of files that hold images: ``faces-{000..099}.tar``, ``'faces-*.parquet'``.

An image of a set is called as its file, without the suffix, and what it is called in that:
``faces-007/0001.jpg``. Files are in natural order of their names.
"""

from __future__ import annotations

import glob
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latentmap.errors import ImageError
from latentmap.files.file_sets import MOST_FILES, has_range, numbered_names
from latentmap.images.containers import Container
from latentmap.images.naming import natural_key
from latentmap.images.values import ValueRange
from latentmap.printing import shortened


@dataclass(frozen=True)
class SetFile:
    """A file of a set, and what its images are called by: nothing where it is alone."""

    path: Path
    prefix: str = ""

    def named(self, name: str) -> str:
        """The id of the image that is called so in the file."""
        return f"{self.prefix}/{name}" if self.prefix else name


@dataclass(frozen=True)
class Span:
    """Images ``start`` to ``stop`` of the file of some number in a set; to its end without one.

    ``count`` is how many there were when they were counted.
    """

    file: int
    start: int = 0
    stop: int | None = None
    count: int | None = None


class FilesOfImages(ABC):
    """Files of one kind, and what they hold."""

    def __init__(
        self, files: Sequence[SetFile], title: str, value_range: ValueRange | None = None
    ) -> None:
        self.files, self.title, self.value_range = files, title, value_range

    @abstractmethod
    def count(self, number: int) -> int:
        """How many images the file of a number holds.

        Raises:
            ImageError: it cannot be read.
        """

    @abstractmethod
    def container(self, spans: Sequence[Span]) -> Container:
        """The images of some spans, which are in order.

        Raises:
            ImageError: a file cannot be read, or holds another number of images than was counted.
        """


def is_set(path: Path) -> bool:
    """Whether a path is the name of several files, by what stands in it."""
    return has_range(str(path)) or glob.has_magic(str(path))


def files_of_set(path: Path) -> list[SetFile]:
    """The files that a name with ranges or wildcards stands for; whether there are those of a range
    is seen when they are read.

    Raises:
        ImageError: there are none, too many, or two that would give their images one name.
    """
    found: list[Path] = []
    for name in numbered_names(str(path), ImageError):
        if glob.has_magic(name):
            # As in a shell, hidden files are none of them, which pathlib's own would give.
            found += map(Path, glob.iglob(name))  # noqa: PTH207
        else:
            found.append(Path(name))
        if len(found) > MOST_FILES:
            raise ImageError(f"{path} names more than {MOST_FILES:,} files: give fewer at a time")
    if not found:
        raise ImageError(f"no file is called like {path}: give the names of files that there are")
    begin = _beginning_of(path)
    named: dict[str, Path] = {}
    for one in found:
        prefix = one.relative_to(begin).with_suffix("").as_posix()
        if named.setdefault(prefix, one) != one:
            raise ImageError(
                f"{path} names {named[prefix]} and {one}, whose images would have the same names: "
                "give one of them"
            )
    ordered = sorted(named, key=lambda prefix: natural_key(f"{prefix}/"))
    return [SetFile(named[prefix], prefix) for prefix in ordered]


def suffix_of_set(files: Sequence[SetFile], title: str) -> str:
    """What the names of all files of a set end with, in small letters.

    Raises:
        ImageError: they end differently.
    """
    suffixes = {file.path.suffix.lower(): file.path for file in reversed(files)}
    if len(suffixes) > 1:
        one, other = list(suffixes.values())[:2]
        raise ImageError(
            f"{title} names files of several kinds, such as {shortened(one.name)} and "
            f"{shortened(other.name)}: give those of one kind"
        )
    return next(iter(suffixes))


def require_count(file: SetFile, span: Span, count: int) -> None:
    """Refuses a file that holds another number of images than was counted.

    Raises:
        ImageError: so it is.
    """
    if span.count is not None and span.count != count:
        raise ImageError(
            f"{file.path} holds {count} images, and held {span.count} when they were counted: it "
            "was changed meanwhile; begin again (--plan)"
        )


def _beginning_of(path: Path) -> Path:
    """The folder in which the first part lies that stands for several."""
    parts = path.parts
    first = next(k for k, part in enumerate(parts) if is_set(Path(part)))
    return Path(*parts[:first])
