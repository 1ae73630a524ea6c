"""A report as one HTML page that needs nothing else: no file beside it and no network.

The templates are in ``templates/``. The page's policy allows its own style and script, by their
digests, and pictures inside it, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import groupby

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
from latentmap.report.records import made_by, record_lines
from latentmap.report.words import shown_number, untitled

_STYLES = ("theme.css", "page.css", "images.css", "tables.css", "print.css")
_SCRIPTS = ("page.js", "tables.js", "enlarging.js")
_SMALL = 48  # Images of fewer pixels keep their edges when they are enlarged.
_LONGEST = 16  # Images in a line.


def render(report: Report, *, beside: Report | None = None) -> str:
    """The page of a report, as HTML. The pictures of the report ``beside`` are in it too, unseen.

    Example:
        >>> "<h1>Two spaces</h1>" in render(Report("Two spaces"))
        True
    """
    headed = _headed(report.sections)
    pictures = pictures_of([*report.sections, *(() if beside is None else beside.sections)])
    style = "\n".join([*map(_template, _STYLES), level_styles(), ""])
    script = "\n".join(map(_template, _SCRIPTS))
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=report.title,
            heading=_heading(report.title, headed),
            sections=headed,
            style=Markup(style),
            script=Markup(script),
            style_digest=_digest(style),
            script_digest=_digest(script),
            groups_of=_groups_of,
            records=made_by(report.sections),
            entries={one.section.id: one.entry for one in headed},
            chosen=_chosen(headed),
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
    environment.filters |= {"level": level_of, "number": shown_number, "record": record_lines}
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
        "is_paired": _is_paired,
    }
    return environment


def _shown(value: object) -> object:
    """What stands in the page for a value: of a text, which may be somebody else's, nothing turns
    the direction of the page or is not seen; its lines are lines of the page's source.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(printable, value.split("\n")))


@dataclass(frozen=True)
class _Headed:
    """A section with its ``title``, without the ``images`` that it is of, in words, and what the
    contents call it.
    """

    section: Section
    title: str
    images: str
    entry: str


def _headed(sections: Sequence[Section]) -> list[_Headed]:
    """Sections of one title, such as maps that differ in the seed alone, get numbers; the contents
    call by their images those that are told apart by them.
    """
    plain = [untitled(one.title, one.record) for one in sections]
    titles = Counter(title for title, _ in plain)
    apart = Counter(title for title, _ in set(plain))
    seen = Counter[str]()
    result = []
    for section, (title, images) in zip(sections, plain, strict=True):
        entry = section.title if titles[title] > 1 and apart[title] > 1 else title
        seen[entry] += 1
        number = f" ({seen[entry]})" if seen[entry] > 1 else ""
        result.append(_Headed(section, title + number, images, entry + number))
    return result


def _heading(title: str, sections: Sequence[_Headed]) -> str:
    """The title of a report, without the images of a section, which are said beside it."""
    for one in sections:
        if one.images and title.endswith(f": {one.images}"):
            return title.removesuffix(f": {one.images}")
    return title


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


def _is_paired(rows: ImageRows) -> bool:
    """Whether rows have several pictures side by side, which a narrow window has no room for."""
    return any(len(row.images) > 1 for row in rows.rows)


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


def _chosen(sections: Sequence[_Headed]) -> str:
    """Which images all sections are of, in words; empty where they are not of the same."""
    words = {one.images for one in sections}
    return words.pop() if len(words) == 1 else ""
