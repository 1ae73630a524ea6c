"""The view "Move a code": the images of a place in the source and, mapped, in every target."""

from __future__ import annotations

from latentmap.explorer.answers import Answer, Asked, text_in
from latentmap.explorer.explored import Explored
from latentmap.explorer.places import read_place
from latentmap.explorer.showing import show_place

_DIGITS = 4


def move(explored: Explored, asked: Asked) -> Answer:
    """The images of the place ``state``, and what the controls ``by`` read there."""
    place = read_place(text_in(asked, "state"))
    chosen = explored.controls_called(text_in(asked, "by", "variables"))
    code, shown = show_place(explored, place)
    return Answer(
        {
            "by": chosen.name,
            "values": [round(value, _DIGITS) for value in chosen.moving.read(code).tolist()],
            "pictures": [one.to_json() for one in shown],
        },
        [one.pixels for one in shown],
    )
