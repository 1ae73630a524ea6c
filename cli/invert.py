"""latentmap invert: codes of any images in any model, by its encoder or by search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, output_option
from latentmap.cli.options import (
    CoderOptions,
    batch_size_option,
    class_option,
    device_option,
    force_option,
    json_option,
    refuse_given,
    seed_option,
)
from latentmap.cli.report_option import add_to_report, check_report, report_option
from latentmap.cli.sample import SPACE_KINDS
from latentmap.cli.search_options import METHODS, WeightedSearchOptions, weighted_search_options


@click.command(cls=Command)
@click.argument("reference", metavar="MODEL")
@data_options
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="search",
    show_default=True,
    help="By the encoder (or inversion network), by search, or by a search that starts there.",
)
@click.option(
    "--space",
    type=click.Choice(SPACE_KINDS),
    help="StyleGAN: the space that is searched.  [default: that of the model]",
)
@weighted_search_options
@output_option(
    "--codes-out",
    "The codes, .npz or .h5.",
    metavar="FILE",
)
@output_option(
    "--figure",
    "A picture of the images over their reconstructions.",
    metavar="PNG",
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
@report_option
@class_option
@seed_option
@device_option
@batch_size_option
@json_option
@force_option
@click.pass_context
def invert(
    context: click.Context,
    reference: str,
    data: DataOptions,
    method: Any,
    space: Any,
    search: WeightedSearchOptions,
    codes_out: Path | None,
    figure: Path | None,
    n_images: int,
    report: Path | None,
    label: int | None,
    seed: int,
    device: str,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Find codes whose images are nearest to given ones, in any model, generators included.

    All images are in memory at once: choose some with --limit.

    \b
    Examples:
      latentmap invert gan.safetensors --data faces.zip --limit 64 --codes-out codes.h5
      latentmap invert stylegan.safetensors --data faces.zip --limit 64 --space w+ --figure grid.png
    """
    from latentmap.cli.output import (
        check_outputs,
        command_line,
        print_json,
        warn_skipped,
    )
    from latentmap.codes import export_codes, require_code_suffix
    from latentmap.encoders import load
    from latentmap.encoders.inverted import in_space
    from latentmap.encoders.sampling import adjust
    from latentmap.inversion import invert_images
    from latentmap.inversion.inverting import require_method
    from latentmap.inversion.section import inversion_section
    from latentmap.model import decode_all
    from latentmap.printing import printable
    from latentmap.report import image_grid, require_picture_suffix, save_figure

    if method == "network":
        searching = ("steps", "starts", "perceptual", "prior")
        refuse_given(context, searching, "with --method network, which does not search")
    if figure is None:
        refuse_given(context, ["n_images"], "without --figure")
    check_outputs({"--codes-out": codes_out, "--figure": figure}, force=force, report=report)
    if codes_out is not None:
        require_code_suffix(codes_out)
    if figure is not None:
        require_picture_suffix(figure)
    check_report(report)
    model = adjust(load(reference, device=device), label=label)
    if space is not None:
        model = in_space(model, space)
    require_method(model, method)
    source = data.open()
    coder = CoderOptions(batch_size=batch_size).open(data)
    started = time.perf_counter()
    codes, images, inverted = invert_images(
        model, source, coder, method=method, search=search.to_library(), seed=seed
    )
    seconds = time.perf_counter() - started
    result: dict[str, Any] = {"model": reference, "space": codes.space.kind}
    result |= {"data": source.fingerprint, "seconds": seconds, "skipped": list(codes.skipped)}
    result |= inverted.to_json()
    for name, entry in zip(codes.ids, result["images"], strict=True):
        entry["id"] = str(name)
    if codes_out is not None:
        made_by = {"command": command_line(), "seed": seed, "method": method}
        made_by |= {"settings": result["settings"]}
        export_codes(codes, codes_out, provenance=made_by, force=force)
        result["codes"] = str(codes_out)
    if figure is not None:
        shown = images[:n_images]
        rows = [
            ("image", shown),
            (f"{model.name}, {method}", decode_all(model, codes.read(0, len(shown)))),
        ]
        save_figure(image_grid(rows), figure)
        result["picture"] = str(figure)
    record = {"command": command_line(), "data": source.fingerprint}
    add_to_report(report, lambda: inversion_section(model, images, inverted, record=record))
    if as_json:
        print_json(result)
        return
    worst = int(inverted.mse.argmax())
    click.echo(
        f"{len(codes)} images in {codes.space} by {method}: mse {inverted.mse.mean():.5f}, SSIM "
        f"{inverted.ssim.mean():.4f}, {seconds / len(codes):.2f} s an image; the worst is "
        f"{printable(str(codes.ids[worst]))} with mse {inverted.mse[worst]:.5f}"
    )
    for written in filter(None, (codes_out, figure)):
        click.echo(f"wrote {written}")
    warn_skipped(codes.skipped)
