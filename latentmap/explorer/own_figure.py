"""The view "Your own image" as a figure: the image, and what every model makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.explorer.drawn import Drawn
from latentmap.explorer.explored import Explored
from latentmap.explorer.own_view import look_at
from latentmap.explorer.uploads import as_image
from latentmap.report import GridRow, ImageGrid
from latentmap.report.colours import BLACK

_ROLES = {"source": "its own code", "mapped": "mapped", "own": "its own code"}
_VERDICTS = {
    True: "outside, so that the map guesses",
    False: "inside",
    None: "too few to say whether that is outside",
}


def figure_of_own(explored: Explored, fields: Mapping[str, str]) -> Drawn:
    """The image of one's own that the ``fields`` of a state name, by default the first that is
    there from the start, over what every model makes of it, with the error of each.

    Raises:
        ExplorerError: there is no such image.
    """
    name = fields.get("upload") or next(iter(explored.own_names), "")
    found = explored.uploads.require(name)
    shown, told = look_at(explored, found)
    rows = [GridRow(f"image, as {explored.source.name} sees it", as_image(found.pixels[0])[None])]
    for one, known in zip(shown, told["pictures"], strict=True):
        guess = ", a guess" if one.outside else ""
        label = f"{one.model}, {_ROLES[one.role]}{guess}"
        rows.append(GridRow(label, one.image[None], [(f"mse {known['error']:.3g}", BLACK)]))
    file = explored.own_names.get(name, "an image")
    names = ", ".join(model.name for model in explored.models)
    without = [f"{model} has no encoder" for model in told["without"]]
    words = "; ".join([f"{file} in {names}", *map(_in_words, told["typicality"]), *without])
    return Drawn(ImageGrid(rows), words, told)


def _in_words(found: Mapping[str, Any]) -> str:
    return (
        f"to {found['model']}: {found['distance']:.2f} from the mean of the codes that the map was "
        f"fitted on, {100 * found['nearer']:.1f} % of which are nearer "
        f"({_VERDICTS[found['outside']]})"
    )
