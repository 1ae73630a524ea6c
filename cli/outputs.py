"""What a command writes of its result: the options, their checks, and where the result goes.

A command gets its outputs as one object::

    @result_outputs(figure_option("A picture of the curves."), report_option)
    def curve(..., outputs: Outputs): ...

``--out`` is what the command is for, ``--figure`` a picture, ``--figures`` a folder of them, both
with ``--width`` and ``--dpi``, ``--codes-out`` codes, ``--report`` a page to add to; ``--json`` and
``--force`` come with each.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.declaring import OUTPUT, number_option, option, output_option
from latentmap.cli.kinds import NumberRange, OutputFolder
from latentmap.cli.options import force_option, json_option, refuse_given

if TYPE_CHECKING:
    from latentmap.model import Model
    from latentmap.report import Figure, Section

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


# A test compares these with the library's own, which cannot be imported here without torch.
FORMATS = ("pdf", "svg", "png", "jpg", "tif", "webp")
_width_option = option(
    "--width",
    title=OUTPUT,
    type=NumberRange(5, 50),
    metavar="CM",
    help="How wide figures are in print. Letters have 7 to 8 points at any width.  [default: as "
    "wide as each needs]",
)
_dpi_option = number_option(
    "--dpi",
    least=50,
    most=1200,
    default=150,
    title=OUTPUT,
    help="Pixels to an inch, of figures of pixels; more where it takes more to repeat the pixels "
    "of images a whole number of times.",
)


def figure_option(help: str) -> Declared:
    """A picture of the result, and how large it is."""
    formats = f"{', '.join(f'.{one}' for one in FORMATS[:-1])} or .{FORMATS[-1]}"
    return _all_of(output_option("--figure", f"{help}  As {formats}."), _width_option, _dpi_option)


def figures_option(help: str) -> Declared:
    """A folder for several pictures, their format, and how large they are."""
    kind = OutputFolder()
    return _all_of(
        option("--figures", title=OUTPUT, type=kind, metavar="FOLDER", help=help),
        option(
            "--format",
            "figure_format",
            title=OUTPUT,
            type=click.Choice(FORMATS),
            default="png",
            show_default=True,
            help="Of the figures in the folder.",
        ),
        _width_option,
        _dpi_option,
    )


def _all_of(*options: Declared) -> Declared:
    def decorate(command: Any) -> Any:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


@dataclass(frozen=True)
class Outputs:
    """Where a result goes, as given on the command line; None for what a command does not have."""

    out: Path | None = None
    figure: Path | None = None
    figures: Path | None = None
    figure_format: str = "png"
    width: float | None = None
    dpi: int = 150
    codes_out: Path | None = None
    report: Path | None = None
    as_json: bool = False
    force: bool = False

    def check(
        self, *, plot: bool = False, others: Sequence[Path | None] = (), drawn: bool = False
    ) -> None:
        """Refuses outputs before any work is done: that exist and are not to be replaced, that
        cannot be written, or two in one place. A report may exist: it is added to. ``plot`` tells
        that the figure is a chart, as are the ``others``; ``drawn`` that there is one where none is
        asked for.

        Raises:
            OutputError: so it is.
            click.UsageError: the size of figures is given, and there is none.
        """
        from latentmap.codes import require_code_output
        from latentmap.files import refuse_equal, refuse_existing
        from latentmap.report import require_figure
        from latentmap.report.store import require_report_folder

        charts = [path for path in others if path is not None]
        refuse_equal(
            {
                "--out": self.out,
                "--figure": self.figure,
                "--figures": self.figures,
                "--codes-out": self.codes_out,
                "--report": self.report,
            }
        )
        for path in (self.out, self.figure, *charts):
            if path is not None:
                refuse_existing(path, force=self.force)
        if self.figure is not None:
            require_figure(self.figure, plot=plot)
        for path in charts:
            require_figure(path, plot=True)
        if self.figures is not None:
            require_figure(self._in_folder("figure"), plot=plot)
        if not (self.figure or self.figures or charts or drawn):
            _refuse_sizes()
        if self.codes_out is not None:
            require_code_output(self.codes_out, force=self.force)
        if self.report is not None:
            require_report_folder(self.report)

    def refuse_folder(self) -> None:
        """Refuses a folder for figures, whose names are known when they are made, that holds
        something.

        Raises:
            OutputError: it does, and is not to be written into; or it cannot be made.
        """
        from latentmap.errors import OutputError
        from latentmap.files import require_parent

        if self.figures is None:
            return
        require_parent(self.figures)
        if self.figures.exists() and any(self.figures.iterdir()) and not self.force:
            raise OutputError(f"{self.figures} is not empty: choose another folder, or add --force")

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
        paths = {name: self._in_folder(name) for name in names}
        if self.figures.exists():
            for path in paths.values():
                refuse_existing(path, force=self.force)
        return paths

    def draw(self, figure: Figure, path: Path) -> None:
        """Writes a figure as large as asked for.

        Raises:
            OutputError: it cannot be written.
        """
        from latentmap.report import save_figure

        save_figure(figure, path, width=self.width, dpi=self.dpi)

    def draw_all(self, figures: Iterable[tuple[str, Figure]]) -> None:
        """Writes figures by their names into the folder, where there is one.

        Raises:
            OutputError: one cannot be written.
        """
        if self.figures is not None:
            self.figures.mkdir(exist_ok=True)
            for name, figure in figures:
                self.draw(figure, self._in_folder(name))

    def _in_folder(self, name: str) -> Path:
        assert self.figures is not None, "asked before"
        return self.figures / f"{name}.{self.figure_format}"

    def add_to_report(self, section: Callable[[], Section]) -> None:
        """Adds a section, which is made only where a report is asked for, and says where it is, and
        whether it took the place of the same result.
        """
        from latentmap.cli.output import warn
        from latentmap.report.store import PAGE, add_section

        if self.report is not None:
            replaced = add_section(self.report, section())
            warn(f"{'replaced in' if replaced else 'added to'} {self.report / PAGE}")


def _refuse_sizes() -> None:
    """Refuses the options of figures where there is none."""
    context = click.get_current_context()
    sizes = {"figure_format", "width", "dpi"} & {one.name for one in context.command.params}
    refuse_given(context, sorted(sizes), "without a figure")


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
