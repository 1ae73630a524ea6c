"""What made the sections of a report, as the page shows it: whole, or short for paper."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from latentmap.report.parts import Section

_MOST_LISTED = 12  # Of a list in a record.
_NOTHING: tuple[object, ...] = (None, "", [], ())  # Of this a record says nothing.
_DIGITS = 12  # Of a digest on paper.
_DIGEST = re.compile(rf"\b([0-9a-f]{{{_DIGITS}}})[0-9a-f]{{20,}}\b")
# From the root, through at least one folder; not what follows the scheme of an address. Of a path
# in quotes folders may have spaces.
_QUOTED = re.compile(r"""(?<=['"])(?:[A-Za-z]:)?(?:[\\/][^\\/'"]+)+[\\/](?=[^\\/'"])""")
_PATH = re.compile(
    r"""(?<![\w.:/\\])(?:[A-Za-z]:)?(?:[\\/][^\\/\s'",;:=]+)+[\\/](?=[^\\/\s'",;:=])"""
)


def made_by(sections: Sequence[Section]) -> list[tuple[list[Section], Mapping[str, Any]]]:
    """What made the sections, each record once with all sections that it made."""
    records: dict[str, tuple[list[Section], Mapping[str, Any]]] = {}
    for section in filter(lambda one: one.record, sections):
        same = json.dumps(section.record, sort_keys=True, default=str)
        records.setdefault(same, ([], section.record))[0].append(section)
    return list(records.values())


def record_lines(record: Mapping[str, Any], *, short: bool = False) -> list[tuple[str, list[str]]]:
    """What a record says, by name, in lines; what it has no value for is left out. A ``short`` one
    has the first digits of digests, and the names of files without their folders.

    Example:
        >>> record_lines({"command": "latentmap fit --data /data/faces.zip"}, short=True)
        [('command', ['latentmap fit --data faces.zip'])]
    """
    lines = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            shown = [f"{key}: {_text(part)}" for key, part in value.items() if part not in _NOTHING]
        else:
            shown = [] if value in _NOTHING else [_text(value)]
        if shown:
            lines.append((name.replace("_", " "), list(map(_shortened, shown)) if short else shown))
    return lines


def _shortened(text: str) -> str:
    return _PATH.sub("", _QUOTED.sub("", _DIGEST.sub(r"\1", text)))


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        if len(value) > _MOST_LISTED:
            return f"{len(value)} entries, in report.json"
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
