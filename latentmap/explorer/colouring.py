"""What points are coloured by: what is known of their images, where they lie, and what is lost.

Shapes: ``m`` points; values ``(m,)`` are numbers of groups, or numbers, and NaN where not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.diagnostics.label_colours import colour_of, group_by_label
from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, text_in, whole_in
from latentmap.explorer.errors_of_points import code_errors, image_errors
from latentmap.explorer.explored import Explored
from latentmap.explorer.sectors import leading_variables
from latentmap.images.attribute_values import Attribute
from latentmap.images.finding import positions_of
from latentmap.printing import printable, shortened
from latentmap.support.sectors import sector_numbers, signs_of

_LEADING = 3  # Variables whose signs are sectors: more have more sectors than colours.
_MOST_GROUPS = 1000
_FITTED = ("not fitted on", "fitted on")


@dataclass(frozen=True, eq=False)
class Values:
    """Values of points from one on; of groups with some ``names``, else numbers; and a ``note`` on
    all of them.
    """

    values: np.ndarray
    names: Sequence[str] | None = None
    note: str = ""


@dataclass(frozen=True)
class Colouring:
    """Colourings of one kind: the names and titles of those that are ``offered``, and the
    ``values`` of the points from one on by the rest of such a name.
    """

    offered: Callable[[Explored], Iterable[tuple[str, str]]]
    values: Callable[[Explored, str, int], Values]


def colour_points(explored: Explored, asked: Asked) -> Answer:
    """What points from ``start`` on are by the colouring ``by``, up to ``stop``, ``(m,)``; the
    names and colours of groups, where they are such; and a note.
    """
    name = text_in(asked, "by")
    start = whole_in(asked, "start", most=len(explored.points) - 1)
    kind, _, rest = name.partition(" ")
    known = COLOURINGS.get(kind)
    if known is None or name not in dict(known.offered(explored)):
        raise ExplorerError(f"points are not coloured by {name[:200]!r}: choose another")
    found = known.values(explored, rest, start)
    stop = start + len(found.values)
    told: dict[str, Any] = {"stop": stop, "groups": None, "note": found.note}
    if found.names is not None:
        told["groups"] = [
            {"name": shortened(printable(one)), "colour": colour_of(number)}
            for number, one in enumerate(found.names)
        ]
    return Answer(told, arrays=[found.values])


def _label_offered(explored: Explored) -> list[tuple[str, str]]:
    return [] if explored.images.labels is None else [("label", "label")]


def _labels(explored: Explored, rest: str, start: int) -> Values:
    labels = explored.images.labels
    assert labels is not None, "offered"
    names, groups = group_by_label(labels[positions_of(explored.images, explored.points.ids)])
    _require_few("label", names)
    values = groups.astype(np.float64)
    if "" in names:  # Of what has no label nothing is known.
        values[groups == names.index("")] = np.nan
    return Values(values[start:], names)


def _attributes_offered(explored: Explored) -> list[tuple[str, str]]:
    if explored.attributes is None:
        return []
    return [(f"attribute {one}", printable(one)) for one in explored.attributes.names]


def _attributes(explored: Explored, rest: str, start: int) -> Values:
    assert explored.attributes is not None, "offered"
    rows = explored.attribute_rows
    known = np.flatnonzero(rows >= 0)
    column = explored.attributes.table.columns[rest][rows[known]]
    found = Attribute.of_column(rest, explored.points.ids[known], column)
    _require_few(rest, found.classes)
    values = np.full(len(rows), np.nan)
    values[known] = found.values
    return Values(values[start:], found.classes or None)


def _require_few(name: str, names: Sequence[str]) -> None:
    if len(names) > _MOST_GROUPS:
        raise ExplorerError(
            f"{name[:200]} has {len(names):,} values, and colours tell a few apart: choose another"
        )


def _sectors_offered(explored: Explored) -> list[tuple[str, str]]:
    leading = leading_variables(explored.ordering, explored.support)[:_LEADING]
    return [("sector", f"sector ({explored.ordering.what}s {', '.join(map(str, leading))})")]


def _sectors(explored: Explored, rest: str, start: int) -> Values:
    coordinates = explored.look.leading.coordinates[explored.points.rows[start:], :_LEADING]
    k = coordinates.shape[1]
    names = [signs_of(number, k) for number in range(1 << k)]
    return Values(sector_numbers(coordinates).astype(np.float64), names)


def _code_errors_offered(explored: Explored) -> list[tuple[str, str]]:
    return [
        (f"code-error {number}", f"error of the mapped code, {target.model.name}")
        for number, target in enumerate(explored.targets)
        if target.own is not None
    ]


def _code_errors(explored: Explored, rest: str, start: int) -> Values:
    return Values(code_errors(explored, rest, start), note=_note_on_fit(explored, rest))


def _image_errors_offered(explored: Explored) -> list[tuple[str, str]]:
    return [
        (f"image-error {number}", f"error of the relocation, {target.model.name}")
        for number, target in enumerate(explored.targets)
        if target.own is not None and target.model.can_decode and len(explored.points) > 1
    ]


def _image_errors(explored: Explored, rest: str, start: int) -> Values:
    return Values(image_errors(explored, rest, start), note=_note_on_fit(explored, rest))


def _note_on_fit(explored: Explored, rest: str) -> str:
    return explored.fitted.note(int(rest), explored.points.rows)


def _fitted_offered(explored: Explored) -> list[tuple[str, str]]:
    found = []
    for number, target in enumerate(explored.targets):
        fitted = None if target.own is None else explored.fitted.of_map(number)
        if fitted is not None and fitted.any():
            found.append((f"fitted {number}", f"images of the fit, {target.model.name}"))
    return found


def _fitted(explored: Explored, rest: str, start: int) -> Values:
    fitted = explored.fitted.of_map(int(rest))
    assert fitted is not None, "offered"
    return Values(fitted[explored.points.rows[start:]].astype(np.float64), _FITTED)


COLOURINGS: Mapping[str, Colouring] = {
    "label": Colouring(_label_offered, _labels),
    "sector": Colouring(_sectors_offered, _sectors),
    "attribute": Colouring(_attributes_offered, _attributes),
    "code-error": Colouring(_code_errors_offered, _code_errors),
    "image-error": Colouring(_image_errors_offered, _image_errors),
    "fitted": Colouring(_fitted_offered, _fitted),
}
