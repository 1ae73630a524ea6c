"""Labels as colours: which group an image is of, what it is called, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.images.naming import natural_key
from latentmap.printing import printable

# Okabe and Ito's colours, which people tell apart who see few; black comes last. More labels have
# them again.
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#7f7f7f",
    "#8b5a2b",
    "#000000",
)
_NAMED = 20  # Labels of a legend, at most.
_LONGEST = 24  # Letters of one.


def group_by_label(labels: Sequence[str] | np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The different labels in natural order, and the number of each image's label among them
    ``(m,)``.
    """
    names, groups = np.unique(np.asarray(labels, np.str_), return_inverse=True)
    order = sorted(range(len(names)), key=lambda one: natural_key(str(names[one])))
    places = np.empty(len(names), np.int64)
    places[order] = np.arange(len(names))
    return tuple(str(names[one]) for one in order), places[groups.reshape(-1)]


def colour_of(group: int) -> str:
    """The colour of a group, as ``#rrggbb``."""
    return COLOURS[group % len(COLOURS)]


def legend_of(names: Sequence[str]) -> list[str]:
    """What a legend says of groups with some names, the first first: as many as can be read, of
    those of many letters the first; nothing where no name is known.
    """
    if not any(names):
        return []
    shown = [printable(name) for name in names[:_NAMED]]
    return [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..." for name in shown]
