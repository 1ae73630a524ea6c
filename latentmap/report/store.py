"""The folder of a report: ``report.json``, and ``index.html`` drawn from it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from latentmap.errors import CacheError, OutputError
from latentmap.files import (
    TEMPORARY,
    hold_lock,
    look_into,
    read_json,
    reason_of,
    require_parent,
    write_atomic,
)
from latentmap.report.page import render
from latentmap.report.parts import Report, Section
from latentmap.report.reading import report_from_json

PAGE = "index.html"
CONTENT = "report.json"
TITLE = "latentmap report"  # Of a report that begins with the result of one command.
_FORMAT = "latentmap report 1"
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
        _write(folder, Report(report.title, [*report.sections, *others]))


def add_section(folder: str | Path, section: Section) -> bool:
    """Adds a section to the report in a folder, or puts it in the place of that with its id; tells
    whether there was one.

    Without a report in it, the folder gets one. Several processes may add at the same time.

    Raises:
        OutputError: the folder holds something that is no report, or cannot be written.
    """
    folder = Path(folder)
    with _held(folder) as known:
        _write(folder, known.with_section(section))
    return any(one.id == section.id for one in known.sections)


def read_report(folder: str | Path) -> Report:
    """The report in a folder.

    Raises:
        OutputError: there is none, or it is damaged.
    """
    path = Path(folder) / CONTENT
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} cannot be read as a report ({reason_of(error)}): choose another folder"
        ) from error
    if content.pop("format", None) != _FORMAT:
        raise OutputError(f"{path} is not a {_FORMAT}: choose another folder")
    try:
        return report_from_json(content)
    except OutputError as error:
        raise OutputError(f"{path} is damaged: {error}") from error


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


def _write(folder: Path, report: Report) -> None:
    """``report.json`` comes first: the page can always be drawn again from it."""
    content = {"format": _FORMAT, **report.to_json()}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    page = render(report)
    write_atomic(folder / CONTENT, text.encode())
    write_atomic(folder / PAGE, page.encode())
