"""``latentmap images``: look at images, or pack them for speed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import click

from latentmap.cli import options
from latentmap.cli.output import print_json
from latentmap.cli.progress import progress_bar


@click.group()
def images() -> None:
    """Look at images, or pack them for speed.

    \b
    Examples:
      latentmap images show --data faces.zip
      latentmap images pack --data faces.zip --frame celeba --size 64 --out faces.h5
    """


@images.command()
@options.data_options
@options.frame_option
@options.resize_option
@options.size_option
@options.channels_option
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.h5",
    help="The pack to write.",
)
@options.force_option
@options.json_option
def pack(
    data: options.DataOptions,
    frame: str | None,
    resize: Any,
    size: tuple[int, int] | None,
    channels: Literal[1, 3] | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
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
    view = source.view(
        frame=frame, resize=resize, size=size, channels=None if channels is None else int(channels)
    )
    with progress_bar("packing") as progress:
        result = pack_images(source, view, out, progress=progress, on_error=data.on_error)
    if as_json:
        record = {
            "path": str(out),
            "count": result.count,
            "skipped": list(result.skipped),
            **result.packed.to_json(),
        }
        print_json(record)
        return
    height, width = view.size
    colour = "grey" if view.channels == 1 else "RGB"
    click.echo(
        f"{out}: {result.count} images, {height}x{width} {colour}, frame {view.frame.name}"
        + (f", resized with {view.frame.resize}" if result.packed.resized else "")
    )
    _list_skipped(result.skipped)


@images.command()
@options.data_options
@options.json_option
def show(data: options.DataOptions, as_json: bool) -> None:
    """Count images, their sizes, channels and splits, and tell their fingerprint.

    \b
    Example:
      latentmap images show --data train-images-idx3-ubyte.gz
    """
    source = data.open()
    with progress_bar("reading") as progress:
        contents = source.examine(progress)
    shapes = Counter(map(tuple, contents.shapes.tolist()))
    unreadable = shapes.pop((0, 0, 0), 0)
    splits = Counter(source.splits.tolist())
    record = {
        "path": source.path,
        "count": len(source),
        "fingerprint": source.fingerprint,
        "shapes": [
            {"height": height, "width": width, "channels": channels, "count": count}
            for (height, width, channels), count in shapes.most_common()
        ],
        "unreadable": unreadable,
        "splits": {name: splits[name] for name in options.SPLITS},
        "packed": source.packed and source.packed.to_json(),
        "first_ids": source.ids[:3].tolist(),
    }
    if as_json:
        print_json(record)
        return
    click.echo(f"{source.path}: {len(source)} images, such as {', '.join(record['first_ids'])}")
    for (height, width, channels), count in shapes.most_common(5):
        click.echo(f"  {count} of {height}x{width}, {'grey' if channels == 1 else 'RGB'}")
    if len(shapes) > 5:
        click.echo(f"  and {len(shapes) - 5} other sizes")
    if unreadable:
        click.echo(f"  {unreadable} whose head cannot be read")
    click.echo("  " + ", ".join(f"{name} {splits[name]}" for name in options.SPLITS))
    if source.packed is not None:
        view = source.packed.view
        click.echo(f"  packed: frame {view.frame.name}, {view.frame.resize}")
    click.echo(f"  fingerprint {source.fingerprint}")


def _list_skipped(messages: tuple[str, ...]) -> None:
    if messages:
        click.echo(f"{len(messages)} skipped:", err=True)
        for message in messages:
            click.echo(f"  {message}", err=True)
