"""latentmap apply: images or codes carried through a map."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DATA_CHOICES, DataOptions, data_options
from latentmap.cli.declaring import Command, number_option, output_option
from latentmap.cli.image_choice import SampleOptions, sample_options
from latentmap.cli.kinds import InputFile
from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    coder_options,
    loading_options,
    refuse_given,
    seed_option,
)
from latentmap.cli.output import say
from latentmap.cli.outputs import Outputs, figure_option, result_outputs

if TYPE_CHECKING:
    from latentmap.codes import Codes
    from latentmap.mapping import LinearMap
    from latentmap.relocation.distances import Distances
    from latentmap.relocation.relocating import Relocated


@click.command(cls=Command)
@map_argument
@src_override
@dst_override
@functools.partial(data_options, required=False)  # Samples or codes can stand in their place.
@functools.partial(sample_options, fewest=1, box=False)
@click.option(
    "--codes",
    "codes_in",
    type=InputFile(),
    metavar="FILE",
    help="Codes instead of images: a file of `latentmap cache export`, or any file of codes.",
)
@number_option("-n", "--images", "n_images", default=8, help="How many images the picture shows.")
@seed_option
@functools.partial(coder_options, recorded=True)
@loading_options
@result_outputs(
    figure_option("A picture of three rows: original, source reconstruction, relocated image."),
    output_option("--codes-out", "The mapped codes of all images, as .npz, .npy, .h5 or .parquet."),
)
@click.pass_context
def apply(
    context: click.Context,
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    samples: SampleOptions,
    codes_in: Path | None,
    n_images: int,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
) -> None:
    """Carry images from one model to another, as a picture; or codes, as a file.

    \b
    Examples:
      latentmap apply map.safetensors --data faces.zip --split test --figure grid.png
      latentmap apply map.safetensors --data faces.zip --codes-out mapped.npz
      latentmap apply map.safetensors --codes codes.npz --codes-out mapped.npz
      latentmap apply map.safetensors --samples 8 --figure grid.png
    """
    from latentmap.cli.map_options import load_model_of, models_for_size
    from latentmap.codes import read_codes
    from latentmap.mapping import LinearMap
    from latentmap.relocation import relocate
    from latentmap.relocation.distances import distances_of
    from latentmap.relocation.relocating import source_codes

    _check_usage(context, data, samples, codes_in, outputs)
    outputs.check()
    linear_map = LinearMap.load(map_path)
    mapped, moved, distances = None, None, None
    names = (linear_map.source.model, linear_map.target.model)
    if codes_in is not None:
        codes = read_codes(codes_in, space=linear_map.source, frame=linear_map.source_frame)
        mapped, distances = linear_map.apply(codes), distances_of(linear_map, codes)
    else:
        drawn = outputs.figure is not None or samples.n is not None
        if drawn or loading.image_size is not None:
            linear_map, source, target = models_for_size(
                linear_map, src=src, dst=dst, map_path=map_path, loading=loading
            )
        else:
            # For codes of a data set no target is needed.
            source = target = load_model_of(
                linear_map, "source", given=src, map_path=map_path, loading=loading
            )
        if drawn:
            outputs.require_images(target)
        coder = coding.open(data, recorded=linear_map.record.get("precision"))
        images = samples.open(data, linear_map, (source, target), coder, seed=seed)
        source, target = data.complete((source, target), images if data.path is None else None)
        names = (source.name, target.name)
        if outputs.codes_out is not None:
            codes = source_codes(linear_map, source, images, coder)
            mapped, distances = linear_map.apply(codes), distances_of(linear_map, codes)
        if outputs.figure is not None:
            shown = images.subset(range(min(n_images, len(images))))
            moved = relocate(linear_map, source, target, shown, coder)
            distances = moved.distances if distances is None else distances
    _write(linear_map, mapped, moved, distances, outputs, map_path=map_path, names=names)


def _write(
    linear_map: LinearMap,
    mapped: Codes | None,
    moved: Relocated | None,
    distances: Distances | None,
    outputs: Outputs,
    *,
    map_path: Path,
    names: tuple[str, str],
) -> None:
    """The codes and the picture, and what is said of them."""
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.codes import export_codes
    from latentmap.relocation.distances import distances_in_words
    from latentmap.relocation.section import relocation_grid

    found: dict[str, Any] = {"map": str(map_path)}
    lines = []
    if mapped is not None and outputs.codes_out is not None:
        provenance = {"map": str(linear_map), "record": dict(linear_map.record)}
        export_codes(mapped, outputs.codes_out, provenance=provenance, force=outputs.force)
        space = mapped.space.to_json()
        found |= {"codes": str(outputs.codes_out), "n": len(mapped), "space": space}
        lines.append(f"{outputs.codes_out}: {len(mapped)} codes in {mapped.space}")
    if moved is not None and outputs.figure is not None:
        n = len(moved.originals)
        outputs.draw(relocation_grid(moved, *names), outputs.figure)
        found |= {"picture": str(outputs.figure), "images": n}
        lines.append(f"{outputs.figure}: {n} images, relocated from {' to '.join(names)}")
    if distances is not None:
        found["distances"] = distances.to_json()
        lines.append(distances_in_words(distances))
    skipped = [name for part in (mapped, moved) if part is not None for name in part.skipped]
    found["skipped"] = list(dict.fromkeys(skipped))
    warn_skipped(found["skipped"])
    print_json(found) if outputs.as_json else say(*lines)


def _check_usage(
    context: click.Context,
    data: DataOptions,
    samples: SampleOptions,
    codes_in: Path | None,
    outputs: Outputs,
) -> None:
    figure = outputs.figure
    if figure is None and outputs.codes_out is None:
        raise click.UsageError("say what to write: --figure for a picture, --codes-out for codes")
    if (codes_in, data.path, samples.n).count(None) != 2:
        raise click.UsageError("give either images (--data or --samples) or codes (--codes)")
    if codes_in is None:
        samples.check(data)
        if samples.n is None:
            refuse_given(context, ["seed"], "without --samples")
            if figure is None:
                refuse_given(context, ["dst"], "without --figure, for codes need no target")
    elif figure is not None:
        raise click.UsageError("a picture (--figure) is made of images: give --data, not --codes")
    else:
        of_images = (*DATA_CHOICES, "sample_from", "label", "truncation", "src", "dst")
        of_models = ("precision", "batch_size", "seed")
        refuse_given(context, (*of_images, *of_models), "with --codes, all mapped by no model")
    if figure is None:
        refuse_given(context, ["n_images"], "without --figure")
