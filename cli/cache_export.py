"""latentmap cache export: the codes of an entry as one file, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import IMAGES, OUTPUT, Command, number_option, option, output_option
from latentmap.cli.kinds import Reference, Text
from latentmap.cli.options import cache_option, force_option, json_option
from latentmap.cli.output import say

if TYPE_CHECKING:
    from latentmap.codes import CodeFormat
    from latentmap.images import ImageSource

# A test compares these with the library's own, which would be imported for help alone.
FORMATS = ("npz", "npy", "h5", "parquet")


@click.command(cls=Command)
@click.argument("entry", required=False, metavar="[ENTRY]", type=Text())
@option(
    "--data",
    type=Reference(),
    title=IMAGES,
    metavar="PATH",
    help="The images that were encoded, for --thumbnails.",
)
@output_option("--out", "The file: .parquet, .npy, .npz or .h5.", required=True)
@option(
    "--format",
    "code_format",
    title=OUTPUT,
    type=click.Choice(FORMATS),
    help="Of the file.  [default: as its suffix says]",
)
@number_option(
    "--thumbnails",
    most=4096,
    metavar="PX",
    title=OUTPUT,
    help="Beside the codes in a .parquet the images of --data, which are found by id and must have "
    "the same contents, each with so many pixels at most on its longer side.",
)
@cache_option
@force_option
@json_option
def export(
    entry: str | None,
    data: str | None,
    out: Path,
    code_format: CodeFormat | None,
    thumbnails: int | None,
    cache: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write the codes of one entry to one file; ENTRY says which, when there are several.

    \b
    .npz, .h5   the arrays, or datasets, ids and codes
    .npy        the codes alone, and the ids in NAME.ids.txt beside it, one a line
    .parquet    a row an image, with the columns id and codes
                (pip install "latentmap[parquet]")

    All but .npy say of which space the codes are. Each is a file of codes that commands take in
    place of a model. Memory holds the ids and a block of codes, however many there are.

    \b
    Examples:
      latentmap cache export 3f2a --out codes.npz --cache codes
      latentmap cache export 3f2a --out codes.parquet --thumbnails 128 --data faces --cache codes
    """
    from latentmap.cache import Entries
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.codes import require_code_output
    from latentmap.codes.ids_file import ids_beside

    if (thumbnails is None) != (data is None):
        raise click.UsageError(
            "--thumbnails is of the images of --data: give both, or leave both out"
        )
    kind = require_code_output(out, force=force, format=code_format)
    if thumbnails is not None and kind != "parquet":
        raise click.UsageError(f"--thumbnails goes into .parquet, not {kind}: leave it out")
    entries = Entries(cache)
    prefix = entries.named(entry or "").id
    images = None if data is None else _images(cache, data)
    with progress_bar("thumbnails") as progress:
        pictures = None
        if images is not None and thumbnails is not None:
            from latentmap.images.thumbnails import Thumbnails

            pictures = Thumbnails(images, thumbnails, progress)
        codes = entries.export(
            out, prefix=prefix, force=force, format=code_format, thumbnails=pictures
        )
    ids = ids_beside(out) if kind == "npy" else None
    if as_json:
        space = {"fingerprint": codes.space.fingerprint, "space": codes.space.kind}
        written = {"codes": str(out), "format": kind, "ids": ids and str(ids)}
        print_json({**written, **space, "n": len(codes), "dim": codes.space.dim})
    else:
        also = "" if ids is None else f"; their ids are in {ids}"
        say(f"{out}: {len(codes)} codes in {codes.space}{also}")


def _images(cache: Path, data: str) -> ImageSource:
    """The images, with their contents, which the cache may know."""
    from latentmap.cache import LatentCache
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.images import open_images

    images = open_images(data, notify=warn)
    with progress_bar("reading images") as progress:
        images.examine(progress, store=LatentCache(cache).contents)
    return images
