"""All that the page can ask for, by name. What a new view asks for is added to the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from latentmap.explorer.answers import Action, Answer, Asked
from latentmap.explorer.colouring import colour_points
from latentmap.explorer.line_view import line, line_file, line_to_report
from latentmap.explorer.move_view import move
from latentmap.explorer.neighbours import find_near
from latentmap.explorer.own_view import own, upload, uploaded
from latentmap.explorer.pictures import list_images, show_images
from latentmap.explorer.points_view import list_colours, place_points, show_point
from latentmap.explorer.sectors_view import list_sector, measure_typical, show_member
from latentmap.explorer.spaces import describe, describe_trainings
from latentmap.explorer.trace_view import draw_curves, show_moment
from latentmap.explorer.trainings import OnlyTrainings

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
    "sector": list_sector,
    "member": show_member,
    "typical": measure_typical,
    "line": line,
    "line-file": line_file,
    "line-to-report": line_to_report,
    "upload": upload,
    "own": own,
    "uploaded": uploaded,
    "moment": show_moment,
    "curves": draw_curves,
}
OF_TRAININGS: Mapping[str, Callable[[OnlyTrainings, Asked], Answer]] = {
    "describe": describe_trainings,
    "moment": show_moment,
    "curves": draw_curves,
}
