"""Options that several commands share, declared once, each with one meaning.

    --cache --precision --batch-size       ``coder_options``: how codes are had
    --device --size                        ``loading_options``: how models are loaded
    --seed                                 what makes random choices repeatable
    --json --force                         how results are printed, and replaced

Each carries its title in help (``latentmap.cli.declaring``). ``refuse_given`` is for options that
have no effect beside others; the kinds of values are in ``latentmap.cli.kinds``. Nothing heavy is
imported here: the values are checked again, and used, by the library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from latentmap.cli.declaring import IMAGES, OUTPUT, RUNNING, number_option, option, together
from latentmap.cli.device import Device
from latentmap.cli.kinds import Count, NumberRange, OutputFolder, Size
from latentmap.cli.lists import NameList

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.cli.data_options import DataOptions
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])

# A test compares these with the library's own lists, which cannot be imported here without torch.
PRECISIONS = ("float32", "bfloat16", "float16")
BASELINES = ("pixels", "pca", "untrained")
OLD_CACHE = Path("latentmap-cache")  # Where codes were kept by default, in the current folder.


def refuse_given(context: click.Context, names: Sequence[str], reason: str) -> None:
    """Refuses the parameters ``names`` of the command where the user gave them, at their default or
    not: they have no effect, for this ``reason``.

    Raises:
        click.UsageError: some were given.
    """
    options = {parameter.name: "/".join(parameter.opts) for parameter in context.command.params}
    # Apart from the question which are given, so that no misspelt name goes unnoticed.
    asked = {name: options[name] for name in names}
    given = [
        option
        for name, option in asked.items()
        # A variable of the environment is for all commands, so it may be without effect.
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        has, them = ("has", "it") if len(given) == 1 else ("have", "them")
        raise click.UsageError(f"{' and '.join(given)} {has} no effect {reason}: leave {them} out")


device_option = option(
    "--device",
    title=RUNNING,
    default="auto",
    show_default=True,
    type=Device(),
    metavar="DEVICE",
    help="Where networks run: cpu, cuda, cuda:1; auto is the GPU when there is one.",
)
_size_option = option(
    "--size",
    "image_size",
    title=RUNNING,
    type=Size(),
    metavar="N|HxW",
    help="Height and width of the images, where a model takes any size; MODEL?size=HxW says it of "
    "one of several.  [default: as the model says]",
)


@dataclass(frozen=True)
class Loading:
    """How models are loaded, as given on the command line: where they run, and how large images are
    where a model takes any size.
    """

    device: str
    image_size: tuple[int, int] | None = None

    def one(self, reference: str) -> Model:
        """The model that a reference names.

        Raises:
            ModelError: it cannot be loaded.
        """
        return self.all([reference])[0]

    def all(self, references: Sequence[str]) -> list[Model]:
        """The models that references name; reference models see what the first other one sees.

        Raises:
            ModelError: one cannot be loaded.
        """
        from latentmap.encoders import load_all

        return load_all(references, device=self.device, size=self.image_size)


def loading_options(command: Command) -> Command:
    """Adds --device and --size; the command gets them as ``loading: Loading``."""
    return together("loading", Loading, device_option, _size_option)(command)


precision_option = option(
    "--precision",
    title=RUNNING,
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="Arithmetic of the network; codes are kept apart by it.",
)
recorded_precision_option = option(
    "--precision",
    title=RUNNING,
    type=click.Choice(PRECISIONS),
    help="Arithmetic of the network; codes are kept apart by it.  [default: as recorded in the "
    "map]",
)
batch_size_option = number_option(
    "--batch-size", title=RUNNING, help="Images at a time.  [default: chosen]"
)


def samples_option(least: int) -> Callable[[Command], Command]:
    """How many images one of the models makes, where no data is given."""
    return number_option(
        "--samples",
        "n_samples",
        least=least,
        title=IMAGES,
        help="Instead of --data: N images that one of the models makes; they are kept in the "
        "cache.",
    )


def truncation_option(unless: str | None = None) -> Callable[[Command], Command]:
    """At which truncation codes are drawn: 1 by default, or None, for which ``unless`` says what
    stands: where samples may not be asked for.
    """
    said = "" if unless is None else f"  [default: {unless}]"
    return option(
        "--truncation",
        title=IMAGES,
        type=NumberRange(min=0),
        default=1.0 if unless is None else None,
        show_default=unless is None,
        metavar="PSI",
        help="Of samples: below 1, codes are drawn towards the mean: more typical images, less "
        f"different.{said}",
    )


class_option = number_option(
    "--class",
    "label",
    least=0,
    title=IMAGES,
    help="Of samples: the class, where the generator knows classes.",
)
seed_option = option(
    "--seed",
    title=RUNNING,
    type=Count(0, 2**63 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Makes random choices repeatable.",
)
baselines_option = click.option(
    "--baselines",
    "kinds",
    type=NameList("baseline", BASELINES, none=True),
    default=BASELINES,
    metavar="NAME,NAME,...|none",
    help="What stands beside a map, by the same method on the same images: a thumbnail of as many "
    "numbers as the source's codes (pixels), principal components (pca), the source's network "
    "before any training (untrained).  [default: all]",
)


def _at_home(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:
    """The cache that is given, else the user's; a cache of older versions is told of."""
    if value is not None:
        return value
    from latentmap.files.home import cache_home

    home = cache_home()
    if OLD_CACHE.is_dir() and OLD_CACHE.absolute() != home.absolute():
        _tell_of_old(home)
    return home


def _tell_of_old(home: Path) -> None:
    from latentmap.cache.entries import is_cache
    from latentmap.cli.output import warn

    if is_cache(OLD_CACHE):
        warn(
            f"{OLD_CACHE} in this folder is a cache of an earlier version, and is not used: "
            f"codes are in {home} now; --cache {OLD_CACHE} uses it, `latentmap cache rm --all "
            f"--cache {OLD_CACHE}` empties it"
        )


cache_option = option(
    "--cache",
    title=RUNNING,
    type=OutputFolder(),
    metavar="FOLDER",
    callback=_at_home,
    envvar="LATENTMAP_CACHE",
    show_envvar=True,
    help="The folder where codes are kept.  [default: one of your own for all, which `latentmap "
    "cache list` names]",
)
variables_option = number_option(
    "-k",
    "--variables",
    "k",
    metavar="K",
    help="How many variables lead, by information gain; their signs make 2^K sectors.  [default: "
    "7, or all of fewer]",
)
json_option = option(
    "--json",
    "as_json",
    title=OUTPUT,
    is_flag=True,
    help="Print the result as one JSON object.",
)
force_option = option("--force", title=OUTPUT, is_flag=True, help="Replace an output that exists.")


@dataclass(frozen=True)
class CoderOptions:
    """How codes are had, as given on the command line; ``precision`` is None where a map that is
    there decides it.
    """

    cache: Path
    precision: Any = None
    batch_size: int | None = None

    def open(self, data: DataOptions | None = None, *, recorded: Any = None) -> Coder:
        """The coder, with bars for its stages and lines for what the cache has to say.

        ``recorded`` is the precision of the codes that a map was fitted on.
        """
        from latentmap.cache import Coder, LatentCache
        from latentmap.cli.output import warn
        from latentmap.cli.progress import progress_bar

        precision: Any = self.precision or recorded or PRECISIONS[0]
        return Coder(
            LatentCache(self.cache, notify=warn),
            precision=precision,
            batch_size=self.batch_size,
            on_error="stop" if data is None else data.on_error,
            stage=progress_bar,
        )


def coder_options(command: Command, *, recorded: bool = False) -> Command:
    """Adds the options of how codes are had; the command gets them as ``coding: CoderOptions``.

    ``recorded`` is for commands on a map, whose file says in which precision its codes were had.
    """
    precision = recorded_precision_option if recorded else precision_option
    return together("coding", CoderOptions, cache_option, precision, batch_size_option)(command)
