"""latentmap invert: codes of any images in any model, by its encoder or by search."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option, output_option
from latentmap.cli.kinds import Reference
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    batch_size_option,
    class_option,
    loading_options,
    refuse_given,
    seed_option,
)
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs
from latentmap.cli.sample import SPACE_KINDS
from latentmap.cli.search_options import (
    METHODS,
    WeightedSearchOptions,
    decoder_precision_option,
    weighted_search_options,
)
from latentmap.cli.unseen import tell_seen, unseen_images, unseen_option

if TYPE_CHECKING:
    from torch import Tensor

    from latentmap.codes import Codes
    from latentmap.inversion import Inverted
    from latentmap.model import Model


@click.command(cls=Command)
@click.argument("reference", metavar="MODEL", type=Reference())
@data_options
@unseen_option
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
@number_option("-n", "--images", "n_images", default=8, help="How many images the picture shows.")
@class_option
@seed_option
@loading_options
@decoder_precision_option
@batch_size_option
@result_outputs(
    output_option("--codes-out", "The codes, as .npz, .npy, .h5 or .parquet."),
    figure_option("A picture of the images over their reconstructions."),
    report_option,
)
@click.pass_context
def invert(
    context: click.Context,
    reference: str,
    data: DataOptions,
    unseen: bool,
    method: Any,
    space: Any,
    search: WeightedSearchOptions,
    n_images: int,
    label: int | None,
    seed: int,
    loading: Loading,
    precision: Any,
    batch_size: int | None,
    outputs: Outputs,
) -> None:
    """Find codes whose images are nearest to given ones, in any model, generators included.

    A search is held where 99.9 % of the model's own samples lie (--anywhere lets it go on); how far
    from their mean codes were found is printed. All images are in memory at once: choose some with
    --limit.

    \b
    Examples:
      latentmap invert gan.safetensors --data faces.zip --limit 64 --codes-out codes.h5
      latentmap invert stylegan.safetensors --data faces.zip --limit 64 --space w+ --figure grid.png
    """
    from latentmap.cli.output import command_line
    from latentmap.encoders.inverted import in_space
    from latentmap.encoders.sampling import adjust
    from latentmap.files.home import cache_home
    from latentmap.inversion import invert_images
    from latentmap.inversion.inverting import require_method
    from latentmap.inversion.section import inversion_in_words, inversion_section, inversion_title
    from latentmap.model import count_seen

    if method == "network":
        searching = ("steps", "starts", "perceptual", "prior", "anywhere")
        refuse_given(context, searching, "with --method network, which does not search")
    if outputs.figure is None:
        refuse_given(context, ["n_images"], "without --figure")
    outputs.check()
    model = adjust(loading.one(reference), label=label, precision=precision)
    if space is not None:
        model = in_space(model, space)
    require_method(model, method)
    images = data.open()
    if unseen:
        images = unseen_images(images, [model])
    started = time.perf_counter()
    codes, pixels, inverted = invert_images(
        model,
        images,
        CoderOptions(cache_home(), batch_size=batch_size).open(data),
        method=method,
        search=search.to_library(),
        seed=seed,
    )
    seconds = time.perf_counter() - started
    _write(outputs, model, codes, pixels[:n_images], inverted)
    chosen = {"data": images.fingerprint, "choice": images.choice.to_json()}
    record = {"command": command_line(), **chosen}
    said = inversion_in_words(codes, inverted, seconds)
    ids = codes.ids.tolist()
    outputs.add_to_report(
        lambda: inversion_section(model, pixels, inverted, ids=ids, said=said, record=record)
    )
    n_seen = count_seen([model], images.digests, images.groups)
    tell_seen(n_seen, len(images))
    made = {"model": reference, **chosen, "seconds": seconds, "n_seen": n_seen}
    _tell(codes, inverted, outputs, made, said=said, title=inversion_title(model, record))


def _tell(
    codes: Codes,
    inverted: Inverted,
    outputs: Outputs,
    made: dict[str, Any],
    said: str,
    *,
    title: str,
) -> None:
    from latentmap.cli.output import print_json, warn_skipped

    if outputs.as_json:
        result = {"model": made["model"], "space": codes.space.kind, **made}
        result |= {"skipped": list(codes.skipped), **inverted.to_json()}
        for name, entry in zip(codes.ids, result["images"], strict=True):
            entry["id"] = str(name)
        written = {"codes": outputs.codes_out, "picture": outputs.figure}
        print_json(result | {name: str(path) for name, path in written.items() if path})
        return
    say(said)
    show_result(inverted, title=title)
    for path in filter(None, (outputs.codes_out, outputs.figure)):
        say(f"wrote {path}")
    warn_skipped(codes.skipped)


def _write(outputs: Outputs, model: Model, codes: Codes, shown: Tensor, inverted: Inverted) -> None:
    """The codes, and a picture of the images ``shown`` over what the first codes decode to."""
    from latentmap.cli.output import command_line
    from latentmap.codes import export_codes
    from latentmap.model import decode_all
    from latentmap.report import image_grid

    if outputs.codes_out is not None:
        made_by = {"command": command_line(), "seed": inverted.seed, "method": inverted.method}
        made_by |= {"settings": inverted.to_json()["settings"]}
        export_codes(codes, outputs.codes_out, provenance=made_by, force=outputs.force)
    if outputs.figure is not None:
        decoded = decode_all(model, codes.read(0, len(shown)))
        rows = [("image", shown), (f"{model.name}, {inverted.method}", decoded)]
        outputs.draw(image_grid(rows), outputs.figure)
