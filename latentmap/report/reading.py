"""Reading a report again from its JSON, strictly: what is not a report is refused."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from latentmap.errors import OutputError
from latentmap.report.parts import Report

_NEW = {"decimals", "upright"}  # Fields that reports of earlier versions lack.


def report_from_json(value: object) -> Report:
    """What ``Report.to_json`` gave.

    Raises:
        OutputError: it is something else; the message says where.
    """
    report: Report = _read(Report, value, "report")
    return report


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
        return float(value)
    if type(value) is not kind:
        raise _unexpected(where, kind.__name__, value)
    return value


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    names = [one.name for one in fields(kind)]
    if not isinstance(value, dict) or set(names) != set(value) | (_NEW & set(names)):
        raise _unexpected(where, f"an object with {', '.join(names)}", value)
    hints = get_type_hints(kind)
    return kind(
        **{name: _read(hints[name], part, f"{where}.{name}") for name, part in value.items()}
    )


def _read_one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    """Objects are told apart by their field ``kind``, where there are several."""
    if isinstance(value, dict):
        objects = [kind for kind in kinds if is_dataclass(kind)]
        for kind in objects:
            own = next((one.default for one in fields(kind) if one.name == "kind"), None)
            if len(objects) == 1 or own == value.get("kind"):
                return _read(kind, value, where)
    elif type(value) in kinds:
        return value
    elif type(value) is int and float in kinds:
        return float(value)
    raise _unexpected(where, " or ".join(kind.__name__ for kind in kinds), value)


def _unexpected(where: str, expected: str, value: object) -> OutputError:
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    return OutputError(f"{where} must be {expected}, not {shown}")
