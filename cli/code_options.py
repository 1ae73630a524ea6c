"""Files of codes among the models of a command: how their rows are told which image they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import IMAGES, option, together
from latentmap.cli.kinds import InputFile

if TYPE_CHECKING:
    from latentmap.images import ImageSource
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class CodeOptions:
    """How the rows of files of codes are paired, as given on the command line."""

    row_ids: Path | None = None
    by_position: bool = False

    def check(
        self, references: Sequence[str], data: DataOptions, n_samples: int | None = None
    ) -> bool:
        """Whether the models are files of codes alone and no images are given: their ids stand in
        for images then. Refuses what cannot be together.

        Raises:
            click.UsageError: that is so.
        """
        files = [one for one in references if _is_of_codes(one)]
        given = [
            name
            for name, value in (("--row-ids", self.row_ids), ("--by-position", self.by_position))
            if value
        ]
        if len(given) == 2:
            raise click.UsageError(
                "--row-ids and --by-position both say which image a row is of: leave one out"
            )
        if given and not files:
            raise click.UsageError(
                f"{given[0]} is for files of codes, and none of the models is one: leave it out"
            )
        if files and n_samples is not None:
            raise click.UsageError(
                f"--samples makes new images, of which {files[0]} has no codes: leave it out"
            )
        if data.path is not None or not files:
            choosing = {"--ids": data.ids, "--exclude": data.exclude, "--where": data.where}
            names = [name for name, value in choosing.items() if value is not None]
            if self.by_position and names:
                raise click.UsageError(
                    f"--by-position counts all images, and {names[0]} leaves some out: leave one "
                    "out"
                )
            return False
        others = [one for one in references if one not in files]
        if others:
            raise click.UsageError(
                f"{files[0]} is a file of codes, and {others[0]} encodes images: give these with "
                "--data"
            )
        if data.value_range is not None:
            raise click.UsageError("--range is of images, and there are none: leave it out")
        return True

    def named(self, models: Sequence[Model], data: DataOptions) -> list[Model]:
        """The models, of which each file of codes says which images its rows are of: by position
        those of a data set in all its splits, if there is one.

        Raises:
            PairError, SpaceError: they are not as many, or ids are missing, or given twice over.
        """
        from latentmap.codes.code_file import by_position
        from latentmap.codes.ids_file import read_ids
        from latentmap.encoders.code_files import StoredCodes
        from latentmap.errors import PairError

        stored = [model for model in models if isinstance(model, StoredCodes)]
        if self.by_position:
            ids = None if data.path is None else data.every().ids
            files = by_position([model.stored for model in stored], ids)
        elif self.row_ids is not None:
            if all(model.stored.ids is not None for model in stored):
                raise PairError("every file of codes has ids of its own: leave --row-ids out")
            ids, source = read_ids(self.row_ids), str(self.row_ids)
            files = [
                file if file.ids is not None else file.named(ids, source)
                for file in (model.stored for model in stored)
            ]
        else:
            files = [model.stored for model in stored]
        again = iter(files)
        return [
            model.with_file(next(again)) if isinstance(model, StoredCodes) else model
            for model in models
        ]

    def images_of(
        self, models: Sequence[Model], data: DataOptions, *, whole: bool = True
    ) -> tuple[ImageSource, list[Model]]:
        """What stands in for the images of files of codes: those that all of them are of, as the
        data options choose, of all splits where ``whole``; and the models. Says how many are not in
        all files.

        Raises:
            PairError, ImageError: there are none.
        """
        from latentmap.cli.output import warn
        from latentmap.images.id_images import images_of_codes

        models = self.named(models, data)
        images, left_out = images_of_codes([model.stored for model in models if model.stored])
        if left_out:
            warn(f"left out {left_out:,} codes of images that are not in every file")
        return data.chosen(images, whole=whole), models


def _is_of_codes(reference: str) -> bool:
    """Whether a reference, perhaps a short name, is that of a file of codes."""
    from latentmap.codes.code_readers import is_code_file
    from latentmap.encoders.references import parse_reference

    given = parse_reference(reference)
    return given.scheme is None and is_code_file(given.name)


def code_options(command: Command) -> Command:
    """Adds --row-ids and --by-position; the command gets them as ``codes: CodeOptions``."""
    return together("codes", CodeOptions, _ids_option, _position_option)(command)


_ids_option = option(
    "--row-ids",
    title=IMAGES,
    type=InputFile(),
    metavar="FILE",
    help="Of a MODEL that is a file of codes without ids: the ids of its rows, in their order, "
    "as .txt, .csv or .npy.",
)
_position_option = option(
    "--by-position",
    title=IMAGES,
    is_flag=True,
    help="Of files of codes without ids: row i of each is of the same image, which with --data is "
    "image i.",
)
