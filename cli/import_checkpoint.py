"""latentmap import: somebody else's checkpoint as a model file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.declaring import Command, option, output_option
from latentmap.cli.kinds import InputFile, InputPath
from latentmap.cli.options import force_option, json_option, refuse_given
from latentmap.cli.output import say
from latentmap.cli.unsaid_options import unsaid_options
from latentmap.cli.view_options import frame_option, resize_option
from latentmap.encoders.checkpoints.unsaid import Unsaid

if TYPE_CHECKING:
    from latentmap.encoders.checkpoints.importing import Checkpoint

_WIDTH = 60  # Of the names of tensors, before their shapes.


@click.command("import", cls=Command)
@click.argument("file", metavar="FILE", type=InputPath())
@output_option("--out", "The model file to write, .safetensors.", metavar="MODEL")
@click.option(
    "--inspect",
    is_flag=True,
    help="Only tell what is in the file, and what an import would make of it.",
)
@click.option("--tensors", is_flag=True, help="With --inspect: every tensor and its shape, too.")
@option(
    "--decoder",
    type=InputFile(),
    metavar="FILE",
    help="The file of the decoder, where FILE holds the encoder of an autoencoder alone.",
)
@frame_option
@resize_option
@unsaid_options
@json_option
@force_option
def import_command(
    file: Path,
    out: Path | None,
    inspect: bool,
    tensors: bool,
    decoder: Path | None,
    frame: str | None,
    resize: Any,
    unsaid: Unsaid,
    as_json: bool,
    force: bool,
) -> None:
    """Convert somebody else's checkpoint to a model file.

    The format is found by the content: pickles of NVIDIA's StyleGAN repositories (PyTorch and
    TensorFlow), rosinality's .pt (also inside pSp, e4e and ReStyle files), genforce's .pth, the
    StyleGAN1 ports of lernapparat and huangzh13, the Split-VAE as Keras saves it: weights (.h5), a
    whole model (.h5, .keras), a TensorFlow checkpoint (its prefix or its .index); the tiny
    autoencoders of the TAESD family (an encoder, its --decoder, or either alone); the VAE of
    PyTorch's examples, DCGAN generators and LeNet-5; and plain chains of linear layers,
    convolutions and batch norms, with the options that say what a file does not. No code in the
    file is run, and none of the original programs is needed.

    \b
    Examples:
      latentmap import ffhq.pkl --out ffhq.safetensors
      latentmap import --inspect ffhq.pkl
      latentmap import checkpoints/ckpt-40 --out svae.safetensors
      latentmap import taef2_encoder.pth --decoder taef2_decoder.pth --out taef2.safetensors
    """
    from latentmap.cli.output import command_line, print_json
    from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
    from latentmap.encoders.native import save_model
    from latentmap.files import refuse_existing
    from latentmap.frames import Frame

    if inspect == (out is not None):
        raise click.UsageError("give either --out, for the model file to write, or --inspect")
    if tensors and not inspect:
        raise click.UsageError("--tensors goes with --inspect")
    if out is None:
        names = ["decoder", "frame", "resize", *(field.name for field in fields(Unsaid))]
        refuse_given(click.get_current_context(), names, "with --inspect")
        checkpoint = inspect_checkpoint(file)
        if as_json:
            print_json({"import": checkpoint.prospect(), **checkpoint.describe()})
        else:
            say(*_outline(checkpoint, tensors=tensors))
        return
    refuse_existing(out, force=force)
    default = Frame()
    model, record = import_checkpoint(
        file,
        decoder=decoder,
        frame=Frame(frame or default.name, resize or default.resize),
        unsaid=unsaid,
    )
    save_model(model, out, training={"command": command_line(), **record})
    if as_json:
        print_json(
            {
                "model": str(out),
                "family": model.family,
                "fingerprint": model.fingerprint,
                "config": model.config,
                **record,
            }
        )
        return
    height, width = model.image_shape[1:]
    say(f"{out}: {model.family}, {height}x{width} pixels, {model.space}")
    for note in record["imported"]["notes"]:
        say(f"  note: {note}", err=True)


def _outline(checkpoint: Checkpoint, *, tensors: bool) -> list[str]:
    """What is in the file, for people: first what an import would make of it."""
    found = checkpoint.describe()
    lines = [
        *_prospect(checkpoint),
        f"  {found['format']}",
        f"  {found['container']}, {found['size']:,} bytes, sha256 {found['sha256']}",
    ]
    for network in found["networks"]:
        made_by = f", class {network['class']}" if network["class"] else ""
        types = ", ".join(sorted({*network["types"].values()}))
        lines.append(
            f"{network['name']}: {network['kind']}{made_by}, {network['parameters']:,} numbers in "
            f"{len(network['tensors'])} tensors of {types}"
        )
        if network["source_sha256"]:
            lines.append(f"  source text, not run: sha256 {network['source_sha256']}")
        if network["guess"]:
            lines.append(f"  may be: {network['guess']}")
        lines += [f"  {name} = {value}" for name, value in network["arguments"].items()]
        width = min(_WIDTH, max(map(len, network["tensors"]), default=0))
        for name, shape in network["tensors"].items() if tensors else ():
            size = "x".join(map(str, shape)) or "number"
            lines.append(f"  {name:<{width}}  {size}  {network['types'][name]}")
    if found["networks"] and not tensors:
        lines.append("(--tensors lists the tensors)")
    if found["options"]:
        lines.append("training options")
        lines += [f"  {name} = {value}" for name, value in found["options"].items()]
    if found["unknown"]:
        lines.append("names that were kept as names, not looked up")
        lines += [f"  {name}" for name in found["unknown"]]
    return lines


def _prospect(checkpoint: Checkpoint) -> list[str]:
    """What an import would make of the file."""
    found = checkpoint.prospect()
    if not found["possible"]:
        return [f"{checkpoint.path}: cannot be imported: {found['reason']}"]
    channels, height, width = found["image_shape"]
    images = f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
    notes = [f"  note: {note}" for note in found["notes"]]
    made = f"{found['family']}, {images}, {found['space']}"
    return [f"{checkpoint.path}: can be imported (--out): {made}", *notes]
