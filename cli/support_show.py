"""latentmap support show: what is in a support set, and whether it is what it claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.options import (
    DATA_CHOICES,
    DataOptions,
    data_options,
    force_option,
    json_option,
    refuse_given,
    seed_option,
)
from latentmap.cli.report_option import add_to_report, check_report, report_option

_MOST_OTHERS = 240  # Of a sector in its picture.

if TYPE_CHECKING:
    from latentmap.images import ImageSource
    from latentmap.report import Section
    from latentmap.support import SupportSet
    from latentmap.support.spread import Spread


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@lambda command: data_options(command, required=False)
@click.option(
    "--grid",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture of the images by sector; needs --data, unless the file holds the images.",
)
@click.option(
    "--occupancy",
    "occupancy_out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture of how many images every sector has, beside what the prior expects.",
)
@click.option(
    "--sector",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Only the images of this sector, and which others of the data are members of it; with "
    "--data the picture has these too, the first 240.",
)
@report_option
@seed_option
@json_option
@force_option
@click.pass_context
def show(
    context: click.Context,
    file: Path,
    data: DataOptions,
    grid: Path | None,
    occupancy_out: Path | None,
    sector: int | None,
    report: Path | None,
    seed: int,
    as_json: bool,
    force: bool,
) -> None:
    """Show a support set: its sectors, how far apart its images are, and its pictures.

    The mean squared distance between its images stands beside that between random images. How many
    images the sectors have is compared with the prior by a chi-square test. With --data distances
    are measured on these images; without, they are those of the build.

    \b
    Examples:
      latentmap support show support.h5 --data faces.zip --grid images.png --occupancy sectors.png
      latentmap support show support.h5 --sector 102 --data faces.zip --grid sector.png
    """
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.errors import SupportError
    from latentmap.files import refuse_equal
    from latentmap.report import as_text
    from latentmap.support import SupportSet
    from latentmap.support.occupancy import occupancies_of, occupancy_of
    from latentmap.support.spread import Spread, measure_spread
    from latentmap.support.tables import set_tables

    if data.path is None:
        refuse_given(context, (*DATA_CHOICES, "seed"), "without --data")
    refuse_equal({"--grid": grid, "--occupancy": occupancy_out, "--report": report})
    support = SupportSet.load(file)
    if sector is not None and sector >= len(support.occupancy):
        raise click.UsageError(
            f"--sector {sector}: the sectors of {file} are 0 to {len(support.occupancy) - 1}"
        )
    _check_pictures(support, data, grid, occupancy_out, file, force)
    check_report(report)
    images = None if data.path is None else data.open()
    spread = None
    if images is not None:
        spread = measure_spread(support, images, seed=seed, on_error=data.on_error)
        warn_skipped(spread.skipped)
    elif "spread" in support.settings:
        spread = Spread.from_json(support.settings["spread"])
    shown = support if sector is None else support.take(support.sector == sector)
    if grid is not None:
        from latentmap.report import save_figure
        from latentmap.support.figures import sector_grid

        if sector is not None and not len(shown):
            raise SupportError(
                f"{file} has no image of sector {sector}: it has {len(support)} of others"
            )
        pixels = shown.images
        if pixels is None:
            assert images is not None, "checked with the other pictures"
            pixels = shown.pixels_in(images)
        others = None
        if sector is not None and images is not None:
            others = shown.other_members_in(images, sector, most=_MOST_OTHERS)
        save_figure(sector_grid(shown, pixels, others=others), grid)
    if occupancy_out is not None:
        from latentmap.support.figures import save_occupancy

        title = f"{file.stem}: {support.space}"
        save_occupancy(occupancies_of(support), occupancy_out, title=title)
    add_to_report(report, lambda: _section(file.stem, support, images, spread))
    if as_json:
        result: dict[str, Any] = shown.to_json()
        if sector is not None:
            result["sector_members"] = support.members_of(sector).tolist()
        for name, threshold in (("at_threshold", None), ("by_side", 0.0)):
            result[name] = occupancy_of(support, threshold=threshold).to_json()
        result |= {"support_mse": None, "random_mse": None} | (spread.to_json() if spread else {})
        print_json(result)
        return
    click.echo(as_text(set_tables(support, spread, sector=sector)))


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


def _check_pictures(
    support: SupportSet,
    data: DataOptions,
    grid: Path | None,
    occupancy_out: Path | None,
    file: Path,
    force: bool,
) -> None:
    from latentmap.files import refuse_existing
    from latentmap.relocation.curves import require_plots
    from latentmap.report import require_picture_suffix

    if grid is not None:
        if support.images is None and data.path is None:
            raise click.UsageError(
                f"{file} holds no images: give the data that it was built from (--data), or build "
                "it with --with-images"
            )
        refuse_existing(grid, force=force)
        require_picture_suffix(grid)
    if occupancy_out is not None:
        if not support.settings["variables"]:
            raise click.UsageError(
                f"{file} was built without leading variables, so it has no sectors: build it with "
                "--variables"
            )
        refuse_existing(occupancy_out, force=force)
        require_plots(occupancy_out)
