"""What the explorer has beside models and images: maps, a support set, recorded trainings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latentmap.cli.declaring import option, together
from latentmap.cli.kinds import InputFile, InputPath

if TYPE_CHECKING:
    from latentmap.explorer.trainings import Training
    from latentmap.mapping import LinearMap
    from latentmap.support import SupportSet

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Beside:
    """Maps, a support set and trainings, as given on the command line."""

    map_paths: tuple[Path, ...]
    support_path: Path | None
    trace_paths: tuple[Path, ...]

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


def beside_options(command: Command) -> Command:
    """Adds --map, --support and --trace; the command gets them as ``beside: Beside``."""
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
    )(command)
