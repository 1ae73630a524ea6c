"""Choosing among images: by lists of names, by attributes, by split, and the first of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.attributes import select_where
from latentmap.images.choice import Unlisted
from latentmap.images.listed import Listed, read_listed
from latentmap.images.naming import find_rows
from latentmap.images.splits import Split, read_groups
from latentmap.images.tables import read_table
from latentmap.printing import shortened

if TYPE_CHECKING:
    from latentmap.images.source import ImageSource

Missing = Literal["stop", "skip"]
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Condition:
    """The images that a table ``title`` has by these ``names``, and whether each fulfils the
    expression ``where``, as booleans ``fulfilled``.
    """

    title: str
    names: list[str]
    where: str
    fulfilled: np.ndarray


def read_condition(attributes: str | Path | None, where: str | None) -> Condition | None:
    """What a table says of an expression, which is checked so before any image is looked for; None
    without both.

    Raises:
        ImageError: one is given without the other, the table cannot be read, or the expression is
            none of its columns.
    """
    if (attributes is None) != (where is None):
        raise ImageError("attributes and where belong together: a table, and what is asked of it")
    if attributes is None or where is None:
        return None
    table = read_table(Path(attributes))
    return Condition(table.title, table.names, where.strip(), select_where(where, table.columns))


def chosen_images(
    images: ImageSource,
    *,
    ids: str | Path | None = None,
    exclude: str | Path | None = None,
    condition: Condition | None = None,
    group_by: str | Path | None = None,
    split: Split | None = None,
    limit: int | None = None,
    missing: Missing = "stop",
    notify: Callable[[str], None] | None = None,
) -> ImageSource:
    """Those of some images that are chosen, as ``open_images`` chooses them.

    Raises:
        ImageError: nothing is left of them, or a table or list does not fit them.
    """
    chooser = _Chooser(missing, notify or _nobody)
    if ids is not None:
        images = chooser.listed(images, ids)
    if exclude is not None:
        images = chooser.not_listed(images, exclude)
    if condition is not None:
        images = chooser.fulfilling(images, condition)
    if group_by is not None:
        images = chooser.grouped(images, Path(group_by))
    if split is not None:
        images = images.split(split)
    if limit is not None:
        images = images.first(limit)
    return images


@dataclass(frozen=True)
class _Chooser:
    """How images are chosen, and who is told of those that a table or list does not have."""

    missing: Missing
    notify: Callable[[str], None]

    def listed(self, images: ImageSource, path: str | Path) -> ImageSource:
        """Those that a list names."""
        found = read_listed(images.ids, path)
        if found.told and self.missing == "stop":
            raise ImageError(f"{found.told}: correct them, or pass over them with --missing skip")
        self._tell(found)
        if not found.chosen.any():
            raise ImageError(
                f"{path} names none of the {len(images)} images of {images.path} ({images.ids[0]} "
                "is the first): give a list of these"
            )
        choice = replace(images.choice, ids=found.title)
        return images.subset(np.flatnonzero(found.chosen), choice)

    def not_listed(self, images: ImageSource, path: str | Path) -> ImageSource:
        """Those that a list does not name."""
        found = read_listed(images.ids, path)
        self._tell(found)
        if found.chosen.all():
            raise ImageError(
                f"{path} excludes all {len(images)} images of {images.path}: nothing is left to "
                "choose from"
            )
        choice = replace(images.choice, exclude=found.title)
        return images.subset(np.flatnonzero(~found.chosen), choice)

    def _tell(self, found: Listed) -> None:
        if found.told:
            self.notify(found.told)

    def fulfilling(self, images: ImageSource, condition: Condition) -> ImageSource:
        """Those that fulfil a condition."""
        images, rows = self._known(images, condition.names, condition.title)
        chosen = np.flatnonzero(condition.fulfilled[rows])
        if not len(chosen):
            raise ImageError(f"no image of {images.path} fulfils {condition.where!r}: ask for less")
        return images.subset(chosen, replace(images.choice, where=condition.where))

    def grouped(self, images: ImageSource, path: Path) -> ImageSource:
        """Those that have a group, with it."""
        table, groups = read_groups(path)
        images, rows = self._known(images, table.names, table.title)
        return images.grouped(groups[rows])

    def _known(
        self, images: ImageSource, names: list[str], table: str
    ) -> tuple[ImageSource, np.ndarray]:
        """The images that a table has, and their rows in it."""
        rows = find_rows(images.ids, names, table)
        absent = images.ids[rows < 0]
        if not len(absent):
            return images, rows
        if len(absent) == len(images):
            first = shortened(str(images.ids[0]))
            raise ImageError(
                f"none of the {len(images)} images of {images.path} ({first} is the first) "
                f"is in {table}: give the table of these images"
            )
        if self.missing == "stop":
            examples = ", ".join(repr(shortened(str(name))) for name in absent[:_NAMED])
            raise ImageError(
                f"{len(absent):,} of the {len(images):,} images of {images.path} are not in "
                f"{table}, such as {examples}: add them, or leave them out with --missing skip"
            )
        unlisted = Unlisted(Path(table).name, len(absent), len(images))
        self.notify(str(unlisted))
        choice = images.choice.without(unlisted)
        return images.subset(np.flatnonzero(rows >= 0), choice), rows[rows >= 0]


def _nobody(line: str) -> None:
    """Hears of nothing: what was left out is in the choice."""
