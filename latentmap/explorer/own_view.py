"""The view "Your own image": an image that is sent, in every model, and how far outside it is."""

from __future__ import annotations

import math
from typing import Any

from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, text_in
from latentmap.explorer.explored import Explored
from latentmap.explorer.places import Place, Start
from latentmap.explorer.showing import ShownCode, decode, mse_between, show_place
from latentmap.explorer.uploads import Seen, Upload, as_image, encode_upload


def upload(explored: Explored, asked: Asked) -> Answer:
    """Encodes and keeps the image that was ``seen``, and tells its id."""
    seen = asked.get("seen")
    if not isinstance(seen, Seen):
        raise ExplorerError("an image of your own is sent as a file")
    explored.uploads.keep(encode_upload(seen, explored.models))
    return Answer({"upload": seen.id})


def own(explored: Explored, asked: Asked) -> Answer:
    """The image of the id ``upload``, and what every model makes of it: its pictures, each with its
    ``error`` from the image as that model sees it, and its place among the codes of each fit.
    """
    found = explored.uploads.require(text_in(asked, "upload"))
    shown, told = look_at(explored, found)
    return Answer(told, [found.pixels[0], *(one.pixels for one in shown)])


def uploaded(explored: Explored, asked: Asked) -> Answer:
    """The image of the id ``upload``, as the source sees it."""
    found = explored.uploads.require(text_in(asked, "upload"))
    return Answer({"upload": found.id}, [found.pixels[0]])


def look_at(explored: Explored, found: Upload) -> tuple[list[ShownCode], dict[str, Any]]:
    """The pictures of an upload, and what is known of them and of its codes (JSON)."""
    shown = show_upload(explored, found)
    pictures = []
    for one in shown:
        seen = as_image(found.pixels[one.number])
        pictures.append({**one.to_json(), "error": mse_between(one.image, seen)})
    codes = zip(explored.models, found.codes, strict=True)
    return shown, {
        "upload": found.id,
        "usable": found.codes[0] is not None,
        "pictures": pictures,
        "typicality": typicality_of(explored, found),
        "without": [model.name for model, code in codes if code is None],
    }


def show_upload(explored: Explored, found: Upload) -> list[ShownCode]:
    """The pictures of an upload: by the source, and in every target mapped, and of its own code;
    of a source that does not encode the own ones alone.
    """
    if found.codes[0] is not None:
        _, shown = show_place(explored, Place(Start("upload", upload=found.id)))
        return shown
    shown = []
    for number, model in enumerate(explored.models):
        code = found.codes[number]
        if code is not None and model.can_decode:
            (image,) = decode(model, [code])
            shown.append(ShownCode("own", model.name, image, number=number))
    return shown


def typicality_of(explored: Explored, found: Upload) -> list[dict[str, Any]]:
    """How far the code of an upload is from those that each map was fitted on (JSON)."""
    code = found.codes[0]
    told = []
    for target in explored.targets:
        known = None if code is None else target.typicality(code)
        if known is not None:
            limit = known.limit if math.isfinite(known.limit) else None
            told.append(
                {
                    "model": target.model.name,
                    "distance": float(known.distances[0]),
                    "nearer": float(known.nearer[0]),
                    "limit": limit,
                    "outside": None if limit is None else bool(known.outside[0]),
                }
            )
    return told
