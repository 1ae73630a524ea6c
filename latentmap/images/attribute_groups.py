"""Images cut into named groups by what is known of them: with a hat and without, young men, thirds.

Shapes: ``n`` images in ``k`` groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.attribute_values import LABELS, Attribute

MOST_GROUPS = 50  # Of one cut: more have no images each, and nobody reads them.
# So many different whole numbers are values of their own; others are cut into thirds.
_VALUES = 10
# Classes that say whether something is so, in the order in which they are sorted.
_NO_YES = {("-1", "1"), ("0", "1"), ("-1.0", "1.0"), ("0.0", "1.0")} | {
    (word(no), word(yes))
    for no, yes in (("no", "yes"), ("false", "true"))
    for word in (str.lower, str.title, str.upper)
}


@dataclass(frozen=True, eq=False)
class ImageGroups:
    """Some images in groups: ``by`` says by what, ``names`` are those of the ``k`` groups, of which
    each has images, and ``number`` ``(n,)`` is that of the group of each image; -1 where what tells
    it is not known.
    """

    by: str
    names: tuple[str, ...]
    number: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which images are in a group, booleans ``(n,)``."""
        known: np.ndarray = self.number >= 0
        return known

    def take(self, index: np.ndarray) -> ImageGroups:
        """The same of the images at ``index``; groups that have none of these are left out."""
        return _without_empty(replace(self, number=self.number[index]))


def cut_by(attributes: Sequence[Attribute], ids: np.ndarray) -> ImageGroups:
    """Groups of images with some ``ids`` ``(n,)``, by one attribute or the crossing of several.

    Classes are groups, and so are up to ten different whole numbers; of other numbers there are
    three, each with a third of the images. What is so or is not, 1 or -1, is called by the
    attribute: ``Hat`` and ``not Hat``.

    Raises:
        ImageError: there would be more than 50 groups.

    Example:
        >>> ids = np.array(["a", "b", "c", "d"])
        >>> male = Attribute.of_classes("Male", ids, np.array(["1", "-1", "1", ""]))
        >>> hair = Attribute.of_classes("hair", ids, np.array(["red", "red", "brown", "red"]))
        >>> found = cut_by([male, hair], ids)
        >>> found.by, found.names, found.number.tolist()
        ('Male,hair', ('Male, hair brown', 'Male, hair red', 'not Male, hair red'), [1, 2, 0, -1])
    """
    parts = [_groups_of(one, ids) for one in attributes]
    by = ",".join(one.by for one in parts)
    names = tuple(map(", ".join, itertools.product(*(one.names for one in parts))))
    number = np.zeros(len(ids), np.int64)
    for one in parts:
        number = number * len(one.names) + one.number
    number[~np.logical_and.reduce([one.known for one in parts])] = -1
    found = _without_empty(ImageGroups(by, names, number))
    _require_few(by, len(found.names))
    return found


def _groups_of(attribute: Attribute, ids: np.ndarray) -> ImageGroups:
    """The groups by one attribute."""
    values, name = attribute.of(ids), attribute.name
    known = np.isfinite(values)
    if not attribute.classes:
        different = np.unique(values[known])
        if len(different) > _VALUES or (different != np.round(different)).any():
            return _thirds(name, values)
        words = [f"{number:g}" for number in different]
        number = np.searchsorted(different, values)
    else:
        words = list(attribute.classes)
        number = np.where(known, values, 0).astype(np.int64)
    # A label says what is shown, even where it is 0 or 1.
    if attribute.classes in _NO_YES and name != LABELS:
        return ImageGroups(name, (name, f"not {name}"), np.where(known, 1 - number, -1))
    _require_few(name, len(words))
    return ImageGroups(name, tuple(f"{name} {w}" for w in words), np.where(known, number, -1))


def _thirds(name: str, values: np.ndarray) -> ImageGroups:
    """Three groups of as many images each, as far as equal numbers stay together."""
    known = np.isfinite(values)
    lower, upper = np.quantile(values[known], [1 / 3, 2 / 3])
    number = np.where(known, (values > lower).astype(np.int64) + (values > upper), -1)
    names = (
        f"{name} low (to {lower:.3g})",
        f"{name} middle ({lower:.3g} to {upper:.3g})",
        f"{name} high (from {upper:.3g})",
    )
    return ImageGroups(name, names, number)


def _without_empty(groups: ImageGroups) -> ImageGroups:
    present, number = np.unique(groups.number[groups.known], return_inverse=True)
    numbers = np.full(len(groups.number), -1)
    numbers[groups.known] = number
    return replace(groups, names=tuple(groups.names[i] for i in present), number=numbers)


def _require_few(by: str, count: int) -> None:
    if count > MOST_GROUPS:
        raise ImageError(
            f"{by} makes {count} groups of the images, but {MOST_GROUPS} are the most: take an "
            "attribute with fewer values"
        )
