"""latentmap support show: what is in a support set, and whether it is what it claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DATA_CHOICES, DataOptions, data_options
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import InputFile
from latentmap.cli.options import refuse_given, seed_option
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figures_option, report_option, result_outputs

_MOST_OTHERS = 240  # Of a sector in its picture.

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from latentmap.images import ImageSource
    from latentmap.report import Figure, Section
    from latentmap.support import SupportSet
    from latentmap.support.spread import Spread


@click.command(cls=Command)
@click.argument("file", type=InputFile(), metavar="FILE")
@lambda command: data_options(command, required=False)
@number_option(
    "--sector",
    least=0,
    metavar="NUMBER",
    help="Only the images of this sector, and which others of the data are members of it; with "
    "--data the picture has these too, the first 240.",
)
@seed_option
@result_outputs(
    figures_option(
        "Draw images, those of the set by sector (needs --data, unless the file holds them), and "
        "sectors: how many images every sector has beside what the prior expects."
    ),
    report_option,
)
@click.pass_context
def show(
    context: click.Context,
    file: Path,
    data: DataOptions,
    sector: int | None,
    seed: int,
    outputs: Outputs,
) -> None:
    """Show a support set: its sectors, how far apart its images are, and its pictures.

    The mean squared distance between its images stands beside that between random images. How many
    images the sectors have is compared with the prior by a chi-square test, whose p-value is by
    resampling. Relaxed images stand with how far they are from their sectors. With --data distances
    are measured on these images; without, they are those of the build.

    \b
    Examples:
      latentmap support show support.h5 --data faces.zip --figures pictures
      latentmap support show support.h5 --sector 102 --data faces.zip --figures pictures
    """
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.errors import SupportError
    from latentmap.report import as_text, require_figure
    from latentmap.support import SupportSet
    from latentmap.support.section import support_title
    from latentmap.support.spread import Spread, measure_spread
    from latentmap.support.tables import set_tables

    if data.path is None:
        refuse_given(context, (*DATA_CHOICES, "seed"), "without --data")
    outputs.check()
    support = SupportSet.load(file)
    if sector is not None and sector >= len(support.occupancy):
        raise click.UsageError(
            f"--sector {sector}: the sectors of {file} are 0 to {len(support.occupancy) - 1}"
        )
    if sector is not None and not (support.sector == sector).any() and outputs.figures is not None:
        raise SupportError(
            f"{file} has no image of sector {sector}: it has {len(support)} of others"
        )
    pictures = outputs.pictures(_drawn(support, data, file, outputs.figures))
    if "sectors" in pictures:
        require_figure(pictures["sectors"], plot=True)
    images = None if data.path is None else data.open()
    spread = None
    if images is not None:
        spread = measure_spread(support, images, seed=seed, on_error=data.on_error)
        warn_skipped(spread.skipped)
    elif support.settings.get("spread") is not None:
        spread = Spread.from_json(support.settings["spread"])
    shown = support if sector is None else support.take(support.sector == sector)
    outputs.draw_all(_figures(pictures, support, shown, images, sector, title=file.stem))
    outputs.add_to_report(lambda: _section(file.stem, support, images, spread))
    if outputs.as_json:
        print_json(_as_json(support, shown, sector, spread))
        return
    tables = set_tables(support, spread, sector=sector)
    show_result(as_text(tables), title=support_title(support, file.stem))
    for path in pictures.values():
        say(f"wrote {path}")


def _as_json(
    support: SupportSet, shown: SupportSet, sector: int | None, spread: Spread | None
) -> dict[str, Any]:
    from latentmap.support.occupancy import occupancies_of

    result: dict[str, Any] = shown.to_json()
    if sector is not None:
        result["sector_members"] = support.members_of(sector).tolist()
    occupancies = [one.to_json() for one in occupancies_of(support)]
    result |= {"at_threshold": occupancies[0], "by_side": occupancies[-1]}
    return result | {"support_mse": None, "random_mse": None} | (spread.to_json() if spread else {})


def _section(
    name: str,
    support: SupportSet,
    images: ImageSource | None,
    spread: Spread | None,
) -> Section:
    """The set for a report, with its images where they are known."""
    from latentmap.support.section import support_section

    pixels = support.images
    if pixels is None and images is not None:
        pixels = support.pixels_in(images)
    return support_section(support, spread, name=name, pixels=pixels)


def _drawn(support: SupportSet, data: DataOptions, file: Path, figures: Path | None) -> list[str]:
    """Which pictures there can be: of images that are known, of sectors where there are some."""
    names = {
        "images": support.images is not None or data.path is not None,
        "sectors": bool(support.settings["variables"]),
    }
    if figures is not None and not names["images"]:
        raise click.UsageError(
            f"{file} holds no images: give the data that it was built from (--data), or build it "
            "with --with-images"
        )
    return [name for name, there in names.items() if there]


def _figures(
    names: Collection[str],
    support: SupportSet,
    shown: SupportSet,
    images: ImageSource | None,
    sector: int | None,
    *,
    title: str,
) -> Iterator[tuple[str, Figure]]:
    from latentmap.support.figures import occupancy_plot, sector_grid
    from latentmap.support.occupancy import occupancies_of

    pixels = shown.images
    if pixels is None:
        assert images is not None, "checked with the other pictures"
        pixels = shown.pixels_in(images)
    others = None
    if sector is not None and images is not None:
        others = shown.other_members_in(images, sector, most=_MOST_OTHERS)
    yield "images", sector_grid(shown, pixels, others=others)
    if "sectors" in names:
        yield "sectors", occupancy_plot(occupancies_of(support), title=f"{title}: {support.space}")
