"""The folder of a report: ``report.json``, and ``index.html`` drawn from it.

The pictures are in the page alone, which so can be sent on by itself, and ``report.json`` names
them there: both files together are the report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latentmap.errors import CacheError, OutputError
from latentmap.files import (
    TEMPORARY,
    hold_lock,
    look_into,
    parse_json,
    read_regular,
    reason_of,
    require_parent,
    write_atomic,
)
from latentmap.report.page import render
from latentmap.report.page_pictures import (
    pictures_in_page,
    pictures_of,
    with_pictures,
    without_pictures,
)
from latentmap.report.parts import Report, Section
from latentmap.report.reading import report_from_json

PAGE = "index.html"
CONTENT = "report.json"
TITLE = "latentmap report"  # Of a report that begins with the result of one command.
_FORMAT = "latentmap report 2"
_WHOLE = "latentmap report 1"  # Has its pictures in it.
_LOCK = ".report.lock"
# What is there before the first report is whole.
_BEGUN = re.compile(rf"{re.escape(_LOCK)}|\.report{TEMPORARY}\.json")
_PATIENCE = 60.0  # Seconds that another process may take to write.


def write_report(folder: str | Path, report: Report, *, replaces: Collection[str] = ()) -> None:
    """Writes a report into a folder, before the sections that are there.

    Those with an id of the report, or one of ``replaces``, go; those of others stay. Several
    processes may write at the same time.

    Raises:
        OutputError: the folder holds something that is no report, or cannot be written.
    """
    folder = Path(folder)
    with _held(folder) as known:
        gone = {section.id for section in report.sections}.union(replaces)
        others = [section for section in known.sections if section.id not in gone]
        _write(folder, Report(report.title, [*report.sections, *others]), known)


def add_section(folder: str | Path, section: Section) -> bool:
    """Adds a section to the report in a folder, or puts it in the place of that with its id; tells
    whether there was one.

    Without a report in it, the folder gets one. Several processes may add at the same time.

    Raises:
        OutputError: the folder holds something that is no report, or cannot be written.
    """
    folder = Path(folder)
    with _held(folder) as known:
        _write(folder, known.with_section(section), known)
    return any(one.id == section.id for one in known.sections)


def read_report(folder: str | Path) -> Report:
    """The report in a folder.

    Raises:
        OutputError: there is none, or it is damaged.
    """
    path = Path(folder) / CONTENT
    text = _text_of(path)
    try:
        return _read(path, text)
    except OutputError:
        now = _text_of(path)
        if now == text:
            raise
    # Another process has written between the two files.
    return read_report(folder)


def _text_of(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read as a report ({reason_of(error)}): choose another folder"
        ) from error


def _read(path: Path, text: bytes) -> Report:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise OutputError(
            f"{path} cannot be read as a report ({reason_of(error)}): choose another folder"
        ) from error
    kind = content.pop("format", None)
    if kind not in (_FORMAT, _WHOLE):
        raise OutputError(f"{path} is not a {_FORMAT}: choose another folder")
    try:
        return report_from_json(content if kind == _WHOLE else _whole(path, content))
    except OutputError as error:
        raise OutputError(f"{path} is damaged: {error}") from error


def _whole(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a report with its pictures, which are in the page beside it."""
    page = path.with_name(PAGE)
    try:
        pictures = pictures_in_page(read_regular(page).decode("utf-8", "replace"))
    except OSError:
        pictures = {}  # Without pictures a report needs no page.
    try:
        whole: dict[str, Any] = with_pictures(content, PAGE, pictures)
    except KeyError as error:
        raise OutputError(f"a picture of it is missing in {page}: keep both together") from error
    return whole


def begun_report(folder: Path) -> Report:
    """The report in a folder, or an empty one where there is none.

    Raises:
        OutputError: it is damaged.
    """
    return read_report(folder) if (folder / CONTENT).exists() else Report(TITLE)


def require_report_folder(folder: Path) -> None:
    """Refuses a folder that no report can be written into, before any work is done.

    Raises:
        OutputError: it holds other files but no report, is a file, or its parent is missing.
    """
    require_parent(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file, but a report is a folder: choose another path")
    if (folder / CONTENT).exists():
        read_report(folder)
    elif not _is_begun(folder):
        raise OutputError(
            f"{folder} holds other files and no report: choose a new or an empty folder"
        )


def _is_begun(folder: Path) -> bool:
    """Whether a folder is empty, or has nothing but what a writer of the first report has at work,
    or left when it was killed; or has got that report in this moment.
    """
    return not look_into(folder.resolve(), _BEGUN).others or (folder / CONTENT).exists()


@contextmanager
def _held(folder: Path) -> Iterator[Report]:
    """The report in a folder, which is made where it is missing, for this process alone to change;
    an empty one where there is none.
    """
    require_report_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    try:
        with hold_lock(folder / _LOCK, f"the report in {folder}", timeout=_PATIENCE):
            yield begun_report(folder)
    except CacheError as error:
        raise OutputError(str(error)) from error


def _write(folder: Path, report: Report, known: Report) -> None:
    """The page comes first, with the pictures of what is ``known`` as well: whenever this ends,
    all pictures that ``report.json`` names are in the page.
    """
    if not (folder / CONTENT).exists():
        # Else a page alone would be there, which could be anybody's.
        _write_content(folder, known)
    stale = pictures_of(known.sections).keys() - pictures_of(report.sections).keys()
    write_atomic(folder / PAGE, render(report, beside=known).encode())
    _write_content(folder, report)
    if stale:
        write_atomic(folder / PAGE, render(report).encode())


def _write_content(folder: Path, report: Report) -> None:
    content = {"format": _FORMAT, **without_pictures(report.to_json(), PAGE)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    write_atomic(folder / CONTENT, text.encode())
