"""latentmap apply: images or codes carried through a map."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.image_choice import SampleOptions, sample_options
from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    DATA_CHOICES,
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    force_option,
    refuse_given,
    seed_option,
)

if TYPE_CHECKING:
    from latentmap.images import ImageSource, View


@click.command()
@map_argument
@src_override
@dst_override
@functools.partial(data_options, required=False)  # Samples or codes can stand in their place.
@functools.partial(sample_options, fewest=1, view=False)
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
@seed_option
@cache_option
@device_option
@batch_size_option
@force_option
@click.pass_context
def apply(
    context: click.Context,
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    samples: SampleOptions,
    codes_in: Path | None,
    out: Path | None,
    codes_out: Path | None,
    n_images: int,
    seed: int,
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
      latentmap apply map.safetensors --samples 8 --out grid.png
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.map_options import load_model_of
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.codes import export_codes, read_codes, require_code_suffix
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap
    from latentmap.relocation import relocate
    from latentmap.report import require_picture_suffix, save_figure
    from latentmap.report.figures import relocation_grid

    if out is None and codes_out is None:
        raise click.UsageError("say what to write: --out for a picture, --codes-out for codes")
    if (codes_in, data.path, samples.n).count(None) != 2:
        raise click.UsageError("give either images (--data or --samples) or codes (--codes)")
    if codes_in is None:
        samples.check(data)
        if samples.n is None:
            refuse_given(context, ["seed"], "without --samples")
            if out is None:
                refuse_given(context, ["dst"], "without --out, for codes need no target")
        if codes_out is None:
            refuse_given(context, ["batch_size"], "without --codes-out")
    elif out is not None:
        raise click.UsageError("a picture (--out) is made of images: give --data, not --codes")
    else:
        of_images = (*DATA_CHOICES, "sample_from", "label", "src", "dst", "batch_size", "seed")
        refuse_given(context, of_images, "with --codes, all mapped by no model")
    if out is None:
        refuse_given(context, ["n_images"], "without --out")
    if out is not None:
        refuse_existing(out, force=force)
        require_picture_suffix(out)
    if codes_out is not None:
        refuse_existing(codes_out, force=force)
        require_code_suffix(codes_out)
    linear_map = LinearMap.load(map_path)
    provenance = {"map": str(linear_map), "record": dict(linear_map.record)}
    if codes_in is not None and codes_out is not None:
        codes = read_codes(codes_in, space=linear_map.source, frame=linear_map.source_frame)
        mapped = linear_map.apply(codes)
        export_codes(mapped, codes_out, provenance=provenance, force=force)
        click.echo(f"{codes_out}: {len(mapped)} codes in {mapped.space}")
        return
    skipped: dict[str, None] = {}
    source = load_model_of(linear_map, "source", given=src, map_path=map_path, device=device)
    target = source  # For codes of a data set no target is needed.
    if out is not None or samples.n is not None:
        target = load_model_of(linear_map, "target", given=dst, map_path=map_path, device=device)
    images = samples.open(data, linear_map, (source, target), seed=seed, cache=cache)
    if codes_out is not None:
        # A model's own samples have the codes that they were made of.
        encoded = images.codes_in(source.space)
        if encoded is None:
            with progress_bar("encoding") as progress:
                encoded = LatentCache(cache, notify=warn).get_or_encode(
                    source.seen_through(linear_map.source_frame),
                    images,
                    # Codes of another precision are not those that the map was fitted on.
                    precision=linear_map.record.get("precision", "float32"),
                    batch_size=batch_size,
                    on_error=data.on_error,
                    progress=progress,
                )
        mapped = linear_map.apply(encoded)
        export_codes(mapped, codes_out, provenance=provenance, force=force)
        click.echo(f"{codes_out}: {len(mapped)} codes in {mapped.space}")
        skipped |= dict.fromkeys(encoded.skipped)
    if out is not None:
        chosen = images.subset(range(min(n_images, len(images))))
        shown = _readable(chosen, source.view) if data.on_error == "skip" else chosen
        moved = relocate(linear_map, source, target, shown)
        grid = relocation_grid(
            moved.originals,
            moved.reconstructions,
            moved.relocated,
            source=source.name,
            target=target.name,
        )
        save_figure(grid, out)
        click.echo(f"{out}: {len(shown)} images, relocated from {source.name} to {target.name}")
        skipped |= dict.fromkeys(str(name) for name in chosen.ids if name not in shown.ids)
    for name in skipped:
        warn(f"skipped {name}: it could not be read")


def _readable(images: ImageSource, view: View) -> ImageSource:
    """Those of a few images that can be read."""
    import numpy as np

    batches = images.batches([view], batch_size=len(images), on_error="skip")
    return images.subset(np.concatenate([batch.positions for batch in batches]))
