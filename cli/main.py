"""The command ``latentmap``: a group that loads a command when it is asked for.

Here alone errors become messages: what latentmap or the operating system refuses is one line on
stderr and exit code 1, wrong usage is exit code 2, Ctrl-C is one line and 130. Anything else is a
fault of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import click

from latentmap.cli.kinds import Text
from latentmap.cli.output import note_words, say
from latentmap.errors import LatentmapError
from latentmap.limits import LIMITS, raised_limits
from latentmap.printing import one_line

# A group without a command shows its help by an error, from click 8.2 on.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
_OUT_OF_MEMORY = (
    "there is not enough memory for this: ask for less at a time (--batch-size, --limit), or for "
    "smaller sizes and widths"
)


class _Entry(NamedTuple):
    module: str
    attribute: str
    help: str


# In the order of use. Help for the group reads this table and imports no command.
COMMANDS = {
    "demo": _Entry("latentmap.cli.demo", "demo", "The main commands on the bundled models."),
    "images": _Entry("latentmap.cli.images", "images", "Look at images, or pack them for speed."),
    "train": _Entry("latentmap.cli.train", "train", "Train a model on images."),
    "import": _Entry(
        "latentmap.cli.import_checkpoint",
        "import_command",
        "Convert somebody else's checkpoint to a model file.",
    ),
    "models": _Entry("latentmap.cli.models", "models", "List, describe and normalise models."),
    "sample": _Entry("latentmap.cli.sample", "sample", "Images of random codes, or of given ones."),
    "encode": _Entry("latentmap.cli.encode", "encode", "Encode images with models into a cache."),
    "cache": _Entry("latentmap.cli.cache", "cache", "List, verify, remove or export cached codes."),
    "frames": _Entry(
        "latentmap.cli.frames", "frames", "Find what of one model's images another sees."
    ),
    "fit": _Entry("latentmap.cli.fit", "fit", "Fit a map from one latent space to another."),
    "evaluate": _Entry("latentmap.cli.evaluate", "evaluate", "Score a map on images."),
    "apply": _Entry("latentmap.cli.apply", "apply", "Carry images or codes through a map."),
    "map": _Entry(
        "latentmap.cli.map", "map_group", "Describe, compose and invert maps; shared factors."
    ),
    "compare": _Entry("latentmap.cli.compare", "compare", "Compare the spaces of several models."),
    "invert": _Entry("latentmap.cli.invert", "invert", "Find codes of any images in any model."),
    "support": _Entry(
        "latentmap.cli.support", "support", "A few real images far apart in a latent space."
    ),
    "explore": _Entry("latentmap.cli.explore", "explore", "Move codes, live, in several models."),
    "bench": _Entry(
        "latentmap.cli.bench", "bench", "Measure which images a generator cannot make."
    ),
    "diagnose": _Entry("latentmap.cli.diagnose", "diagnose", "What a VAE's latent variables do."),
    "trace": _Entry(
        "latentmap.cli.trace", "trace", "What a VAE's variables did while it was trained."
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use, and which turns errors into messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        note_words(ctx, args)
        with _readable_refusals():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, COMMANDS)
            advice = f"did you mean {' or '.join(close)}?" if close else "see latentmap --help"
            ctx.fail(f"no command {name!r}: {advice}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        with _noting_interrupts() as interrupts:
            try:
                with _readable_refusals():
                    return super().invoke(ctx)
            except (click.exceptions.Exit, click.ClickException):
                raise
            except KeyboardInterrupt:
                _end(ctx)
            except Exception as error:
                if interrupts:
                    _end(ctx)
                if isinstance(error, LatentmapError):
                    raise click.ClickException(str(error)) from error
                if _is_out_of_memory(error):
                    raise click.ClickException(_OUT_OF_MEMORY) from error
                # A reader that has gone is left to click, which ends without a word.
                if isinstance(error, OSError) and error.errno != errno.EPIPE:
                    file = f"{error.filename}: " if error.filename else ""
                    raise click.ClickException(
                        one_line(
                            f"{file}{error.strerror or error}; check the path, the permissions and "
                            "the space on the disk"
                        )
                    ) from error
                raise


@contextmanager
def _readable_refusals() -> Iterator[None]:
    """Wrong usage quotes the words of the command line, which may be names of files."""
    try:
        yield
    except _HELP:
        raise
    except click.ClickException as error:
        vars(error)["message"] = one_line(error.message)  # Final for type checkers.
        raise


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Ctrl-C does what it always does, and is noted: an import that it stops may end in any error,
    or in none.
    """
    noted: list[int] = []
    known = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    # Elsewhere than in the main thread, or where somebody else takes care of it, it is left alone.
    if (
        known is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield noted
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, known)


def _end(ctx: click.Context) -> NoReturn:
    say(
        "",
        "Interrupted: what was finished is kept, nothing is half written; "
        "run the same command again to go on (train: add --resume).",
        err=True,
    )
    ctx.exit(130)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory; what torch raises for it is no class of its own on a
    processor.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "memory" in str(error) and "alloc" in str(error)
    )


class _LimitType(Text):
    """``NAME=N``: a limit for files, and the new one."""

    name = "NAME=N"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        name, _, text = str(super().convert(value, param, ctx)).partition("=")
        # What is longer is no number of bytes, pixels or seconds.
        if name not in LIMITS or not (text.isascii() and text.isdigit() and len(text) <= 18):
            self.fail(
                f"must be one of {', '.join(LIMITS)}, and a number: memory=4000000000", param, ctx
            )
        if int(text) < 1:
            self.fail(f"the limit {name} must be positive", param, ctx)
        return name, int(text)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--limit",
    "limits",
    type=_LimitType(),
    multiple=True,
    help=f"How much a file may ask for: {', '.join(LIMITS)}. May be given several times.",
)
@click.version_option(package_name="latentmap", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context, limits: tuple[tuple[str, int], ...]) -> None:
    """Maps between the latent spaces of models of images.

    \b
    The main path:
      latentmap train vae --data IMAGES --split train --out a.safetensors
      latentmap train split-vae --data IMAGES --split train --out b.safetensors
      latentmap fit --src a.safetensors --dst b.safetensors --data IMAGES --out map.safetensors
      latentmap apply map.safetensors --data IMAGES --figure grid.png

    Each command has its own --help with an example.
    """
    ctx.with_resource(raised_limits(dict(limits)))
