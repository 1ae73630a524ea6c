"""A line as a section of a report."""

from __future__ import annotations

from collections.abc import Sequence

from latentmap.explorer.explored import Explored
from latentmap.explorer.lines import Line, LineRow, ends_of
from latentmap.explorer.own_files import words_of_images
from latentmap.explorer.places import Place, read_place
from latentmap.report import ImageRow, ImageRows, Section, section_id
from latentmap.report.embedding import image_strip


def line_section(explored: Explored, line: Line, rows: Sequence[LineRow], state: str) -> Section:
    """The rows of a line, with the command that draws them from its ``state``."""
    source = explored.source
    ends = ends_of(explored, line)
    targets = [target.model.name for target in explored.targets]
    places = [read_place(end) for end in ends]
    ids = [place.start.upload for place in places if place.start.kind == "upload"]
    own = words_of_images(explored.own_names, ids)
    words = [explored.command, *([own] if own else []), f"--at '{state}' --figure line.png"]
    command = {"command": " ".join(words)} if explored.command else {}
    record = {
        **command,
        "a": ends[0],
        "b": ends[1],
        "steps": line.steps,
        "fingerprints": {model.name: model.fingerprint for model in explored.models},
    }
    id = section_id(f"line {source.name} {' '.join(targets)}", record)
    first, last = map(_in_words, places)
    way = f"from {first} to {last}"
    figure = ImageRows(
        f"{id}-images",
        f"{line.steps} codes {way}",
        [ImageRow(row.words, [image_strip(row.images, f"{row.words}, {way}")]) for row in rows],
        "" if not targets else "The map carries the codes of the source to each target.",
    )
    text = f"Codes of {source.name} at equal distances on the line {way}, and what they show."
    title = f"From A to B: {' and '.join([source.name, *targets])}"
    return Section(id, title, [text], [figure], record)


def _in_words(place: Place) -> str:
    start = place.start
    said = {
        "image": f"image {start.image}",
        "upload": "an image of one's own",
        "random": f"random code {start.seed}",
        "mean": "the mean code",
    }[start.kind]
    return f"{said}, moved" if place.moves else said
