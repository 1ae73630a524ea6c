"""The option ``--report``: a command adds what it found to a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import OUTPUT, option

if TYPE_CHECKING:
    from latentmap.report import Section

report_option = option(
    "--report",
    title=OUTPUT,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Add the result, with its figures, to the report in this folder, or begin one; the same "
    "result made again takes its own place.",
)


def check_report(folder: Path | None) -> None:
    """Refuses a folder that no report can be written into, before any work is done."""
    if folder is not None:
        from latentmap.report.store import require_report_folder

        require_report_folder(folder)


def add_to_report(folder: Path | None, section: Callable[[], Section]) -> None:
    """Adds a section, which is made only where a report is asked for, and says where it is, and
    whether it took the place of the same result.
    """
    if folder is not None:
        from latentmap.cli.output import warn
        from latentmap.report.store import PAGE, add_section

        replaced = add_section(folder, section())
        warn(f"{'replaced in' if replaced else 'added to'} {folder / PAGE}")
