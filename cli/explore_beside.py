"""What the explorer has beside models and data: maps, a support set, recorded trainings, and images
of one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.declaring import option, together
from latentmap.cli.explore_words import without_folders
from latentmap.cli.kinds import InputFile, InputPath

if TYPE_CHECKING:
    from latentmap.explorer.own_files import OwnFile
    from latentmap.explorer.trainings import Training
    from latentmap.mapping import LinearMap
    from latentmap.support import SupportSet

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Beside:
    """Maps, a support set, trainings and images, as given on the command line."""

    map_paths: tuple[Path, ...]
    support_path: Path | None
    trace_paths: tuple[Path, ...]
    image_paths: tuple[Path, ...]

    def maps(self) -> list[LinearMap]:
        """The maps.

        Raises:
            MapError: one cannot be read.
        """
        from latentmap.mapping import LinearMap

        return [LinearMap.load(path) for path in self.map_paths]

    def support(self) -> SupportSet | None:
        """The support set.

        Raises:
            SupportError: it cannot be read.
        """
        from latentmap.support import SupportSet

        return None if self.support_path is None else SupportSet.load(self.support_path)

    def trainings(self) -> tuple[Training, ...]:
        """The trainings.

        Raises:
            ModelError: one cannot be read.
        """
        from latentmap.explorer.trainings import read_trainings

        return read_trainings(self.trace_paths)

    def own_files(self) -> list[OwnFile]:
        """The images of one's own, which are named as the page may show them.

        Raises:
            ImageError: one is none that can be taken.
            click.UsageError: there are more than are kept.
        """
        from latentmap.explorer.own_files import read_own_file
        from latentmap.explorer.uploads import MOST

        if len(self.image_paths) > MOST:
            raise click.UsageError(f"give --image {MOST} times at most, since so many are kept")
        return [read_own_file(path, without_folders(str(path))) for path in self.image_paths]


def beside_options(command: Command) -> Command:
    """Adds --map, --support, --trace and --image; the command gets them as ``beside: Beside``."""
    return together(
        "beside",
        Beside,
        option(
            "--map",
            "map_paths",
            multiple=True,
            type=InputPath(),
            metavar="MAP",
            help="A map from the first model to one of the others; may be given several times.  "
            "[default: fitted on the split train]",
        ),
        option(
            "--support",
            "support_path",
            type=InputFile(),
            metavar="FILE",
            help="A support set of the first model, whose sectors are shown, and whose images are "
            "marked.",
        ),
        option(
            "--trace",
            "trace_paths",
            multiple=True,
            type=InputPath(),
            metavar="TRACE",
            help="A training to go through by epochs, as `latentmap train vae --trace` records it; "
            "may be given several times, and without any MODEL.",
        ),
        option(
            "--image",
            "image_paths",
            multiple=True,
            type=InputFile(),
            metavar="FILE",
            help="An image of your own, as if it were dropped on the page; may be given several "
            "times. With --figure it is for what shows it, such as --at view=own.",
        ),
    )(command)
