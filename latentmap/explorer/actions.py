"""All that the page can ask for, by name. What a new view asks for is added to the table."""

from __future__ import annotations

from collections.abc import Mapping

from latentmap.explorer.answers import Action
from latentmap.explorer.colouring import colour_points
from latentmap.explorer.move_view import move
from latentmap.explorer.neighbours import find_near
from latentmap.explorer.pictures import list_images, show_images
from latentmap.explorer.points_view import list_colours, place_points, show_point
from latentmap.explorer.spaces import describe

ACTIONS: Mapping[str, Action] = {
    "describe": describe,
    "images": list_images,
    "show": show_images,
    "move": move,
    "colours": list_colours,
    "plane": place_points,
    "colour": colour_points,
    "point": show_point,
    "near": find_near,
}
