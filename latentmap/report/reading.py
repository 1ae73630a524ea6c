"""Reading a report again from its JSON, strictly: what is not a report is refused."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from latentmap.errors import OutputError
from latentmap.report.charts import draw_bars, draw_curve
from latentmap.report.drawing import draw_plane
from latentmap.report.page_pictures import images_in
from latentmap.report.parts import Bars, Block, Curve, HeatMap, Plane, Report, Table
from latentmap.report.pictures import EmbeddedImage, ImageRow, ImageRows

_LARGEST = 1e200
_LONGEST = 60  # Letters of what a message quotes.
_MOST_NAMES = 1000  # In a plane, where each name is kept off all others.
# Fields that reports of earlier versions lack.
_NEW = {"captions", "count", "decimals", "mark", "upright"}
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")
_MOST_PIXELS = 65_535  # On a side: the limit of JPEG.
_MOST_IMAGES = 100_000  # In a report: each is an element of the page.


def report_from_json(value: object) -> Report:
    """What ``Report.to_json`` gave.

    Raises:
        OutputError: it is something else; the message says where.
    """
    report: Report = _read(Report, value, "report")
    shown = 0
    for section in report.sections:
        for block in section.blocks:
            _require_drawable(block, f"{block.title!r} in {section.title!r}")
            shown += sum(image.count for image in images_in(block))
    if shown > _MOST_IMAGES:
        raise OutputError(f"it has {shown:,} images, more than {_MOST_IMAGES:,}")
    return report


def _require_drawable(block: Block, where: str) -> None:
    """Refuses parts that do not fit each other."""
    fits = all(map(_is_picture, images_in(block)))
    if isinstance(block, Table):
        width = len(block.columns)
        fits = all(len(row.cells) == width for row in block.rows)
        fits = fits and all(column.decimals >= 0 for column in block.columns)
        fits = fits and (len(block.rows) == 1 or not block.upright)
    elif isinstance(block, ImageRows):
        fits = fits and all(map(_is_captioned, block.rows))
    elif isinstance(block, HeatMap):
        fits = [len(block.names)] * len(block.names) == [len(row) for row in block.cells]
    elif isinstance(block, Plane):
        fits = len(block.names) == len(block.positions) <= _MOST_NAMES
        fits = fits and _drawn(draw_plane, block)
    elif isinstance(block, Bars):
        fits = _drawn(draw_bars, block)
    elif isinstance(block, Curve):
        fits = _drawn(draw_curve, block)
    if not fits:
        raise OutputError(f"the {block.kind} {where[:_LONGEST]} has parts that do not fit")


def _is_picture(image: EmbeddedImage) -> bool:
    """Whether it is one, and can be cut into its images."""
    sides = (image.width, image.height)
    fits = all(1 <= side <= _MOST_PIXELS for side in sides)
    fits = fits and image.count >= 1 and image.width % image.count == 0
    return fits and _PICTURE.fullmatch(image.uri) is not None


def _is_captioned(row: ImageRow) -> bool:
    return len(row.captions) in (0, sum(image.count for image in row.images))


def _drawn(draw: Callable[[Any], object], block: Block) -> bool:
    """Whether a chart can be drawn: its numbers may be any."""
    try:
        draw(block)
    except (ArithmeticError, AssertionError, LookupError, ValueError):
        return False
    return True


def _read(kind: Any, value: Any, where: str) -> Any:
    """``value`` as a value of the type ``kind``."""
    if get_origin(kind) in (Union, types.UnionType):
        return _read_one_of(get_args(kind), value, where)
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if get_origin(kind) is Sequence:
        (part,) = get_args(kind)
        if not isinstance(value, list):
            raise _unexpected(where, "a list", value)
        return [_read(part, one, f"{where}[{number}]") for number, one in enumerate(value)]
    if get_origin(kind) is Mapping:
        if not isinstance(value, dict):
            raise _unexpected(where, "an object", value)
        return value
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise _unexpected(where, f"one of {', '.join(map(repr, get_args(kind)))}", value)
        return value
    if kind is float and type(value) is int:
        return float(_number(value, where))
    if type(value) is not kind:
        raise _unexpected(where, kind.__name__, value)
    return _number(value, where)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    names = [one.name for one in fields(kind)]
    if not isinstance(value, dict) or set(names) != set(value) | (_NEW & set(names)):
        raise _unexpected(where, f"an object with {', '.join(names)}", value)
    hints = _hints(kind)
    return kind(
        **{name: _read(hints[name], part, f"{where}.{name}") for name, part in value.items()}
    )


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The types of the fields, which are found out once: it takes longer than reading."""
    return get_type_hints(kind)


def _read_one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    """Objects are told apart by their field ``kind``, where there are several."""
    if isinstance(value, dict):
        objects = [kind for kind in kinds if is_dataclass(kind)]
        for kind in objects:
            own = next((one.default for one in fields(kind) if one.name == "kind"), None)
            if len(objects) == 1 or own == value.get("kind"):
                return _read(kind, value, where)
    elif type(value) in kinds:
        return _number(value, where)
    elif type(value) is int and float in kinds:
        return float(_number(value, where))
    raise _unexpected(where, " or ".join(kind.__name__ for kind in kinds), value)


def _number(value: Any, where: str) -> Any:
    """The same, unless it is a number that is none or is beyond all that is ever shown."""
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:
        raise _unexpected(where, f"a number up to {_LARGEST:g}", value)
    return value


def _unexpected(where: str, expected: str, value: object) -> OutputError:
    text = repr(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return OutputError(f"{where} must be {expected}, not {shown}")
