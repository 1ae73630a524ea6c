"""Which images are of the groups and sectors that a report calls a model blind to, as far as it is
known.
"""

from __future__ import annotations

from collections.abc import Iterable

from latentmap.errors import ImageError
from latentmap.explorer.explored import Explored
from latentmap.expressiveness.reported import ReportedBlind
from latentmap.images.asked_groups import AskedGroups
from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.attribute_values import LABELS


def blind_groups_by_image(explored: Explored) -> dict[str, list[ReportedBlind]]:
    """The groups of each image by its id, of those that are cut by attributes or labels that are
    known here, and the sectors of the support set that is shown; what is told by pixels would take
    a look at all images.
    """
    found: dict[str, list[ReportedBlind]] = {}
    groups = _known_groups(explored, {by for one in explored.reported for by in one.by})
    for one in explored.reported:
        for cut in groups:
            if cut.by in one.by and one.group in cut.names:
                inside = cut.number == cut.names.index(one.group)
                for name in explored.images.ids[inside].tolist():
                    found.setdefault(name, []).append(one)
        if is_of_support(explored, one):
            leading = explored.look.leading
            inside = leading.find(leading.signs(one.signs, None)).rows
            for name in explored.codes.codes.ids[inside].tolist():
                found.setdefault(name, []).append(one)
    return found


def is_of_support(explored: Explored, one: ReportedBlind) -> bool:
    """Whether that is a sector of the support set that is shown, so that its signs say the same."""
    return explored.support is not None and one.sectors == explored.support.sectors_digest != ""


def _known_groups(explored: Explored, asked: Iterable[str]) -> list[ImageGroups]:
    table = None if explored.attributes is None else explored.attributes.table
    known = {*(() if table is None else table.columns)}
    known |= {LABELS} if explored.images.labels is not None else set()
    found = []
    for by in sorted(asked):
        crossing = tuple(by.split(","))
        if known.issuperset(crossing):
            try:
                ((one,),) = AskedGroups((crossing,), table).cut(explored.images)
            except ImageError:
                continue  # The table knows none of these images, or too many values.
            found.append(one)
    return found
