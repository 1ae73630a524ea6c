"""``latentmap images``: look at images, or pack them for speed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import SPLITS, DataOptions, data_options
from latentmap.cli.declaring import Group, number_option, output_option
from latentmap.cli.kinds import InputPath
from latentmap.cli.options import force_option, json_option, seed_option
from latentmap.cli.output import print_json, say
from latentmap.cli.progress import progress_bar
from latentmap.cli.view_options import ViewOptions, view_options

if TYPE_CHECKING:
    from latentmap.images import ImageSource

_NAMED = 3  # Images that cannot be read; nobody repairs more at a time.


@click.group(cls=Group)
def images() -> None:
    """Look at images, or pack them for speed.

    \b
    Examples:
      latentmap images show --data faces.zip
      latentmap images index faces --out faces.index
      latentmap images pack --data faces.zip --frame celeba --size 64 --out faces.h5
    """


@images.command()
@data_options
@view_options
@output_option("--out", "The pack to write.", metavar="FILE.h5", required=True)
@force_option
@json_option
def pack(data: DataOptions, view: ViewOptions, out: Path, force: bool, as_json: bool) -> None:
    """Decode images once into one file that every command takes as --data.

    Ids, digests and splits are those of the original images.

    \b
    Example:
      latentmap images pack --data img_align_celeba.zip --frame celeba --size 64 --out faces.h5
    """
    from latentmap.errors import OutputError
    from latentmap.files import refuse_existing
    from latentmap.images import pack_images

    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise OutputError(f"a pack is an HDF5 file: call it {out.with_suffix('.h5')}, not {out}")
    refuse_existing(out, force=force)
    source = data.open()
    with progress_bar("reading") as progress:
        source.examine(progress)
    seen = view.of(source)
    with progress_bar("packing") as progress:
        result = pack_images(source, seen, out, progress=progress, on_error=data.on_error)
    if as_json:
        record = {
            "path": str(out),
            "count": result.count,
            "skipped": list(result.skipped),
            **result.packed.to_json(),
        }
        print_json(record)
        return
    height, width = seen.size
    colour = "grey" if seen.channels == 1 else "RGB"
    say(
        f"{out}: {result.count} images, {height}x{width} {colour}, frame {seen.frame.name}"
        + (f", resized with {seen.frame.resize}" if result.packed.resized else "")
    )
    _list_skipped(result.skipped)


@images.command()
@click.argument("folder", type=InputPath())
@output_option("--out", "The index to write.", metavar="FILE.index", required=True)
@force_option
@json_option
def index(folder: Path, out: Path, force: bool, as_json: bool) -> None:
    """List the images of a folder once, so that no command walks through it again.

    Every command takes the index as --data, and the images are those of the folder. What is added
    to the folder later is not in it. Write it beside the folder, and both may be moved.

    \b
    Example:
      latentmap images index faces --out faces.index
    """
    from latentmap.errors import OutputError
    from latentmap.files import refuse_existing
    from latentmap.images.indexing import write_index

    if out.suffix != ".index":
        raise OutputError(f"an index ends so: call it {out.with_suffix('.index')}, not {out}")
    refuse_existing(out, force=force)
    with progress_bar("writing") as progress:
        found = write_index(folder, out, progress=progress)
    if as_json:
        print_json({"path": str(out), "count": found.images, "others": found.others})
        return
    more = f", {found.others:,} other files passed over" if found.others else ""
    say(f"{out}: {found.images:,} images of {folder}{more}")


@images.command()
@number_option("--n", most=737_280, default=20_000, help="Sprites, all different.")
@output_option("--out", "The sprites to write.", metavar="FILE.npz", required=True)
@seed_option
@force_option
@json_option
def sprites(n: int, out: Path, seed: int, force: bool, as_json: bool) -> None:
    """Draw white shapes on black, 64x64, whose five factors are known.

    A square, an ellipse or a heart, in one of six scales and forty orientations, at one of 32 x 32
    places, drawn at random; the file has their factors beside the images.

    \b
    Example:
      latentmap images sprites --n 20000 --out sprites.npz
    """
    from latentmap.errors import OutputError
    from latentmap.files import refuse_existing
    from latentmap.images.sprites import write_sprites

    if out.suffix.lower() != ".npz":
        raise OutputError(f"sprites are a numpy file: call it {out.with_suffix('.npz')}, not {out}")
    refuse_existing(out, force=force)
    with progress_bar("drawing") as progress:
        write_sprites(out, n, seed=seed, progress=progress)
    if as_json:
        print_json({"file": str(out), "n": n, "seed": seed})
    else:
        say(f"{out}: {n:,} sprites of 64x64 pixels, and their factors")


@images.command()
@data_options
@json_option
def show(data: DataOptions, as_json: bool) -> None:
    """Count images, their sizes, channels and splits, and tell their fingerprint.

    \b
    Example:
      latentmap images show --data train-images-idx3-ubyte.gz
    """
    from latentmap.images.formats import count_suffixes

    source = data.open()
    with progress_bar("reading") as progress:
        contents = source.examine(progress)
    shapes = Counter(map(tuple, contents.shapes.tolist()))
    unreadable = shapes.pop((0, 0, 0), 0)
    splits = Counter(source.splits.tolist())
    brightness = source.brightness()
    record = {
        "path": source.path,
        "count": len(source),
        "fingerprint": source.fingerprint,
        "choice": source.choice.to_json(),
        "shapes": [
            {"height": height, "width": width, "channels": channels, "count": count}
            for (height, width, channels), count in shapes.most_common()
        ],
        "unreadable": unreadable,
        "splits": {name: splits[name] for name in SPLITS},
        "split_rule": source.split_rule,
        "values": [
            {"low": extent.low, "high": extent.high, "white": extent.white}
            for extent in brightness.extents
        ],
        "looked_at": brightness.looked,
        "passed_over": len(source.passed_over),
        "packed": source.packed and source.packed.to_json(),
        "first_ids": source.ids[:3].tolist(),
    }
    if as_json:
        print_json(record)
        return
    say(f"{source.choice}: {len(source)} images, such as {', '.join(record['first_ids'])}")
    for (height, width, channels), count in shapes.most_common(5):
        say(f"  {count} of {height}x{width}, {'grey' if channels == 1 else 'RGB'}")
    if len(shapes) > 5:
        say(f"  and {len(shapes) - 5} other sizes")
    if unreadable:
        say(f"  {unreadable} whose head cannot be read")
        _list_unreadable(source)
    if brightness.extents:
        say(f"  values {brightness}")
    parts = ", ".join(f"{name} {splits[name]}" for name in SPLITS)
    say(f"  {parts}: {source.split_rule}")
    if source.passed_over:
        kinds = count_suffixes(source.passed_over)
        say(f"  {len(source.passed_over)} other files passed over: {kinds}")
    if source.packed is not None:
        view = source.packed.view
        say(f"  packed: frame {view.frame.name}, {view.frame.resize}")
    say(f"  fingerprint {source.fingerprint}")


def _list_unreadable(source: ImageSource) -> None:
    from latentmap.errors import ImageError

    places = [place for place, shape in enumerate(source.shapes) if not shape.any()]
    for place in places[:_NAMED]:
        try:
            source.read(place)
        except ImageError as error:
            say(f"    {error}")


def _list_skipped(messages: tuple[str, ...]) -> None:
    if messages:
        say(f"{len(messages)} skipped:", err=True)
        for message in messages:
            say(f"  {message}", err=True)
