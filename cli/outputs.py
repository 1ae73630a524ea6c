"""What a command writes of its result: the options, their checks, and where the result goes.

A command gets its outputs as one object::

    @result_outputs(figure_option("A picture of the curves."), report_option)
    def curve(..., outputs: Outputs): ...

``--out`` is what the command is for, ``--figure`` a picture, ``--figures`` a folder of them,
``--codes-out`` codes, ``--report`` a page to add to; ``--json`` and ``--force`` come with each.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latentmap.cli.declaring import OUTPUT, option, output_option
from latentmap.cli.kinds import OutputFolder
from latentmap.cli.options import force_option, json_option

if TYPE_CHECKING:
    from latentmap.model import Model
    from latentmap.report import Section

Command = TypeVar("Command", bound=Callable[..., Any])
Declared = Callable[[Any], Any]

report_option = option(
    "--report",
    title=OUTPUT,
    type=OutputFolder(),
    metavar="FOLDER",
    help="Add the result, with its figures, to the report in this folder, or begin one; the same "
    "result made again takes its own place.",
)


def figure_option(help: str) -> Declared:
    """A picture of the result."""
    return output_option("--figure", help, metavar="PNG")


def figures_option(help: str) -> Declared:
    """A folder for several pictures."""
    kind = OutputFolder()
    return option("--figures", title=OUTPUT, type=kind, metavar="FOLDER", help=help)


@dataclass(frozen=True)
class Outputs:
    """Where a result goes, as given on the command line; None for what a command does not have."""

    out: Path | None = None
    figure: Path | None = None
    figures: Path | None = None
    codes_out: Path | None = None
    report: Path | None = None
    as_json: bool = False
    force: bool = False

    def check(self, *, plot: bool = False) -> None:
        """Refuses outputs before any work is done: that exist and are not to be replaced, or that
        cannot be written. A report may exist: it is added to. ``plot`` tells that the figure is
        drawn by matplotlib.

        Raises:
            OutputError: so it is.
        """
        from latentmap.codes import require_code_suffix
        from latentmap.files import refuse_existing
        from latentmap.relocation.curves import require_plots
        from latentmap.report import require_picture_suffix
        from latentmap.report.store import require_report_folder

        for path in (self.out, self.figure, self.codes_out):
            if path is not None:
                refuse_existing(path, force=self.force)
        if self.figure is not None:
            (require_plots if plot else require_picture_suffix)(self.figure)
        if self.codes_out is not None:
            require_code_suffix(self.codes_out)
        if self.report is not None:
            require_report_folder(self.report)

    def require_images(self, *models: Model) -> None:
        """Refuses a picture of images of models none of which makes any.

        Raises:
            ModelError: that is so.
        """
        from latentmap.errors import ModelError

        if self.figure is not None and not any(model.can_decode for model in models):
            raise ModelError(
                f"--figure shows images of {' and '.join(model.name for model in models)}, but "
                "there is no decoder that makes them: leave it out, or take a model that decodes"
            )

    def pictures(self, names: Sequence[str]) -> dict[str, Path]:
        """The paths of the pictures that go into the folder, by name; none without one.

        Raises:
            OutputError: the folder cannot be made, or a picture in it exists and is not to be
                replaced.
        """
        from latentmap.files import refuse_existing, require_parent

        if self.figures is None:
            return {}
        require_parent(self.figures)
        paths = {name: self.figures / f"{name}.png" for name in names}
        if self.figures.exists():
            for path in paths.values():
                refuse_existing(path, force=self.force)
        return paths

    def add_to_report(self, section: Callable[[], Section]) -> None:
        """Adds a section, which is made only where a report is asked for, and says where it is, and
        whether it took the place of the same result.
        """
        from latentmap.cli.output import warn
        from latentmap.report.store import PAGE, add_section

        if self.report is not None:
            replaced = add_section(self.report, section())
            warn(f"{'replaced in' if replaced else 'added to'} {self.report / PAGE}")


def result_outputs(*options: Declared) -> Declared:
    """Adds the options of what is written, ``--json`` and ``--force``; the command gets them as
    ``outputs: Outputs``.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(*args: Any, **given: Any) -> Any:
            names = Outputs.__dataclass_fields__.keys() & given.keys()
            outputs = Outputs(**{name: given.pop(name) for name in names})
            return command(*args, outputs=outputs, **given)

        decorated: Any = wrapped
        for add in reversed([*options, json_option, force_option]):
            decorated = add(decorated)
        return decorated  # type: ignore[no-any-return]  # as in declaring.py

    return decorate


def file_name(model: str) -> str:
    """The name of a model as part of a file's: ``pixels:8`` is ``pixels-8``."""
    return re.sub(r"[^\w.+-]+", "-", model)
