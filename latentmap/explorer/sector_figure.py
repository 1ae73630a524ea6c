"""The view "Sectors" as a figure: some members, and what models make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.errors import ExplorerError
from latentmap.explorer.explored import Explored
from latentmap.explorer.making import see
from latentmap.explorer.sectors import Found, LeadingSectors, Signs
from latentmap.report import GridRow, ImageGrid

_MEMBERS = 8
_HOW = {"source": "", "own": "", "mapped": ", mapped"}


def signs_of_state(leading: LeadingSectors, fields: Mapping[str, str]) -> Signs:
    """The signs and the threshold that a state says.

    Raises:
        ExplorerError: they are none.
    """
    threshold = fields.get("threshold", "")
    try:
        number = float(threshold) if threshold else None
    except ValueError as error:
        raise ExplorerError(f"a threshold is a number, not {threshold[:40]!r}") from error
    return leading.signs(fields.get("signs", ""), number)


def figure_of_sector(
    explored: Explored, fields: Mapping[str, str]
) -> tuple[ImageGrid, Found, list[dict[str, Any]]]:
    """The member that the ``fields`` of a state name, or else the eight members that come first
    there, over what every model makes of each; what is found; and what is known of each row (JSON).

    Raises:
        ExplorerError: there is no such image, no member, or none that can be read.
    """
    leading = explored.look.leading
    found = leading.find(signs_of_state(leading, fields))
    names = _names(explored, found, fields)
    makers = explored.look.typical.makers
    views = [explored.views[0], *(maker.model.view for maker in makers)]
    names, (seen, *shown) = see(explored, views, names)
    if not names:
        raise ExplorerError("none of these images can be read: choose other signs")
    rows = [GridRow("image", seen)]
    told: list[dict[str, Any]] = [{"images": names}]
    for maker, images in zip(makers, shown, strict=True):
        made = maker.make(names, images)
        if made.places:
            errors = made.mse.tolist()
            label = f"by {maker.model.name}{_HOW[maker.role]}"
            texts = [(f"mse {error:.3g}", "black") for error in errors]
            rows.append(GridRow(label, made.images, texts))
            of = [names[place] for place in made.places]
            told.append(
                {"model": maker.model.name, "role": maker.role, "images": of, "mse": errors}
            )
    return ImageGrid(rows), found, told


def _names(explored: Explored, found: Found, fields: Mapping[str, str]) -> list[str]:
    if "member" in fields:
        return [fields["member"]]
    start = fields.get("from", "0")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0
    rows = found.rows[first : first + _MEMBERS]
    if not len(rows):
        raise ExplorerError("no image has these signs: choose others")
    return [str(name) for name in explored.codes.codes.ids[rows]]
