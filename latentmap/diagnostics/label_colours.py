"""Labels as colours: which group an image is of, what it is called, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.images.naming import natural_key
from latentmap.printing import printable
from latentmap.report.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

# Okabe and Ito's colours, which people tell apart who see few; black comes last. More labels have
# them again.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, "#f0e442", GREY, "#8b5a2b", BLACK)
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
