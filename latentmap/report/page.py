"""A report as one HTML page that needs nothing else: no file beside it and no network.

The templates are in ``templates/``. The page's policy allows its own style and script, by their
digests, and pictures inside it, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from latentmap.printing import printable
from latentmap.report import charts
from latentmap.report.cells import cell_texts, decimals_of, is_number, number_in
from latentmap.report.colours import level_of, level_styles
from latentmap.report.drawing import FILM, HEIGHT, WIDTH, draw_film, draw_plane
from latentmap.report.formats import to_csv, to_latex, to_markdown
from latentmap.report.page_pictures import picture_id, pictures_of
from latentmap.report.parts import Block, Report, Row, Section, Table
from latentmap.report.pictures import EmbeddedImage, ImageRow, ImageRows
from latentmap.report.words import shown_number, titled

_STYLES = ("page.css", "images.css", "tables.css", "print.css")
_SCRIPTS = ("page.js", "tables.js", "enlarging.js")
_SMALL = 48  # Images of fewer pixels keep their edges when they are enlarged.
_LONGEST = 16  # Images in a line.
_MOST_LISTED = 12  # Of a list in a record.
_NOTHING: tuple[object, ...] = (None, [], ())  # Of this a record says nothing.


def render(report: Report, *, beside: Report | None = None) -> str:
    """The page of a report, as HTML. The pictures of the report ``beside`` are in it too, unseen.

    Example:
        >>> "<h1>Two spaces</h1>" in render(Report("Two spaces"))
        True
    """
    sections = _told_apart(report.sections)
    pictures = pictures_of([*report.sections, *(() if beside is None else beside.sections)])
    style = "\n".join([*map(_template, _STYLES), level_styles(), ""])
    script = "\n".join(map(_template, _SCRIPTS))
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=report.title,
            sections=sections,
            style=Markup(style),
            script=Markup(script),
            style_digest=_digest(style),
            script_digest=_digest(script),
            groups_of=_groups_of,
            records=_records(sections),
            chosen=_chosen(sections),
            pictures={uri: (picture_id(uri), image) for uri, image in pictures.items()},
        )
    )


def as_html(blocks: Sequence[Block]) -> str:
    """Blocks as a piece of HTML without style or script, for a notebook.

    The rows of tables lead nowhere: what their links name is on a page alone.

    Example:
        >>> "<table" in as_html([Table("Nothing", [], [])])
        True
    """
    digest = hashlib.sha256(repr(blocks).encode(errors="backslashreplace")).hexdigest()
    alone = [_without_links(block) if isinstance(block, Table) else block for block in blocks]
    return _environment().get_template("piece.html").render(blocks=alone, id=digest[:12])


def _without_links(table: Table) -> Table:
    return replace(table, rows=[Row(row.cells) for row in table.rows])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("latentmap.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"level": level_of, "number": shown_number, "record": _record_lines}
    environment.globals |= {
        "cell_texts": cell_texts,
        "charts": charts,
        "draw_film": draw_film,
        "draw_plane": draw_plane,
        "film_size": FILM,
        "formats": (("CSV", to_csv), ("LaTeX", to_latex), ("Markdown", to_markdown)),
        "plane_size": (WIDTH, HEIGHT),
        "number_in": number_in,
        "kinds_of": _kinds_of,
        "is_small": _is_small,
        "cells_of": _cells_of,
        "is_long": _is_long,
    }
    return environment


def _shown(value: object) -> object:
    """What stands in the page for a value: of a text, which may be somebody else's, nothing turns
    the direction of the page or is not seen; its lines are lines of the page's source.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(printable, value.split("\n")))


def _told_apart(sections: Sequence[Section]) -> list[Section]:
    """Sections of one title, such as maps that differ in the seed alone, get numbers."""
    seen = Counter[str]()
    result = []
    for section in sections:
        seen[section.title] += 1
        number = seen[section.title]
        title = section.title if number == 1 else f"{section.title} ({number})"
        result.append(replace(section, title=title))
    return result


def _template(name: str) -> str:
    return (resources.files("latentmap.report") / "templates" / name).read_text("utf-8")


def _digest(text: str) -> str:
    """How a policy names the text of a style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _groups_of(blocks: Sequence[Block]) -> Iterator[tuple[bool, list[Block]]]:
    """Blocks that follow each other, tables alone and figures together, and which of both it is."""
    for tables, group in groupby(blocks, key=lambda block: isinstance(block, Table)):
        yield tables, list(group)


def _kinds_of(table: Table) -> list[tuple[bool, int]]:
    """Of each column, whether it holds numbers, and their decimals."""
    return [(is_number(table, one), decimals_of(table, one)) for one in range(len(table.columns))]


def _is_small(row: ImageRow) -> bool:
    return any(image.height < _SMALL for image in row.images)


def _is_long(rows: ImageRows) -> bool:
    """Whether a row goes on in a next line."""
    return any(sum(image.count for image in row.images) > _LONGEST for row in rows.rows)


def _cells_of(row: ImageRow) -> list[tuple[EmbeddedImage, list[tuple[int, str]]]]:
    """The pictures of a row, of each the left edges of its images in it, and their captions."""
    captions = iter(row.captions)
    return [
        (
            image,
            [
                (number * (image.width // image.count), next(captions, ""))
                for number in range(image.count)
            ],
        )
        for image in row.images
    ]


def _records(sections: Sequence[Section]) -> list[tuple[list[Section], Mapping[str, Any]]]:
    """What made the sections, each record once with all sections that it made."""
    records: dict[str, tuple[list[Section], Mapping[str, Any]]] = {}
    for section in filter(lambda one: one.record, sections):
        same = json.dumps(section.record, sort_keys=True, default=str)
        records.setdefault(same, ([], section.record))[0].append(section)
    return list(records.values())


def _chosen(sections: Sequence[Section]) -> list[str]:
    """Which images the sections are of, in words, each choice once."""
    words = [titled("", section.record).removeprefix(": ") for section in sections]
    return list(dict.fromkeys(filter(None, words)))


def _record_lines(record: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What a record says, by name, in lines; what it has no value for is left out."""
    lines = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            shown = [f"{key}: {_text(part)}" for key, part in value.items() if part not in _NOTHING]
        else:
            shown = [] if value in _NOTHING else [_text(value)]
        if shown:
            lines.append((name.replace("_", " "), shown))
    return lines


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        if len(value) > _MOST_LISTED:
            return f"{len(value)} entries, in report.json"
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
