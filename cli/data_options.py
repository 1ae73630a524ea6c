"""Which images: the options that choose them, for every command that takes images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from latentmap.cli.declaring import IMAGES, number_option, option, together
from latentmap.cli.kinds import InputFile, Reference, Text, number_of

if TYPE_CHECKING:
    from latentmap.images import ImageParts, ImageSource
    from latentmap.images.parts import Counts
    from latentmap.model import Model
    from latentmap.progress import Progress

Command = TypeVar("Command", bound=Callable[..., Any])

# A test compares these with the library's own list, which cannot be imported here without torch.
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataOptions:
    """The images that a user asks for, as given on the command line.

    ``path`` is None only for a command that can do without images.
    """

    path: str | None
    split: Literal["train", "val", "test"] | None = None
    limit: int | None = None
    group_by: Path | None = None
    ids: Path | None = None
    exclude: Path | None = None
    attributes: Path | None = None
    where: str | None = None
    missing: Literal["stop", "skip"] = "stop"
    value_range: tuple[float, float] | None = None
    on_error: Literal["stop", "skip"] = "stop"

    def check(self) -> None:
        """Refuses a condition without a table, before anything is read.

        Raises:
            ImageError: so it is.
        """
        if self.path is not None and self.where is not None and self.attributes is None:
            from latentmap.images.choosing import read_condition

            read_condition(None, self.where)

    def open(self, notify: Callable[[str], None] | None = None) -> ImageSource:
        """The images; their contents are not read yet. What is to be said of them is said on
        stderr, or to ``notify``.

        Raises:
            ImageError: there are no such images.
        """
        from latentmap.cli.output import warn
        from latentmap.images import open_images

        assert self.path is not None, "a command without --data opens no images"
        return open_images(
            self.path,
            split=self.split,
            limit=self.limit,
            group_by=self.group_by,
            ids=self.ids,
            exclude=self.exclude,
            attributes=self.attributes,
            where=self.where,
            missing=self.missing,
            value_range=self.value_range,
            notify=notify or warn,
        )

    def parts(self, known: Iterable[Counts] = (), progress: Progress | None = None) -> ImageParts:
        """The images, to be opened part by part where nothing but --limit chooses among them: other
        choices need the names of all. Of sets of files it may be ``known`` what each holds.

        Raises:
            ImageError: there are no such images.
        """
        from latentmap.images import open_parts

        assert self.path is not None, "a command without --data opens no images"
        by_names = (self.split, self.group_by, self.ids, self.exclude, self.attributes, self.where)
        if any(one is not None for one in by_names):
            return self.open(notify=lambda line: None)
        return open_parts(
            self.path,
            limit=self.limit,
            value_range=self.value_range,
            known=known,
            progress=progress,
        )

    def every(self) -> ImageSource:
        """All images that there are, of which others are a choice.

        Raises:
            ImageError: there are no such images.
        """
        return DataOptions(self.path, value_range=self.value_range).open()

    def chosen(self, images: ImageSource, *, whole: bool) -> ImageSource:
        """Those of some images that --ids, --exclude and --where choose, with their groups; all of
        them where ``whole``, else those of --split and --limit.

        Raises:
            ImageError: none is left, or a table does not fit them.
        """
        from latentmap.cli.output import warn
        from latentmap.images.choosing import chosen_images, read_condition

        return chosen_images(
            images,
            ids=self.ids,
            exclude=self.exclude,
            condition=read_condition(self.attributes, self.where),
            group_by=self.group_by,
            split=None if whole else self.split,
            limit=None if whole else self.limit,
            missing=self.missing,
            notify=warn,
        )

    def of_split(self, images: ImageSource) -> ImageSource:
        """Those of --split and --limit, of images that else are chosen.

        Raises:
            ImageError: none is left.
        """
        from latentmap.images.choosing import chosen_images

        return chosen_images(images, split=self.split, limit=self.limit)

    def to_fit_on(self, images: ImageSource) -> ImageSource:
        """The images of the split train, the first --limit of these, whatever is scored.

        Raises:
            ImageError: there are none.
        """
        return replace(self, split="train").of_split(images)

    @property
    def fitted_split(self) -> Literal["train", "val", "test"]:
        """The split that something is fitted on."""
        return self.split or "train"

    def open_to_fit(self, *, scored: bool = True) -> ImageSource:
        """The images of all splits; --limit holds for the split to fit on, and for that to score.

        Raises:
            ImageError: there are no such images.
        """
        images = replace(self, split=None, limit=None).open()
        return self.limited(images, scored=scored)

    def limited(self, images: ImageSource, *, scored: bool = True) -> ImageSource:
        """The first --limit of the images to fit on, and of those to score.

        Before the split, a limit could leave no test images: CelebA's come last.
        """
        if self.limit is None:
            return images
        if scored:
            return images.first_of((self.fitted_split, "test"), self.limit)
        return images.first_of((self.fitted_split,), self.limit)

    def complete(self, models: Sequence[Model], images: ImageSource | None = None) -> list[Model]:
        """The models, those that are fitted on training images fitted: on the split train, whatever
        part of it else is taken, so that it is one model in all commands on one data set.

        ``images`` are those that stand in for a data set.

        Raises:
            ImageError, ModelError: there are no such images, or too few.
        """
        if all(model.is_complete for model in models):
            return list(models)
        if images is None:
            # What is to be said of them is said when they are opened to be encoded.
            images = replace(self, split=None, limit=None).open(notify=lambda _: None)
        training = images.split("train")
        return [model.completed(training) for model in models]


# The parameters of ``data_options`` that choose among the images of --data.
DATA_CHOICES = tuple(field.name for field in fields(DataOptions) if field.name != "path")


class _Range(Text):
    """``LOW,HIGH``: the values that are black and white."""

    name = "range"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        text: str = super().convert(value, param, ctx)
        match [number_of(part) for part in text.split(",")]:
            case [float(black), float(white)] if black < white:
                return black, white
        self.fail(
            f"{text!r} is no range: give the value of black and the value of white, such as 0,4095",
            param,
            ctx,
        )


def _check_condition(context: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuses a condition that does not fit the table as soon as both are known: before the device
    is looked for, which takes torch's seconds, and before models and images are read.

    Raises:
        ImageError: so it is.
    """
    found = {**context.params, param.name: value}
    attributes, where = found.get("attributes"), found.get("where")
    if attributes is not None and where is not None and not context.resilient_parsing:
        from latentmap.images.choosing import read_condition

        read_condition(attributes, where)
    return value


_FILE = InputFile(exists=True)

_DATA = (
    option(
        "--split",
        title=IMAGES,
        type=click.Choice(SPLITS),
        help="Only this part: by CelebA's list_eval_partition (.txt, .csv) when it lies with the "
        "images, else 80/10/10 by a hash of the id.",
    ),
    number_option("--limit", title=IMAGES, help="Only the first N images of the choice."),
    option(
        "--group-by",
        title=IMAGES,
        type=_FILE,
        metavar="FILE",
        help="A table file,group (such as an identity): images of one group stay "
        "on one side of a split.",
    ),
    option(
        "--ids",
        title=IMAGES,
        type=_FILE,
        metavar="FILE",
        help="Only the images that this file names: a text with a name a line, or a csv whose "
        "first column has them.",
    ),
    option(
        "--exclude",
        title=IMAGES,
        type=_FILE,
        metavar="FILE",
        help="Without the images that such a file names.",
    ),
    option(
        "--attributes",
        title=IMAGES,
        is_eager=True,
        callback=_check_condition,
        type=_FILE,
        metavar="FILE",
        help="A table of attributes, for --where, for --by and --probe where these are, and for "
        "the colours of points in `latentmap explore`: CelebA's list_attr_celeba.txt, or csv.",
    ),
    option(
        "--where",
        type=Text(),
        title=IMAGES,
        is_eager=True,
        callback=_check_condition,
        metavar="EXPRESSION",
        help='Only images with these attributes, such as "Wearing_Hat == -1 and Young == 1".',
    ),
    option(
        "--missing",
        title=IMAGES,
        type=click.Choice(("stop", "skip")),
        default="stop",
        show_default=True,
        help="At images that a table (--attributes with --where, --group-by) does not have, and "
        "names in --ids that are of no image: stop, or leave them out.",
    ),
    option(
        "--range",
        "value_range",
        title=IMAGES,
        type=_Range(),
        metavar="LOW,HIGH",
        help="The values that are black and white: 0,1 for masks, 0,4095 for 12 bits, -1,1.  "
        "[default: what the file says]",
    ),
    option(
        "--on-error",
        title=IMAGES,
        type=click.Choice(("stop", "skip")),
        default="stop",
        show_default=True,
        help="At an image that cannot be read: stop, or skip it and list it in the result.",
    ),
)


def data_options(command: Command, *, required: bool = True) -> Command:
    """Adds the options that choose images; the command gets them as ``data: DataOptions``, and its
    condition is checked before.

    Unless ``required``, ``--data`` may be left out: its path is None then.
    """

    @functools.wraps(command)
    def checked(*args: Any, data: DataOptions, **given: Any) -> Any:
        data.check()
        return command(*args, data=data, **given)

    path = option(
        "--data",
        "path",
        type=Reference(),
        title=IMAGES,
        required=required,
        metavar="PATH",
        help="Images: a folder, or its .index; a .zip, .tar or .parquet, or a set of the last two "
        "(faces-{000..099}.tar or 'faces-*.parquet'); MNIST's IDX file (.gz or not), .npy, .npz, "
        "file.h5:/dataset; a file of `latentmap images pack`; or the word digits.",
    )
    decorated: Any = together("data", DataOptions, path, *_DATA)(checked)
    return decorated  # type: ignore[no-any-return]  # as in declaring.py


def check_choice(
    data: DataOptions, n: int | None, of_samples: Mapping[str, object], *, without: bool = False
) -> None:
    """Refuses both, or neither, of a data set and ``n`` samples, and options of the other one;
    ``without`` tells that there are no images, and need be none.

    Raises:
        click.UsageError: that is so.
    """
    if (data.path is None) == (n is None) and not without:
        raise click.UsageError("give either images (--data) or a number of samples (--samples)")
    given = [name for name, value in of_samples.items() if value is not None]
    if n is None and given:
        verb, them = ("is", "it") if len(given) == 1 else ("are", "them")
        raise click.UsageError(f"{' and '.join(given)} {verb} for --samples: leave {them} out")
    of_data = (data.group_by, data.ids, data.exclude, data.attributes, data.where, data.value_range)
    if n is not None and any(value is not None for value in of_data):
        raise click.UsageError(
            "--group-by, --ids, --exclude, --attributes, --where and --range choose images of a "
            "data set: leave them out with --samples"
        )
