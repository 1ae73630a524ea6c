"""latentmap sample: images of random codes, or of given ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Reference
from latentmap.cli.options import (
    Loading,
    batch_size_option,
    class_option,
    loading_options,
    precision_option,
    refuse_given,
)
from latentmap.cli.output import say
from latentmap.cli.outputs import Outputs
from latentmap.cli.sample_options import Drawing, drawing_options, output_options

if TYPE_CHECKING:
    from latentmap.codes import Codes
    from latentmap.model import Model

# A test compares these with the library's own lists, which cannot be imported here without torch.
SPACE_KINDS = ("w", "z", "w+")
NOISE_MODES = ("const", "none", "random")
_BATCH = 8


@click.command(cls=Command)
@click.argument("reference", metavar="MODEL", type=Reference())
@drawing_options
@click.option(
    "--space",
    type=click.Choice(SPACE_KINDS),
    help="StyleGAN: the space that codes are in.  [default: w]",
)
@class_option
@click.option(
    "--noise",
    type=click.Choice(NOISE_MODES),
    help="StyleGAN: the stored noise maps, none, or new ones.  [default: const]",
)
@output_options
@loading_options
@precision_option
@batch_size_option
@click.pass_context
def sample(
    context: click.Context,
    reference: str,
    drawing: Drawing,
    outputs: Outputs,
    *,
    space: Any,
    label: int | None,
    noise: Any,
    loading: Loading,
    precision: Any,
    batch_size: int | None,
) -> None:
    """Draw codes from a model's prior, and show their images or keep them, or the codes.

    \b
    Examples:
      latentmap sample stylegan.safetensors -n 64 --truncation 0.7 --figure grid.png
      latentmap sample stylegan.safetensors -n 10000 --codes-out codes.h5
      latentmap sample stylegan.safetensors -n 10000 --out images.h5
      latentmap sample stylegan.safetensors --codes codes.h5 --figure again.png
    """
    from latentmap.cli.output import print_json
    from latentmap.encoders.sampling import adjust

    _check_usage(context, drawing, outputs, space=space, noise=noise)
    outputs.check()
    model = adjust(
        loading.one(reference),
        space="w+" if drawing.layered else space,
        noise=noise,
        noise_seed=drawing.seed,
        label=label,
        precision=None if precision == "float32" else precision,
    )
    model.require_decoder()
    if drawing.codes is None:
        _warn_of_prior(reference, model)
    codes = drawing.of(model)
    result: dict[str, Any] = {"model": reference, "space": codes.space.kind, "n": len(codes)}
    result |= _write(model, codes, drawing, outputs, batch_size=batch_size or _BATCH)
    if outputs.as_json:
        print_json(result)
        return
    if outputs.codes_out is not None:
        say(f"{outputs.codes_out}: {len(codes)} codes in {codes.space}")
    if outputs.out is not None:
        say(f"{outputs.out}: {len(codes)} images of {model.name} with their codes")
    if outputs.figure is not None:
        seconds = result["seconds"]
        say(f"{outputs.figure}: {len(codes)} images of {model.name} in {seconds:.1f} s")


def _warn_of_prior(reference: str, model: Model) -> None:
    """Says where the standard normal, which codes are drawn from, need not be that of images, or is
    known to be far from it.
    """
    from latentmap.cli.output import warn
    from latentmap.encoders import LATENT
    from latentmap.encoders.listing import describe_model
    from latentmap.encoders.normalising import far_from_prior
    from latentmap.encoders.references import parse_reference

    if model.space.kind == LATENT and model.prior is None:
        warn(
            f"{model.name} has no prior: codes are drawn from the standard normal, which those of "
            "images need not follow"
        )
        return
    given = parse_reference(reference)
    if given.scheme is not None:
        return  # What is not trained here has no record of it.
    header = describe_model(given.name).header
    line = far_from_prior(reference, header.training) if header.prior is None else None
    if line is not None:
        warn(line)


def _check_usage(
    context: click.Context, drawing: Drawing, outputs: Outputs, *, space: Any, noise: Any
) -> None:
    """Refuses options that contradict each other, or have no effect."""
    if outputs.out is None and outputs.figure is None and outputs.codes_out is None:
        raise click.UsageError(
            "say what to write: --out for images, --figure for a picture, --codes-out for codes"
        )
    if outputs.out is not None and (outputs.out.suffix != ".h5" or noise == "random"):
        raise click.UsageError(
            "--out writes a pack, with the suffix .h5, of images that can be made again: without "
            "--noise random; a picture of them is --figure"
        )
    if drawing.codes is not None:
        names = ["n", "truncation", "truncation_cutoff", "mix_from"]
        if noise != "random":  # Which has the same seed.
            names.append("seed")
        refuse_given(context, names, "with --codes, for none are drawn")
    if outputs.figure is None:
        refuse_given(context, ["batch_size"], "without --figure")
    if outputs.out is None and outputs.figure is None:
        refuse_given(context, ["noise"], "without --out or --figure")
    if drawing.layered and space not in (None, "w+"):
        raise click.UsageError(
            "--truncation-cutoff and --mix-from give every layer a code of its own: leave out "
            "--space, or give w+"
        )


def _write(
    model: Model, codes: Codes, drawing: Drawing, outputs: Outputs, *, batch_size: int
) -> dict[str, Any]:
    """Writes what is asked for, and tells where it is."""
    from latentmap.cli.output import command_line
    from latentmap.cli.progress import progress_bar
    from latentmap.codes import export_codes
    from latentmap.model import decode_all
    from latentmap.model.generated import pack_decoded
    from latentmap.report import mosaic

    written: dict[str, Any] = {}
    if outputs.codes_out is not None:
        seed, truncation = drawing.seed, drawing.truncation
        made_by = {"command": command_line(), "seed": seed, "truncation": truncation}
        export_codes(codes, outputs.codes_out, provenance=made_by, force=outputs.force)
        written["codes"] = str(outputs.codes_out)
    if outputs.out is not None:
        with progress_bar("decoding") as progress:
            pack_decoded(model, codes, outputs.out, progress=progress)
        written["images"] = str(outputs.out)
    if outputs.figure is not None:
        started = time.perf_counter()
        with progress_bar("decoding") as progress:
            images = decode_all(model, codes, batch_size=batch_size, progress=progress)
        written["picture"] = str(outputs.figure)
        written["seconds"] = time.perf_counter() - started
        outputs.draw(mosaic(images), outputs.figure)
    return written
