"""latentmap apply: images or codes carried through a map."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    force_option,
)


@click.command()
@map_argument
@src_override
@dst_override
@data_options
@click.option(
    "--codes",
    "codes_in",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Codes instead of images: a .npz or .h5 file of `latentmap cache export`.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture of three rows: original, source reconstruction, relocated image.",
)
@click.option(
    "--codes-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The mapped codes of all images, .npz or .h5.",
)
@click.option(
    "-n",
    "--images",
    "n_images",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="How many images the picture shows.",
)
@cache_option
@device_option
@batch_size_option
@force_option
def apply(
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    codes_in: Path | None,
    out: Path | None,
    codes_out: Path | None,
    n_images: int,
    cache: Path,
    device: str,
    batch_size: int | None,
    force: bool,
) -> None:
    """Carry images from one model to another, as a picture; or codes, as a file.

    \b
    Examples:
      latentmap apply map.safetensors --data faces.zip --split test --out grid.png
      latentmap apply map.safetensors --data faces.zip --codes-out mapped.npz
      latentmap apply map.safetensors --codes codes.npz --codes-out mapped.npz
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.map_options import load_model_of
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.code_files import read_codes
    from latentmap.export import export_codes
    from latentmap.files import refuse_existing
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.relocation import relocate
    from latentmap.report.figures import relocation_grid, save_figure

    if out is None and codes_out is None:
        raise click.UsageError("say what to write: --out for a picture, --codes-out for codes")
    if (codes_in is None) == (data.path is None):
        raise click.UsageError("give either images (--data) or codes (--codes)")
    if codes_in is not None and out is not None:
        raise click.UsageError("a picture (--out) is made of images: give --data, not --codes")
    for path in (out, codes_out):
        if path is not None:
            refuse_existing(path, force=force)
    linear_map = LinearMap.load(map_path)
    provenance = {"map": str(linear_map), "record": dict(linear_map.record)}
    if codes_in is not None and codes_out is not None:
        codes = read_codes(codes_in, space=linear_map.source, frame=linear_map.source_frame)
        mapped = linear_map.apply(codes)
        export_codes(mapped, codes_out, provenance=provenance, force=force)
        click.echo(f"{codes_out}: {len(mapped)} codes in {mapped.space}")
        return
    images = data.open()
    source = load_model_of(linear_map, "source", given=src, map_path=map_path, device=device)
    if codes_out is not None:
        with progress_bar("encoding") as progress:
            encoded = LatentCache(cache, notify=warn).get_or_encode(
                source,
                images,
                batch_size=batch_size,
                on_error=data.on_error,
                progress=progress,
            )
        mapped = linear_map.apply(encoded)
        export_codes(mapped, codes_out, provenance=provenance, force=force)
        click.echo(f"{codes_out}: {len(mapped)} codes in {mapped.space}")
    if out is not None:
        target = load_model_of(linear_map, "target", given=dst, map_path=map_path, device=device)
        shown = images.subset(range(min(n_images, len(images))))
        moved = relocate(linear_map, source, target, shown, on_error=data.on_error)
        grid = relocation_grid(
            moved.originals,
            moved.reconstructions,
            moved.relocated,
            source=source.name,
            target=target.name,
        )
        save_figure(grid, out)
        click.echo(f"{out}: {len(shown)} images, relocated from {source.name} to {target.name}")


# Codes can stand in place of images.
next(parameter for parameter in apply.params if parameter.name == "data").required = False
