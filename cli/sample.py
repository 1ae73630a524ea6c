"""latentmap sample: images of random codes, or of given ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from latentmap.cli.options import (
    NumberRange,
    batch_size_option,
    class_option,
    device_option,
    force_option,
    json_option,
    precision_option,
    refuse_given,
    seed_option,
)

# A test compares these with the library's own lists, which cannot be imported here without torch.
SPACE_KINDS = ("w", "z", "w+")
NOISE_MODES = ("const", "none", "random")
_BATCH = 8
_SAMPLES = 64


@click.command()
@click.argument("reference", metavar="MODEL")
@click.option(
    "-n",
    "--samples",
    "n",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many codes are drawn.  [default: 64]",
)
@click.option(
    "--codes",
    "codes_in",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Decode these codes instead of drawn ones: a .npz or .h5 file of this model's codes.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="One picture of all images.",
)
@click.option(
    "--codes-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The codes, .npz or .h5.",
)
@click.option(
    "--images-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The images with their codes, as a pack (.h5) that --data takes everywhere.",
)
@click.option(
    "--truncation",
    type=NumberRange(min=0),
    default=1.0,
    show_default=True,
    metavar="PSI",
    help="Below 1, codes are drawn towards the mean: more typical images, less different.",
)
@click.option(
    "--truncation-cutoff",
    type=click.IntRange(min=0),
    metavar="LAYER",
    help="StyleGAN: truncate only the layers before this one; the codes are in w+ then.",
)
@click.option(
    "--mix-from",
    type=click.IntRange(min=0),
    metavar="LAYER",
    help="StyleGAN: layers from this one on take a second sample; the codes are in w+ then.",
)
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
@seed_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
@click.pass_context
def sample(
    context: click.Context,
    reference: str,
    n: int | None,
    codes_in: Path | None,
    out: Path | None,
    codes_out: Path | None,
    images_out: Path | None,
    truncation: float,
    truncation_cutoff: int | None,
    mix_from: int | None,
    space: Any,
    label: int | None,
    noise: Any,
    seed: int,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Draw codes from a model's prior, and show their images or keep them, or the codes.

    \b
    Examples:
      latentmap sample stylegan.safetensors -n 64 --truncation 0.7 --out grid.png
      latentmap sample stylegan.safetensors -n 10000 --codes-out codes.h5
      latentmap sample stylegan.safetensors -n 10000 --images-out images.h5
      latentmap sample stylegan.safetensors --codes codes.h5 --out again.png
    """
    from latentmap.cli.output import command_line, print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.codes import export_codes, read_codes, require_code_suffix
    from latentmap.encoders import load
    from latentmap.encoders.sampling import adjust, draw_codes
    from latentmap.files import refuse_equal, refuse_existing
    from latentmap.model import decode_all
    from latentmap.model.generated import pack_decoded
    from latentmap.report import mosaic, require_picture_suffix, save_figure

    if out is None and codes_out is None and images_out is None:
        raise click.UsageError(
            "say what to write: --out for a picture, --codes-out for codes, --images-out for images"
        )
    if images_out is not None and (images_out.suffix != ".h5" or noise == "random"):
        raise click.UsageError(
            "--images-out writes a pack, with the suffix .h5, of images that can be made again: "
            "without --noise random"
        )
    layered = truncation_cutoff is not None or mix_from is not None
    if codes_in is not None:
        drawing = ["n", "truncation", "truncation_cutoff", "mix_from"]
        if noise != "random":  # Which has the same seed.
            drawing.append("seed")
        refuse_given(context, drawing, "with --codes, for none are drawn")
    if out is None:
        refuse_given(context, ["batch_size"], "without --out")
    if out is None and images_out is None:
        refuse_given(context, ["noise"], "without --out or --images-out")
    if layered and space not in (None, "w+"):
        raise click.UsageError(
            "--truncation-cutoff and --mix-from give every layer a code of its own: leave out "
            "--space, or give w+"
        )
    refuse_equal({"--out": out, "--codes-out": codes_out, "--images-out": images_out})
    if out is not None:
        refuse_existing(out, force=force)
        require_picture_suffix(out)
    if codes_out is not None:
        refuse_existing(codes_out, force=force)
        require_code_suffix(codes_out)
    if images_out is not None:
        refuse_existing(images_out, force=force)
    model = adjust(
        load(reference, device=device),
        space="w+" if layered else space,
        noise=noise,
        noise_seed=seed,
        label=label,
        precision=None if precision == "float32" else precision,
    )
    if codes_in is not None:
        codes = read_codes(codes_in, space=model.space, frame=model.frame)
    else:
        codes = draw_codes(
            model,
            n or _SAMPLES,
            seed=seed,
            truncation=truncation,
            truncation_cutoff=truncation_cutoff,
            mix_from=mix_from,
        )
    result: dict[str, Any] = {"model": reference, "space": codes.space.kind, "n": len(codes)}
    if codes_out is not None:
        made_by = {"command": command_line(), "seed": seed, "truncation": truncation}
        export_codes(codes, codes_out, provenance=made_by, force=force)
        result["codes"] = str(codes_out)
    if images_out is not None:
        with progress_bar("decoding") as progress:
            pack_decoded(model, codes, images_out, progress=progress)
        result["images"] = str(images_out)
    if out is not None:
        started = time.perf_counter()
        with progress_bar("decoding") as progress:
            images = decode_all(model, codes, batch_size=batch_size or _BATCH, progress=progress)
        result["picture"] = str(out)
        result["seconds"] = time.perf_counter() - started
        save_figure(mosaic(images), out)
    if as_json:
        print_json(result)
        return
    if codes_out is not None:
        click.echo(f"{codes_out}: {len(codes)} codes in {codes.space}")
    if images_out is not None:
        click.echo(f"{images_out}: {len(codes)} images of {model.name} with their codes")
    if out is not None:
        click.echo(f"{out}: {len(codes)} images of {model.name} in {result['seconds']:.1f} s")
